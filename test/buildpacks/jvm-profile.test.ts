import { expect, test } from "bun:test";
import { join } from "node:path";
import { run } from "../helpers/run.ts";
import { repositoryRoot } from "../helpers/stator-server.ts";

/** The variables of a dyno after a script of its start. */
async function started(script: string, variables: Record<string, string>, megabytes = 512) {
  const path = join(repositoryRoot, "buildpacks/shared/profile", script);
  const command = `available_memory() { echo ${megabytes}; }; . ${path}; exec env -0`;
  const env = { PATH: "/usr/bin:/bin", JAVA_HOME: "/jdk", ...variables };
  const { stdout } = await run(["bash", "-c", command], { env });
  const rows = stdout.split("\0").filter(Boolean);
  return Object.fromEntries(rows.map((row) => row.split(/=(.*)/s, 2)));
}

for (const [megabytes, options] of [
  [256, "-Xmx150m -Xss512k -XX:CICompilerCount=2"],
  [512, "-Xmx300m -Xss512k -XX:CICompilerCount=2"],
  [1024, "-Xmx671m -XX:CICompilerCount=2"],
  [2560, "-Xmx2048m"],
] as const)
  test(`Java in a dyno of ${megabytes} MB gets ${options}`, async () => {
    const variables = await started("jvm.sh", {}, megabytes);
    const all = `${options} -Dfile.encoding=UTF-8`;
    expect(variables).toMatchObject({ JAVA_OPTS: all, JAVA_TOOL_OPTIONS: all });
    expect(variables["PATH"]).toStartWith("/jdk/bin:");
  });

for (const own of ["-Xmx64m", "-XX:MaxRAMPercentage=50"])
  test(`${own} of the app's own is the only word on memory`, async () => {
    expect(await started("jvm.sh", { JAVA_OPTS: `-Da=b ${own}` })).toMatchObject({
      JAVA_OPTS: `-Dfile.encoding=UTF-8 -Da=b ${own}`,
      JAVA_TOOL_OPTIONS: "-Dfile.encoding=UTF-8",
    });
  });

for (const [address, url, username, password] of [
  [
    "postgres://ann:p%40s%5Cs+w@db.example:5432/shop?sslmode=require",
    "jdbc:postgresql://db.example:5432/shop?user=ann&password=p%40s%5Cs%2Bw&sslmode=require",
    "ann",
    "p@s\\s+w",
  ],
  ["postgresql://db/shop", "jdbc:postgresql://db/shop", undefined, undefined],
  ["mysql2://root:$(id)@db/a", "jdbc:mysql://db/a?user=root&password=$(id)", "root", "$(id)"],
  ["redis://h:1", undefined, undefined, undefined],
] as const)
  test(`${address} is ${url ?? "no database"} for Java`, async () => {
    const variables = await started("jdbc.sh", { DATABASE_URL: address });
    for (const prefix of ["JDBC_DATABASE", "SPRING_DATASOURCE"]) {
      expect(variables[`${prefix}_URL`]).toBe(url as string);
      expect(variables[`${prefix}_USERNAME`]).toBe(username as string);
      expect(variables[`${prefix}_PASSWORD`]).toBe(password as string);
    }
  });

test("what the app says of its database itself is left alone, and further databases have theirs", async () => {
  const variables = await started("jdbc.sh", {
    DATABASE_URL: "postgres://ann:secret@db/shop",
    SPRING_DATASOURCE_URL: "jdbc:h2:mem:test",
    HEROKU_POSTGRESQL_GOLD_URL: "postgres://bob:b@gold/g",
  });
  expect(variables["SPRING_DATASOURCE_URL"]).toBe("jdbc:h2:mem:test");
  expect(variables["SPRING_DATASOURCE_PASSWORD"]).toBeUndefined();
  expect(variables["HEROKU_POSTGRESQL_GOLD_JDBC_URL"]).toBe(
    "jdbc:postgresql://gold/g?user=bob&password=b",
  );
  const without = { DATABASE_URL: "postgres://a:b@db/c", DISABLE_SPRING_DATASOURCE_URL: "true" };
  expect((await started("jdbc.sh", without))["SPRING_DATASOURCE_URL"]).toBeUndefined();
});

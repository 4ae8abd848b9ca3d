import { expect, test } from "bun:test";
import { exec } from "../../src/lib/exec.ts";
import { processCommand, realPlaces } from "../../src/runtime/process-command.ts";

const places = {
  "/app": "/data/dyno/upper",
  "/tmp": "/data/dyno/tmp",
  "/tmp/codon/tmp/cache": "/data/cache",
  "/opt/stator/bin": "/data/run/bin",
};
const command = (...argv: string[]) =>
  processCommand({ argv, environment: {}, workingDirectory: "/" }, places).argv;

test("where a mount shows something: a bind's source, an overlay's own layer", () => {
  expect(
    realPlaces([
      { kind: "overlay", lower: "/slug", upper: "/upper", work: "/work", target: "/app" },
      { kind: "bind", source: "/dyno/tmp", target: "/tmp", readOnly: false },
    ]),
  ).toEqual({ "/app": "/upper", "/tmp": "/dyno/tmp" });
});

test("places inside become real folders: in words, environment and working directory", () => {
  const { argv, environment, workingDirectory } = processCommand(
    {
      argv: ["./bin/compile", "/tmp/build_1", "/tmp/codon/tmp/cache", "node /app/x.js > /tmp/y"],
      environment: { HOME: "/app", PATH: "/opt/stator/bin:/app/bin:/usr/bin", OTHER: "/srv/app" },
      workingDirectory: "/app/sub",
    },
    places,
  );
  expect(argv).toEqual([
    "./bin/compile",
    "/data/dyno/tmp/build_1",
    "/data/cache",
    "node /data/dyno/upper/x.js > /data/dyno/tmp/y",
  ]);
  expect(environment).toEqual({
    TMPDIR: "/data/dyno/tmp",
    HOME: "/data/dyno/upper",
    PATH: "/data/run/bin:/data/dyno/upper/bin:/usr/bin",
    OTHER: "/srv/app",
  });
  expect(workingDirectory).toBe("/data/dyno/upper/sub");
});

test("what only looks like a place stays", () => {
  for (const word of [
    ...["/srv/app", "/apple", "/app-2", "/app.js", "https://host/app", "http://1.2.3.4:80/tmp/x"],
    ...["$HOME/app", "${X}/tmp", "~/tmp", "./app/x", "//app"],
    ...["c2VjcmV0+/app=", "p/tmp/q", "x+/tmp", "/app+x", "/tmp=="],
  ])
    expect(command(word)).toEqual([word]);
  for (const word of [
    "--root=/app",
    "a:/app:b",
    "'/app'",
    "(/app)",
    "/app/../x",
    "x >/tmp/y",
    "/app;ls",
  ])
    expect(command(word)).not.toEqual([word]);
});

test("the init of containers is left out, and a variable of the app's own wins over TMPDIR", () => {
  expect(command("/usr/bin/tini", "--", "sleep", "1")).toEqual(["sleep", "1"]);
  expect(command("tini", "sleep")).toEqual(["tini", "sleep"]);
  const environment = { TMPDIR: "/elsewhere" };
  expect(
    processCommand({ argv: ["x"], environment, workingDirectory: "/" }, places).environment,
  ).toEqual({ TMPDIR: "/elsewhere" });
});

test("a login shell reads the app's own scripts, not this machine's profile; PATH stays", async () => {
  const home = await execText(["mktemp", "--directory"]);
  await exec(["mkdir", `${home}/.profile.d`]);
  await Bun.write(`${home}/.profile.d/a.sh`, "A=a; f() { echo from-function; }\n");
  await Bun.write(`${home}/.profile.d/b.sh`, 'B="$A"b\n');
  await Bun.write(`${home}/.profile`, 'C="$B"c\n');
  const ask = async (...argv: string[]) => {
    const { argv: real } = processCommand(
      { argv: ["bash", "--login", ...argv], environment: {}, workingDirectory: "/" },
      {},
    );
    const env = { HOME: home, PATH: "/one:/usr/bin:/bin" };
    return (await exec(real as [string], { env, stdin: "echo $PATH; exit 5\n" })).stdout;
  };
  expect(await ask("-c", 'echo $C $PATH "$0" "$@"; f', "zero", "x y")).toBe(
    "abc /one:/usr/bin:/bin zero x y\nfrom-function\n",
  );
  expect(await ask()).toBe("/one:/usr/bin:/bin\n");
  await Bun.write(`${home}/.bash_profile`, "C=bash\n");
  expect(await ask("-c", "echo $C")).toBe("bash\n");
  await exec(["rm", "-rf", home]);
});

async function execText(argv: [string, ...string[]]): Promise<string> {
  return (await exec(argv)).stdout.trim();
}

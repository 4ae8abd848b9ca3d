import { expect, test } from "bun:test";
import { serveApp } from "../helpers/serve-app.ts";
import { probeFiles, until } from "../helpers/stator-server.ts";

interface Release {
  version: number;
  description: string;
  status: string;
  current: boolean;
}

const { app } = await serveApp(probeFiles("one"));

const releases = async () =>
  (await app.api<Release[]>("GET", "/releases")).sort((one, other) => one.version - other.version);
const environment = async () => (await (await app.get("/env")).json()) as Record<string, string>;
const reaches = (version: number) =>
  until(`v${version} is in service`, async () =>
    (await releases()).some((one) => one.version === version && one.status === "succeeded"),
  );

test("clause 8: a change of two config vars makes one release and reaches new dynos", async () => {
  const before = await releases();
  const dyno = await app.api<{ id: string }[]>("GET", "/dynos");
  await app.api("PATCH", "/config-vars", { A: "1", B: "zwei ß 'quoted' \"and\"\nlines" });
  const after = await releases();
  expect(after).toHaveLength(before.length + 1);
  expect(after.at(-1)?.description).toBe("Set A, B config vars");
  await reaches(after.length);
  await until("a new dyno answers", async () => "A" in (await environment()));
  expect(await environment()).toMatchObject({ A: "1", B: "zwei ß 'quoted' \"and\"\nlines" });
  const fresh = await app.api<{ id: string }[]>("GET", "/dynos");
  expect(fresh).toHaveLength(1);
  expect(fresh[0]?.id).not.toBe(dyno[0]?.id as string);
});

test("clause 9: unset is a change to null: the key goes, by one release", async () => {
  const before = await releases();
  await app.api("PATCH", "/config-vars", { A: null });
  const after = await releases();
  expect(after).toHaveLength(before.length + 1);
  expect(after.at(-1)?.description).toBe("Remove A config vars");
  await reaches(after.length);
  await until("a new dyno answers", async () => !("A" in (await environment())));
});

test("a change that changes nothing makes no release", async () => {
  const before = await releases();
  await app.api("PATCH", "/config-vars", { A: null });
  expect(await releases()).toHaveLength(before.length);
});

test("clause 39: a rollback is a new release with the old slug and the old config", async () => {
  const old = (await releases()).at(-1)?.version as number;
  await app.api("PATCH", "/config-vars", { B: "changed", C: "new" });
  app.write(probeFiles("two"));
  await app.commit();
  await app.push();
  expect(await (await app.get()).text()).toBe("version two");
  const made = await app.api<Release>("POST", "/releases", {
    release: (await app.api<{ id: string }>("GET", `/releases/${old}`)).id,
  });
  expect(made.description).toBe(`Rollback to v${old}`);
  await reaches(made.version);
  await until("it answers", async () => (await (await app.get()).text()) === "version one");
  const vars = await environment();
  expect(vars.B).toStartWith("zwei");
  expect(vars).not.toHaveProperty("C");
  expect(await app.api("GET", "/config-vars")).not.toHaveProperty("C");
});

test("clause 24: files that a dyno writes are gone with it and unseen by others", async () => {
  await app.shell("echo mine > /app/mine; echo mine > /tmp/mine; echo x >> /app/server.js");
  expect(await app.shell("cat mine /tmp/mine")).toBe("mine\nmine\n");
  const dyno = await app.api<{ id: string }[]>("GET", "/dynos");
  await app.api("DELETE", "/dynos");
  await until("a new dyno is up", async () => {
    const [now] = await app.api<{ id: string; state: string }[]>("GET", "/dynos");
    return now?.state === "up" && now.id !== dyno[0]?.id;
  });
  expect(await app.shell("ls mine /tmp/mine 2>/dev/null; tail -n 1 server.js")).not.toContain(
    "x\n",
  );
});

test("the log tells the story of a release in the words of the contract", async () => {
  const log = await app.logs();
  for (const line of [
    /app\[api\]: Build started by user /,
    /app\[api\]: Deploy [0-9a-f]{8} by user /,
    /app\[api\]: Release v3 created by user /,
    /app\[api\]: Build succeeded/,
    /app\[api\]: Scaled to web@1:Basic by user /,
    /heroku\[web\.1\]: Starting process with command `node server\.js one`/,
    /app\[web\.1\]: probe listens/,
    /heroku\[web\.1\]: State changed from starting to up/,
    /app\[api\]: Set A, B config vars by user /,
    /heroku\[web\.1\]: Stopping all processes with SIGTERM/,
    /heroku\[web\.1\]: Process exited with status 143/,
    /heroku\[router\]: at=info method=GET path="\/env" /,
  ])
    expect(log).toMatch(line);
  for (const line of log.trimEnd().split("\n"))
    expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 (app|heroku)\[[\w.]+\]: /);
});

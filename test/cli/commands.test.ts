import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { selfSignedCertificate } from "../../src/certs/self-signed.ts";
import { commandLine } from "../helpers/command-line.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
let person: ReturnType<typeof commandLine>;
beforeAll(() => {
  served = serveLocalPlatform();
});
afterAll(() => served.stop());
beforeEach(async () => {
  person = commandLine({ STATOR_DATA: "" });
  const data = join(person.home, "data");
  mkdirSync(data);
  const credentials = {
    api: served.apiUrl,
    git: served.gitUrl,
    email: "owner@example.com",
    token: served.token,
  };
  writeFileSync(join(data, "credentials.json"), JSON.stringify(credentials));
  expect(await person.stator("login", "--data", data)).toMatchObject({ status: 0 });
});
afterEach(() => person.remove());

/** Runs a command that must succeed, and returns what it printed. */
async function ok(...argv: string[]): Promise<string> {
  const { status, out, err } = await person.stator(...argv);
  expect(`${argv.join(" ")}: ${status}${status === 0 ? "" : err}`).toBe(`${argv.join(" ")}: 0`);
  return out;
}

const program = [process.execPath, join(import.meta.dir, "../helpers/cli-process.ts")];

let number = 0;
async function createDeployed() {
  const app = await served.platform.createApp({ name: `shop-${++number}`, user: served.account });
  return { app, release: served.deploy(app, { web: "npm start", worker: "node worker.js" }) };
}

test("login stores the token where git finds it, and logout forgets it", async () => {
  const host = new URL(served.apiUrl).hostname;
  const netrc = readFileSync(join(person.home, ".netrc"), "utf8");
  expect(netrc).toBe(
    `machine ${host}\n  login owner@example.com\n  password ${served.token}\n` +
      `machine git.localhost\n  login owner@example.com\n  password ${served.token}\n`,
  );
  expect(statSync(join(person.home, ".netrc")).mode & 0o777).toBe(0o600);
  expect(await ok("auth:whoami")).toBe("owner@example.com\n");
  expect(await ok("whoami", "--json")).toContain('"email": "owner@example.com"');
  expect(await ok("auth:token")).toBe(`${served.token}\n`);
  expect(await ok("logout")).toBe("Logged out\n");
  expect(readFileSync(join(person.home, ".netrc"), "utf8")).toBe("");
  const { status, err } = await person.stator("apps");
  expect(status).toBe(1);
  expect(err).toContain(
    " ▸    Not logged in.\n ▸    On the server itself, as root: stator login\n",
  );
});

test("STATOR_API and STATOR_API_KEY win", async () => {
  person.environment.STATOR_API = served.apiUrl;
  person.environment.STATOR_API_KEY = "STTR-wrong";
  const { status, err } = await person.stator("apps");
  expect(status).toBe(1);
  expect(err).toBe(" ▸    Invalid credentials provided.\n ▸    Log in again: stator login\n");
});

test("a certificate that nobody vouches for is refused, with the way to trust it", async () => {
  const { certificatePath, privateKeyPath } = await selfSignedCertificate(person.home, "localhost");
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: Bun.file(certificatePath), key: Bun.file(privateKeyPath) },
    fetch: () => Response.json({ email: "owner@example.com" }),
  });
  person.environment.STATOR_API = `https://localhost:${server.port}`;
  person.environment.STATOR_API_KEY = "STTR-token";
  const { status, err } = await person.stator("whoami");
  await server.stop(true);
  expect(status).toBe(1);
  expect(err).toContain(" ▸    Cannot trust the server: ");
  expect(err).toContain("NODE_EXTRA_CA_CERTS=");
});

test("create, in a repository, adds the remote; the folder then knows its app", async () => {
  await person.git("init", "-q");
  const created = await person.stator("create", "from-folder");
  expect(created.err).toBe("Creating ⬢ from-folder... done\n");
  expect(created.out).toMatch(
    /^http:\/\/from-folder\.localhost:\d+\/ \| http:\/\/git\.localhost:\d+\/from-folder\.git\n$/,
  );
  expect(await person.git("remote", "get-url", "stator")).toBe(
    `${served.gitUrl}/from-folder.git\n`,
  );
  expect(await ok("config:get", "NOPE")).toBe("\n");
  expect(await ok("apps")).toContain("from-folder\n");
  await ok("create", "second-one", "--remote", "staging");
  expect(await ok("info", "-r", "staging")).toStartWith("=== ⬢ second-one\n\n");
  expect(await ok("info")).toStartWith("=== ⬢ from-folder\n\n");
  const kept = await person.stator("create", "third-one");
  expect(kept.err).toContain("The git remote stator is there already");
  expect(await ok("git:remote", "-a", "third-one")).toBe(
    `set git remote stator to ${served.gitUrl}/third-one.git\n`,
  );
  await ok("rename", "third-new");
  expect(await person.git("remote", "get-url", "stator")).toBe(`${served.gitUrl}/third-new.git\n`);
  await ok("destroy", "--confirm", "third-new");
  expect(await person.git("remote")).toBe("staging\n");
  expect(await ok("info")).toStartWith("=== ⬢ second-one\n\n");
  expect((await person.stator("create", "no-remote-one", "--no-remote", "--json")).out).toContain(
    '"name": "no-remote-one"',
  );
  expect(await person.git("remote")).toBe("staging\n");
});

test("without an app to be found it says so, and what to do", async () => {
  for (const name of ["one-app", "two-app"]) await ok("create", name);
  const nowhere = await person.stator("ps");
  expect(nowhere.status).toBe(1);
  expect(nowhere.err).toStartWith(" ▸    No app was named, and no git remote in ");
  expect(nowhere.err).toContain(" ▸    Or, in the app's repository: stator git:remote -a APP\n");
  await person.git("init", "-q");
  await ok("git:remote", "-a", "one-app", "-r", "a");
  expect(await ok("ps")).toBe("No dynos on ⬢ one-app\n");
  await ok("git:remote", "-a", "two-app", "-r", "b");
  expect((await person.stator("ps")).err).toContain("Several git remotes");
  person.environment.STATOR_APP = "two-app";
  expect(await ok("ps")).toBe("No dynos on ⬢ two-app\n");
  expect(await ok("ps", "-a", "one-app")).toBe("No dynos on ⬢ one-app\n");
});

test("info shows an app as Heroku does", async () => {
  const { app } = await createDeployed();
  expect((await ok("info", "-a", app.name)).split("\n")).toEqual([
    `=== ⬢ ${app.name}`,
    "",
    "Auto Cert Mgmt: true",
    "Dynos:          web: 1",
    `Git URL:        ${served.gitUrl}/${app.name}.git`,
    "Owner:          owner@example.com",
    "Region:         local",
    "Slug Size:      11.8 MB",
    "Stack:          host",
    expect.stringMatching(/^Web URL: {8}http:\/\/shop-\d+\.localhost:\d+\/$/),
    "",
  ]);
  expect(JSON.parse(await ok("info", app.name, "--json"))).toMatchObject({
    app: { name: app.name },
    formation: [{ type: "web" }, { type: "worker" }],
  });
  expect(await ok("open", "admin", "-a", app.name)).toEndWith("/admin\n");
});

test("config vars, whatever is in them", async () => {
  const { app, release } = await createDeployed();
  const odd = "two words = $HOME 'q' \"d\" `b` \\ é";
  const set = await person.stator("config:set", "-a", app.name, "A=1", `ODD=${odd}`);
  expect(set.err).toBe(
    `Setting A, ODD and restarting ⬢ ${app.name}... done, v${release.version + 1}\n`,
  );
  expect(set.out).toBe(`A:   1\nODD: ${odd}\n`);
  expect(await ok("config:get", "-a", app.name, "ODD")).toBe(`${odd}\n`);
  expect(await ok("config", "-a", app.name)).toBe(
    `=== ⬢ ${app.name} Config Vars\n\nA:   1\nODD: ${odd}\n`,
  );
  expect(JSON.parse(await ok("config", "-a", app.name, "--json"))).toEqual({ A: "1", ODD: odd });
  const shell = await ok("config", "-s", "-a", app.name);
  const read = Bun.spawn(["sh", "-c", `${shell}printf %s "$ODD"`]);
  expect(await new Response(read.stdout).text()).toBe(odd);
  const unset = await person.stator("config:unset", "-a", app.name, "ODD");
  expect(unset.err).toBe(
    `Unsetting ODD and restarting ⬢ ${app.name}... done, v${release.version + 2}\n`,
  );
  const bad = await person.stator("config:set", "-a", app.name, "nonsense");
  expect(bad).toMatchObject({ status: 2, out: "" });
  expect(bad.err).toContain(" ▸    nonsense is invalid.");
});

test("releases, one release, rollback", async () => {
  const { app, release } = await createDeployed();
  await ok("config:set", "-a", app.name, "A=1");
  const lines = (await ok("releases", "-a", app.name)).split("\n");
  expect(lines[0]).toBe(`=== ⬢ ${app.name} Releases - Current: v${release.version + 1}`);
  expect(lines[2]).toMatch(
    /^v4 {2}Set A config vars {2}owner@example\.com {2}\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d [+-]\d{4} \(~ \ds ago\)$/,
  );
  expect(lines[3]).toStartWith("v3  Deploy de63889c");
  expect(JSON.parse(await ok("releases", "-a", app.name, "-n", "2", "--json"))).toHaveLength(2);
  const info = await ok("releases:info", "-a", app.name);
  expect(info).toStartWith("=== Release v4\n\nBy:                     owner@example.com\n");
  expect(info).toEndWith("=== v4 Config vars\n\nA: 1\n");
  const back = await person.stator("rollback", "-a", app.name);
  expect(back.err).toBe(
    `Rolling back ⬢ ${app.name} to v3... done, v5\n` +
      " ▸    Rollback affects code and config vars; it doesn't add or remove addons.\n" +
      " ▸    To undo, run: stator rollback v4\n",
  );
  expect(await ok("config", "-a", app.name, "--json")).toBe("{}\n");
  const refused = await person.stator("rollback", "v1", "-a", app.name);
  expect(refused.status).toBe(1);
  expect(refused.err).toContain("it has no slug");
});

test("ps groups dynos as Heroku does; restarts name what they restart", async () => {
  const { app } = await createDeployed();
  served.startDyno(app, { type: "web", number: 2, command: "npm start" });
  served.startDyno(app, { type: "web", number: 1, command: "npm start" });
  served.startDyno(app, { type: "run", number: 1234, command: "bash" });
  const shown = (await ok("ps", "-a", app.name)).replace(/starting \d.*? \(~ \ds ago\)/g, "TIME");
  expect(shown).toBe(
    "=== run: one-off processes (1)\n\nrun.1234 (Basic): TIME: bash\n\n" +
      "=== web (Basic): npm start (2)\n\nweb.1: TIME\nweb.2: TIME\n\n",
  );
  expect(JSON.parse(await ok("ps", "web", "-a", app.name, "--json"))).toHaveLength(2);
  expect((await person.stator("ps", "foo", "-a", app.name)).err).toBe(
    ` ▸    No foo dynos on ⬢ ${app.name}\n`,
  );
  served.restarted.length = 0;
  expect((await person.stator("restart", "-a", app.name)).err).toBe(
    `Restarting all dynos on ⬢ ${app.name}... done\n`,
  );
  expect((await person.stator("ps:restart", "web.1", "-a", app.name)).err).toBe(
    `Restarting dyno web.1 on ⬢ ${app.name}... done\n`,
  );
  expect((await person.stator("ps:restart", "web", "-a", app.name)).err).toBe(
    `Restarting all web dynos on ⬢ ${app.name}... done\n`,
  );
  expect(served.restarted).toEqual([undefined, "web.1", "web"]);
  const gone = await person.stator("ps:restart", "web.9", "-a", app.name);
  expect(gone.status).toBe(1);
  expect(gone.err).toContain('... !\n ▸    Couldn\'t find that dyno: "web.9".');
});

test("logs: last lines, filters, JSON", async () => {
  const { app } = await createDeployed();
  const at = "2024-05-01T12:00:00.123456+00:00";
  for (const message of ["one", "two"])
    served.platform.logs.write(app.id, { at, source: "app", dyno: "web.1", message });
  served.platform.logs.write(app.id, { at, source: "heroku", dyno: "router", message: "three" });
  expect(await ok("logs", "-a", app.name, "-n", "2")).toBe(
    `${at} app[web.1]: two\n${at} heroku[router]: three\n`,
  );
  expect(await ok("logs", "-a", app.name, "--source", "heroku")).toBe(
    `${at} heroku[router]: three\n`,
  );
  expect(await ok("logs", "-a", app.name, "--ps", "web", "-n", "1")).toBe(
    `${at} app[web.1]: two\n`,
  );
  expect(JSON.parse(await ok("logs", "-a", app.name, "-n", "1", "--json"))).toEqual({
    at,
    source: "heroku",
    dyno: "router",
    message: "three",
  });
  const logs = (...argv: string[]) => ok("logs", "-a", app.name, ...argv);
  expect(await logs("--grep", "TWO", "-i")).toBe(`${at} app[web.1]: two\n`);
  expect(await logs("--grep", "TWO")).toBe("");
  expect(await logs("--since", "2024-05-01T12:00:01Z")).toBe("");
  expect(await logs("--since", "2024-05-01")).toContain("three");
  expect(await logs("--process-type", "web", "--grep", "t")).toBe(`${at} app[web.1]: two\n`);
  expect(await person.stator("logs", "--since", "soon", "-a", app.name)).toMatchObject({
    status: 1,
    err: " ▸    since: must be a time as 10m, 2h, 3d or 2026-05-01T12:00:00Z\n",
  });
  expect(await person.stator("logs", "-n", "x", "-a", app.name)).toMatchObject({ status: 2 });
});

test("maintenance is switched and told", async () => {
  const { app } = await createDeployed();
  expect(await ok("maintenance", "-a", app.name)).toBe("off\n");
  expect((await person.stator("maintenance:on", "-a", app.name)).err).toBe(
    `Enabling maintenance mode for ⬢ ${app.name}... done\n`,
  );
  expect(await ok("maintenance", "-a", app.name)).toBe("on\n");
  await ok("maintenance:off", "-a", app.name);
  expect(await ok("maintenance", "-a", app.name, "--json")).toContain("false");
});

test("run:detached says where its output is", async () => {
  const { app } = await createDeployed();
  const { out, err } = await person.stator("run:detached", "-a", app.name, "--", "echo", "a b");
  const [, name] = /\.\.\. done, (run\.\d+)\n$/.exec(err) ?? [];
  expect(err).toStartWith(`Running echo 'a b' on ⬢ ${app.name}... done`);
  expect(out).toBe(`Run stator logs --app ${app.name} --dyno ${name} to view the output.\n`);
  expect(await ok("logs", "-a", app.name, "--dyno", name ?? "")).toEndWith(`app[${name}]: a b\n`);
});

test("destroy wants the name", async () => {
  const { app } = await createDeployed();
  const wrong = await person.stator("destroy", "-a", app.name, "--confirm", "other");
  expect(wrong.status).toBe(1);
  expect(wrong.err).toStartWith(` ▸    Confirmation "other" did not match ${app.name}. Aborted.\n`);
  const nobody = person.start(["destroy", "-a", app.name]);
  expect(await nobody.exited).toBe(1);
  expect(await new Response(nobody.stderr).text()).toContain("WARNING: This will delete");
  const typed = person.start(["destroy", "-a", app.name], { input: `${app.name}\n` });
  expect(await typed.exited).toBe(0);
  expect(await ok("apps")).not.toContain(app.name);
});

test("an answer that cannot be written is a failure", async () => {
  const shell = Bun.spawn(["sh", "-c", 'exec "$@" >/dev/full', "sh", ...program, "help"], {
    env: person.environment,
    stderr: "pipe",
  });
  expect(await new Response(shell.stderr).text()).toStartWith(" ▸    The answer cannot be written");
  expect(await shell.exited).toBe(1);
});

test("login elsewhere reads the token from a pipe and stores it only when it opens", async () => {
  await ok("logout");
  const login = (token: string) =>
    person.start(["login", "--api", served.apiUrl], { input: `${token}\n` });
  const wrong = login("STTR-wrong");
  expect(await wrong.exited).toBe(1);
  expect(readFileSync(join(person.home, ".netrc"), "utf8")).toBe("");
  expect(await login(served.token).exited).toBe(0);
  expect(await ok("whoami")).toBe("owner@example.com\n");
  expect(readFileSync(join(person.home, ".netrc"), "utf8")).toContain("machine git.localhost\n");
});

test("a server that is not there is said to be so", async () => {
  person.environment.STATOR_API = "http://api.localhost:1";
  person.environment.STATOR_API_KEY = "x";
  const { status, err } = await person.stator("apps");
  expect(status).toBe(1);
  expect(err).toStartWith(" ▸    Cannot reach the server");
  person.environment.STATOR_API = "nonsense";
  expect((await person.stator("apps")).err).toContain('"nonsense" is not the address of an API');
});

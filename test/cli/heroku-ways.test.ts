import { afterAll, beforeAll, expect, test } from "bun:test";
import { logTime } from "../../src/logs/log-line.ts";
import { commandLine } from "../helpers/command-line.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";
import { until } from "../helpers/stator-server.ts";

/** What people and scripts are used to from Heroku's command line. */
let served: ReturnType<typeof serveLocalPlatform>;
let person: ReturnType<typeof commandLine>;
beforeAll(() => {
  served = serveLocalPlatform();
  person = commandLine({ STATOR_API: served.apiUrl, STATOR_API_KEY: served.token });
});
afterAll(async () => {
  person.remove();
  await served.stop();
});

async function ok(...argv: string[]): Promise<string> {
  const { status, out, err } = await person.stator(...argv);
  expect(`${argv.join(" ")}: ${status}${status === 0 ? "" : err}`).toBe(`${argv.join(" ")}: 0`);
  return out;
}

let number = 0;
async function deployed(processes: Record<string, string> = { web: "npm start" }) {
  const app = await served.platform.createApp({ name: `ways-${++number}`, user: served.account });
  served.deploy(app, processes);
  return app;
}

test("access:add -p: the permissions that there are, and the way out for others", async () => {
  const { name } = await deployed();
  const add = (words: string) =>
    person.stator("access:add", "friend@example.com", "-p", words, "-a", name);
  expect((await add("deploy,operate,manage")).err).toContain("stator apps:transfer EMAIL");
  expect((await add("view")).err).toContain("not less");
  expect((await add("deploy,nonsense")).err).toContain("nonsense, but there is: deploy, operate");
  expect(await ok("access", "-a", name)).not.toContain("friend@example.com");
  expect(await add("deploy,operate")).toMatchObject({ status: 0 });
  expect(await ok("access", "-a", name)).toMatch(/friend@example\.com +collaborator/);
});

test("create -b: with its buildpack; list is another word for apps", async () => {
  await ok("create", "with-pack", "-n", "-b", "heroku/python");
  expect(await ok("buildpacks", "-a", "with-pack")).toContain("heroku/python");
  expect(await ok("list")).toContain("with-pack\n");
  expect(JSON.parse(await ok("apps:list", "-j"))).toBeArray();
  expect(await ok("buildpacks:search", "python")).toMatch(/^heroku\/python +Python: /);
  expect(await ok("buildpacks:search", "cobol")).toBe("No buildpacks found\n");
});

test("apps:info -s: variables as a shell reads them", async () => {
  const { name } = await deployed();
  const lines = (await ok("info", "-s", "-a", name)).trim().split("\n");
  const keys = lines.map((line) => line.split("=")[0]);
  expect(keys).toEqual(
    "auto_cert_mgmt created_at dynos git_url maintenance owner region repo_size slug_size stack web_url".split(
      " ",
    ),
  );
  expect(lines).toContain("owner=owner@example.com");
  expect(lines).toContain(`dynos='{"web":1}'`);
});

test("ps -x and releases -x: with ids and times", async () => {
  const app = await deployed();
  served.startDyno(app, { type: "web", number: 1, command: "npm start" });
  const [dyno] = JSON.parse(await ok("ps", "-j", "-a", app.name)) as { id: string }[];
  expect(await ok("ps", "-x", "-a", app.name)).toMatch(
    new RegExp(`^ID .*\n${dyno?.id} +web\\.1 +\\w+ +Basic +v\\d+ +20\\S+Z +npm start\n$`),
  );
  const [newest] = JSON.parse(await ok("releases", "-j", "-a", app.name)) as {
    id: string;
    slug: { id: string };
  }[];
  expect(await ok("releases", "-x", "-a", app.name)).toContain(
    `succeeded  ${newest?.id}  ${newest?.slug.id}\n`,
  );
});

test("releases:retry wants a release command, and makes a release of its own", async () => {
  const without = await deployed();
  expect((await person.stator("releases:retry", "-a", without.name)).err).toContain(
    "App must have a release-phase command",
  );
});

test("run:detached --tail stays with its log", async () => {
  const { name } = await deployed();
  const child = person.start(["run:detached", "-t", "-a", name, "--", "echo", "heard"]);
  let seen = "";
  void (async () => {
    for await (const bytes of child.stdout) seen += Buffer.from(bytes).toString();
  })();
  await until(`it is in ${seen}`, () => /app\[run\.\d+\]: heard\n/.test(seen));
  child.kill("SIGINT");
  await child.exited;
});

test("logs --force-colors: into a pipe too", async () => {
  const { id, name } = await deployed();
  const line = { at: logTime(), source: "app", dyno: "web.1", message: "hello" } as const;
  served.platform.logs.write(id, line);
  const colour = "\u001b[";
  expect(await ok("logs", "-a", name, "--force-colors")).toContain(colour);
  expect(await ok("logs", "-a", name)).not.toContain(colour);
});

test("tables have colours in a terminal, and none in a pipe or with NO_COLOR", async () => {
  const { name } = await deployed();
  const shown = async () => {
    let seen = "";
    const onOutput = (text: string) => (seen += text);
    const size = { columns: 80, lines: 24 };
    const { child } = person.startInTerminal(["releases", "-a", name], { ...size, onOutput });
    expect(await child.exited).toBe(0);
    await until("all is there", () => seen.includes("Initial release"));
    return seen;
  };
  const colour = "\u001b[";
  expect(await shown()).toContain(colour);
  person.environment.NO_COLOR = "1";
  expect(await shown()).not.toContain(colour);
  delete person.environment.NO_COLOR;
  const piped = person.start(["releases", "-a", name]);
  const text = await new Response(piped.stdout).text();
  expect(text).toContain("Initial release");
  expect(text).not.toContain(colour);
});

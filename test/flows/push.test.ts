import { afterAll, beforeAll, expect, test } from "bun:test";
import { exec } from "../../src/lib/exec.ts";
import { join } from "node:path";
import {
  probeFiles,
  startStator,
  type StatorApp,
  type StatorServer,
} from "../helpers/stator-server.ts";

let stator: StatorServer;
let app: StatorApp;
let first: Awaited<ReturnType<StatorApp["push"]>>;

beforeAll(async () => {
  stator = await startStator();
  app = await stator.createApp(
    probeFiles("1", {
      Procfile:
        "web: echo $(( PORT > 0 )) > /tmp/port && exec node server.js 1\nworker: sleep 1000\n",
      ".profile.d/one.sh": "export FROM_PROFILE_D=yes\n",
      ".profile": "export FROM_PROFILE=$FROM_PROFILE_D-too\n",
    }),
  );
  await app.api("PATCH", "/config-vars", { SECRET_WORD: "xyzzy" });
  first = await app.push();
});
afterAll(() => stator.stop());

test("clause 1: a push with any user name and the token as password builds, and says how it goes", () => {
  expect(first.stderr).toContain("remote: -----> Building on the Heroku-2");
  expect(first.text).toContain("-----> Node.js app detected");
  expect(first.exitCode).toBe(0);
});

test("clause 2: a push that went well ends with Released, the address and Verifying deploy", () => {
  expect(first.text).toMatch(
    new RegExp(
      `-----> Compressing\\.\\.\\.\\n       Done: [\\d.]+[KM]\\n-----> Launching\\.\\.\\.\\n       Released v4\\n       http://${app.name}\\.localhost:${stator.port}/ deployed to Stator\\n\\nVerifying deploy\\.\\.\\. done\\.\\n`,
    ),
  );
  expect(first.stderr).toContain("* [new branch]      main -> main");
});

test("clause 3: the first deploy of an untouched app is v3, and numbers go up by one", async () => {
  const fresh = await stator.createApp(probeFiles());
  expect((await fresh.push()).text).toContain("       Released v3\n");
  await fresh.commit();
  expect((await fresh.push()).text).toContain("       Released v4\n");
  const releases = await fresh.api<{ version: number; description: string }[]>("GET", "/releases");
  expect(releases.map(({ version }) => version).sort((one, other) => one - other)).toEqual([
    1, 2, 3, 4,
  ]);
  expect(releases.find(({ version }) => version === 1)?.description).toBe("Initial release");
  expect(releases.find(({ version }) => version === 2)?.description).toBe("Enable Logplex");
  await fresh.api("DELETE");
});

test("clause 4: the first deploy runs one web dyno, and every other type is at 0", async () => {
  const formation = await app.api<{ type: string; quantity: number }[]>("GET", "/formation");
  expect(Object.fromEntries(formation.map(({ type, quantity }) => [type, quantity]))).toEqual({
    web: 1,
    worker: 0,
  });
  const dynos = await app.api<{ name: string; state: string }[]>("GET", "/dynos");
  expect(dynos.map(({ name, state }) => `${name} ${state}`)).toEqual(["web.1 up"]);
});

test("clause 5: the web command runs through bash with $PORT, and gets the traffic", async () => {
  expect(await (await app.get()).text()).toBe("version 1");
  expect(await app.shell("cat /tmp/port")).toBe("1\n");
});

test("clause 7, 34: config vars, $DYNO, $PORT and HOME are in the dyno's environment", async () => {
  const environment = (await (await app.get("/env")).json()) as Record<string, string>;
  expect(environment).toMatchObject({ SECRET_WORD: "xyzzy", DYNO: "web.1", HOME: "/app" });
  expect(environment.PORT).toMatch(/^\d{4,5}$/);
  expect(Object.keys(environment).filter((name) => name.startsWith("STATOR"))).toEqual([]);
});

test("clause 36: .profile.d/*.sh and .profile are read before the command", async () => {
  const environment = (await (await app.get("/env")).json()) as Record<string, string>;
  expect(environment).toMatchObject({ FROM_PROFILE_D: "yes", FROM_PROFILE: "yes-too" });
});

test("clause 14: another branch is kept and not built, and feature:main builds", async () => {
  const before = await app.api<unknown[]>("GET", "/releases");
  await app.git("checkout", "--quiet", "-b", "feature");
  app.write(probeFiles("feature"));
  const commit = await app.commit("On a branch");
  const kept = await app.push("stator", "feature");
  expect(kept.exitCode).toBe(0);
  expect(kept.text).toContain("Pushed to branch other than [main, master], skipping build.");
  expect(await app.api<unknown[]>("GET", "/releases")).toHaveLength(before.length);
  expect((await app.git("ls-remote", "stator", "feature")).stdout).toStartWith(commit);
  const built = await app.push("stator", "feature:main");
  expect(built.exitCode).toBe(0);
  expect(await (await app.get()).text()).toBe("version feature");
});

test("clause 15: a push to master builds too", async () => {
  app.write(probeFiles("master"));
  await app.commit("For master");
  const pushed = await app.push("stator", "feature:master");
  expect(pushed.text).toContain("Verifying deploy... done.");
  expect(await (await app.get()).text()).toBe("version master");
});

test("the same commit, pushed again by another name, is built with a warning", async () => {
  const commit = (await app.git("rev-parse", "HEAD")).stdout.trim();
  const pushed = await app.push("stator", "feature:main");
  expect(pushed.text).toContain(
    `## Warning - The same version of this code has already been built: ${commit}\n`,
  );
  expect(pushed.text).toContain("        git push stator <branchname>:main\n");
  expect(pushed.text).toContain("Verifying deploy... done.");
  expect(first.text).not.toContain("## Warning");
});

test("clause 60: a buildpack that does not take the app gives way to the next, whose word is the name", () => {
  // Ruby is asked before Node.js, and what it has to say against the app is not shown.
  expect(first.text).toContain(
    "-----> Determining which buildpack to use for this app\n-----> Node.js app detected\n",
  );
});

test("clause 68: the second build uses the buildpack of the first", async () => {
  app.write({ "again.txt": "again" });
  await app.commit();
  const pushed = await app.push("stator", "feature:main");
  expect(first.text).toContain("-----> Determining which buildpack to use for this app\n");
  expect(pushed.text).toContain("-----> Using buildpack: heroku/nodejs\n");
  expect(pushed.text).not.toContain("Determining which buildpack");
});

test("a second push of the same commit builds nothing", async () => {
  const pushed = await app.push("stator", "feature:main");
  expect(pushed.text).toContain("Everything up-to-date");
  expect(pushed.text).not.toContain("----->");
});

test("the main branch cannot be deleted", async () => {
  const pushed = await app.push("stator", ":main");
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toContain("!\tPush rejected, cannot delete main branch.");
  expect(pushed.text).toContain("! [remote rejected] main (pre-receive hook declined)");
});

test("a rewritten history is refused without --force, and built with it", async () => {
  app.write(probeFiles("rewritten"));
  await app.git("add", "--all");
  await app.git("commit", "--quiet", "--amend", "-m", "Rewritten");
  expect((await app.push("stator", "feature:main")).exitCode).not.toBe(0);
  expect((await app.push("--force", "stator", "feature:main")).exitCode).toBe(0);
  expect(await (await app.get()).text()).toBe("version rewritten");
});

for (const version of ["0", "1", "2"])
  test(`git's protocol version ${version}: clone, fetch and push`, async () => {
    const git = (folder: string, ...args: string[]) =>
      exec(["git", "-c", `protocol.version=${version}`, ...args], {
        cwd: folder,
        env: stator.gitEnvironment,
      });
    const url = `${stator.credentials.git}/${app.name}.git`;
    const copy = join(stator.work, `copy-${version}`);
    expect((await git(stator.work, "clone", "--quiet", url, copy)).stderr).toBe("");
    expect((await git(copy, "log", "-1", "--format=%s")).stdout).toContain("Rewritten");
    await git(app.folder, "commit", "--quiet", "--allow-empty", "-m", `By protocol ${version}`);
    const pushed = await git(app.folder, "push", "stator", `HEAD:refs/heads/other-${version}`);
    expect(pushed.exitCode).toBe(0);
    expect((await git(copy, "fetch", "--quiet")).exitCode).toBe(0);
    const fetched = await git(copy, "log", "-1", "--format=%s", `origin/other-${version}`);
    expect(fetched.stdout).toBe(`By protocol ${version}\n`);
    await app.git("reset", "--quiet", "--hard", "HEAD~1");
  });

test("a push whose body git packs and sends in chunks arrives whole", async () => {
  const noise = Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString("hex");
  app.write({ "noise.txt": noise.repeat(30) });
  await app.commit("Noise");
  await app.git("config", "http.postBuffer", "65536");
  expect((await app.push("stator", "feature:main")).exitCode).toBe(0);
  expect((await app.shell("wc -c < noise.txt")).trim()).toBe(String(60_000 * 2 * 30));
});

test("git's gzip-packed request bodies are unpacked", async () => {
  const word = (text: string) => `${(text.length + 4).toString(16).padStart(4, "0")}${text}`;
  const request = `${word("command=ls-refs\n")}0001${word("peel\n")}${word("ref-prefix refs/heads/main\n")}0000`;
  const response = await stator.ask("git", `/${app.name}.git/git-upload-pack`, {
    method: "POST",
    headers: {
      authorization: `Basic ${btoa(`anyone:${stator.credentials.token}`)}`,
      "content-type": "application/x-git-upload-pack-request",
      "content-encoding": "gzip",
      "git-protocol": "version=2",
    },
    body: Bun.gzipSync(Buffer.from(request)),
  });
  expect(response.status).toBe(200);
  expect(await response.text()).toMatch(/^003d[0-9a-f]{40} refs\/heads\/main\n0000$/);
});

test("two apps are built and served side by side, each with its own", async () => {
  const [one, two] = await Promise.all([
    stator.createApp(probeFiles("one")),
    stator.createApp(probeFiles("two")),
  ]);
  const pushed = await Promise.all([one.push(), two.push()]);
  for (const { text } of pushed) expect(text).toContain("Verifying deploy... done.");
  expect(await (await one.get()).text()).toBe("version one");
  expect(await (await two.get()).text()).toBe("version two");
});

test("an app that is destroyed is gone from the data folder, and its address answers 404", async () => {
  const doomed = await stator.createApp(probeFiles("doomed"));
  expect((await doomed.push()).exitCode).toBe(0);
  const { id } = await doomed.api<{ id: string }>("GET");
  await doomed.api("DELETE");
  expect((await doomed.get()).status).toBe(404);
  const left = await exec(["find", stator.dataDir, "-name", `*${id}*`]);
  expect(left.stdout).toBe("");
  const pushed = await doomed.push();
  expect(pushed.text).toContain(`No such app as ${doomed.name}.`);
});

test("a collaborator's token fetches and pushes, one that may only read fetches, a stranger finds nothing", async () => {
  const shared = await stator.createApp(probeFiles());
  const email = `friend-${shared.name}@example.com`;
  const answer = await stator.ask("api", `/apps/${shared.name}/collaborators`, {
    ...{ method: "POST", body: JSON.stringify({ user: email }) },
    headers: {
      accept: "application/vnd.heroku+json; version=3",
      authorization: `Bearer ${stator.credentials.token}`,
      "content-type": "application/json",
    },
  });
  const [secret = ""] = /[^/]+$/.exec(answer.headers.get("x-heroku-warning") ?? "") ?? [];
  const password = "a long password";
  await stator.api("POST", `/password-resets/${secret}/actions/finalize`, {
    ...{ password, password_confirmation: password },
  });
  const tokenFor = async (scope: string) => {
    const login = await stator.ask("api", "/oauth/authorizations", {
      ...{ method: "POST", body: JSON.stringify({ scope: [scope] }) },
      headers: {
        accept: "application/vnd.heroku+json; version=3",
        authorization: `Basic ${btoa(`${email}:${password}`)}`,
        "content-type": "application/json",
      },
    });
    const { access_token: made } = (await login.json()) as { access_token: { token: string } };
    return made.token;
  };
  const addressOf = (name: string, token: string) =>
    `${stator.credentials.git}/${name}.git`.replace("://", `://x:${token}@`);
  const [reader, writer] = [await tokenFor("read-protected"), await tokenFor("write-protected")];
  const refused = await shared.git("push", addressOf(shared.name, reader), "main");
  expect(refused.exitCode).not.toBe(0);
  expect(refused.stderr).toContain("403");
  expect((await shared.git("push", addressOf(shared.name, writer), "main")).exitCode).toBe(0);
  expect((await shared.git("ls-remote", addressOf(shared.name, reader))).stdout).toContain("main");
  const notHis = await shared.git("ls-remote", addressOf(app.name, writer));
  expect(notHis.stderr).toContain("not found");
});

import { expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { serveApp } from "../helpers/serve-app.ts";
import {
  asPush,
  askPass,
  packageJson,
  probeFiles,
  userEnvironment,
} from "../helpers/stator-server.ts";

const { stator, app } = await serveApp(probeFiles("good"));

/** Pushes files that must be refused, then puts the good ones back; nothing may have changed. */
async function refused(files: Record<string, string>) {
  const remote = async () => (await app.git("ls-remote", "stator", "main")).stdout;
  const [ref, releases, formation] = [
    await remote(),
    await app.api("GET", "/releases"),
    await app.api("GET", "/formation"),
  ];
  app.write(files);
  await app.commit("Bad");
  const pushed = await app.push();
  await app.git("reset", "--quiet", "--hard", "HEAD~1");
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toContain("! [remote rejected] main -> main (pre-receive hook declined)");
  expect(pushed.text).toContain(`Verifying deploy...\n\n!\tPush rejected to ${app.name}.\n`);
  expect(await remote()).toBe(ref);
  expect(await app.api("GET", "/releases")).toEqual(releases as never);
  expect(await app.api("GET", "/formation")).toEqual(formation as never);
  expect(await (await app.get()).text()).toBe("version good");
  return pushed;
}

const scripts = (all: Record<string, string>) => ({ "package.json": packageJson(all) });

test("clause 11, 13: a failed build is told, moves no ref, makes no release; the old one serves", async () => {
  const pushed = await refused(scripts({ build: "echo about to fail && exit 3" }));
  expect(pushed.text).toContain("about to fail");
  expect(pushed.text).toContain(
    " !     Push rejected, failed to compile Node.js app.\n\n !     Push failed\n",
  );
});

test("a package.json that is not JSON is told", async () => {
  const pushed = await refused({ "package.json": "{ name: probe,\n" });
  expect(pushed.text).toMatch(/package\.json/);
  expect(pushed.text).toMatch(/JSON|parse/i);
});

test("a package.json with a foolish shape is told", async () => {
  for (const text of ["[]", "null", '"text"'])
    expect((await refused({ "package.json": text })).text).toContain("package.json");
});

test("a web process that ends at once leaves the old release serving", async () => {
  const before = await app.api<unknown[]>("GET", "/releases");
  app.write({ Procfile: "web: echo no luck; exit 7\n" });
  await app.commit("Crashes");
  const pushed = await app.push();
  await app.git("reset", "--quiet", "--hard", "HEAD~1");
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toContain("does not serve: the process exited with status 7");
  expect(pushed.text).toContain("The release before goes on serving.");
  expect(await (await app.get()).text()).toBe("version good");
  const releases = await app.api<{ status: string; version: number }[]>("GET", "/releases");
  expect(releases).toHaveLength(before.length + 1);
  expect(releases.find(({ version }) => version === releases.length)?.status).toBe("failed");
  expect(await app.logs()).toContain("app[web.1]: no luck");
});

test("clause 12: files of no known language are refused with a hint", async () => {
  const strange = await stator.createApp({ "notes.txt": "no code" });
  const pushed = await strange.push();
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toContain(" !     No default language could be detected for this app.\n");
  expect(pushed.text).toContain("\t\t\tHINT: This occurs when Stator cannot detect the buildpack");
  expect(pushed.text).toContain(" !     Push failed\n");
});

test("a commit without a file is refused in the same way", async () => {
  const empty = await stator.createApp({});
  const pushed = await empty.push();
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toContain("No default language could be detected for this app.");
});

test("a push to an app that is not there names it", async () => {
  await app.git("remote", "add", "nowhere", `${stator.credentials.git}/no-such-app.git`);
  const pushed = await app.push("nowhere", "main");
  expect(pushed.exitCode).toBe(128);
  expect(pushed.text).toContain("!\tNo such app as no-such-app.");
  expect(pushed.text).toMatch(/fatal: repository '.*no-such-app\.git\/' not found/);
});

test("a wrong token is refused with the way to a right one", async () => {
  const home = join(stator.work, "stranger");
  mkdirSync(home);
  const pushed = asPush(
    await exec(["git", "push", "stator", "main"], {
      cwd: app.folder,
      env: { ...userEnvironment(home), ...askPass(stator.work, "STTR-not-the-token") },
    }),
  );
  expect(pushed.exitCode).toBe(128);
  expect(pushed.text).toContain(
    "!\tWARNING:\n!\tDo not authenticate with username and password using git.\n!\tRun `stator login` to update your credentials, then retry the git command.\n",
  );
  expect(pushed.text).toContain("fatal: Authentication failed for");
});

test("without a token nothing is handed out, also not whether an app is there", async () => {
  for (const path of [
    `/${app.name}.git/info/refs?service=git-upload-pack`,
    "/no-such-app.git/info/refs?service=git-upload-pack",
    "/",
  ])
    expect((await stator.ask("git", path)).status).toBe(401);
  for (const path of ["/apps", "/account", `/apps/${app.name}/config-vars`]) {
    const response = await stator.ask("api", path, {
      headers: { accept: "application/vnd.heroku+json; version=3" },
    });
    expect(response.status).toBe(401);
  }
});

test("what is not a repository, or not a way of git's, is refused", async () => {
  const authorization = `Basic ${btoa(`x:${stator.credentials.token}`)}`;
  const status = async (path: string, init: RequestInit = {}) =>
    (await stator.ask("git", path, { ...init, headers: { authorization } })).status;
  const repository = `/${app.name}.git`;
  expect(await status("/")).toBe(404);
  expect(await status("/%2e%2e/etc/passwd")).toBe(404);
  expect(await status(`${repository}/objects/info/packs`)).toBe(404);
  expect(await status(`${repository}/config`)).toBe(404);
  expect(await status(`${repository}/info/refs`)).toBe(403);
  expect(await status(`${repository}/info/refs?service=git-evil`)).toBe(403);
  expect(await status(`${repository}/git-receive-pack`)).toBe(405);
});

test("a push without a word, or with nonsense in it, harms nothing", async () => {
  const headers = {
    authorization: `Basic ${btoa(`x:${stator.credentials.token}`)}`,
    "content-type": "application/x-git-receive-pack-request",
  };
  for (const body of ["", "nonsense", "0000", "ffff", "0000PACK", "\0".repeat(5000)])
    await (
      await stator.ask("git", `/${app.name}.git/git-receive-pack`, {
        method: "POST",
        headers,
        body,
      })
    ).text();
  const packed = await stator.ask("git", `/${app.name}.git/git-receive-pack`, {
    method: "POST",
    headers: { ...headers, "content-encoding": "gzip" },
    body: "this is not gzip",
  });
  await packed.text().catch(() => "");
  expect(await (await app.get()).text()).toBe("version good");
  expect((await app.git("ls-remote", "stator")).exitCode).toBe(0);
});

test("a Procfile with a byte order mark, CRLF and tabs is understood", async () => {
  app.write({
    Procfile: "\uFEFFweb:\tnode server.js dos \t\r\n\r\nworker:   sleep 1000\r\n",
  });
  await app.commit("From another world");
  const pushed = await app.push();
  expect(pushed.text).toContain("Procfile declares types -> web, worker\n");
  expect(await (await app.get()).text()).toBe("version dos");
  await app.git("revert", "--no-edit", "HEAD");
  expect((await app.push()).exitCode).toBe(0);
});

test("a Procfile of nonsense declares nothing, says so, and the app's defaults are used", async () => {
  const strange = await stator.createApp({
    ...probeFiles("nonsense"),
    ...scripts({ start: "node server.js started" }),
    Procfile: "this is nonsense\n\u0000\u0001\u0002\n: no type\nweb without a colon\n",
  });
  const pushed = await strange.push();
  expect(pushed.text).toContain("Procfile declares types     -> (none)\n");
  expect(pushed.text).toContain(
    "The Procfile has no line of the form `type: command`, so it declares nothing.",
  );
  expect(await (await strange.get()).text()).toBe("version started");
});

test("an app without any process type is told that nothing runs", async () => {
  const idle = await stator.createApp({ ...probeFiles(), Procfile: "worker: sleep 100\n" });
  rmSync(join(idle.folder, "server.js"));
  idle.write({ "index.js": "" });
  await idle.commit();
  const pushed = await idle.push();
  expect(pushed.exitCode).toBe(0);
  expect((await idle.get()).status).toBe(503);
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { githubToken } from "../helpers/github-api.ts";
import { type OutsideServer, startOutsideServer } from "../helpers/outside-server.ts";
import { startStator, type StatorApp, type StatorServer } from "../helpers/stator-server.ts";

let stator: StatorServer;
let outside: OutsideServer;
beforeAll(async () => {
  outside = await startOutsideServer();
  stator = await startStator({ variables: { STATOR_GITHUB_API: `${outside.address}/github/` } });
});
afterAll(async () => {
  await stator.stop();
  await outside.stop();
});

/** A buildpack that leaves a word of its own in the app, and tells the next one of it. */
function wordPack(word: string, more: Record<string, string> = {}): Record<string, string> {
  return {
    "bin/detect": `#!/bin/sh\necho ${word} pack\n`,
    "bin/compile": `#!/bin/sh
echo "-----> ${word} sees [$WORDS] in $(pwd | sed 's|.*/||' | cut -c 1-4), stack $STACK"
echo "${word}" >> "$1/words"
echo "export WORDS='$WORDS ${word}'" > export
`,
    "bin/release": `#!/bin/sh\necho "---"\necho "default_process_types:"\necho "  web: python3 -m http.server \\$PORT"\necho "  ${word}: sleep 100"\n`,
    ...more,
  };
}

const set = (app: StatorApp, ...buildpacks: string[]) =>
  app.api<{ buildpack: { name: string; url: string } }[]>("PUT", "/buildpack-installations", {
    updates: buildpacks.map((buildpack) => ({ buildpack })),
  });

async function freshApp(files: Record<string, string> = { "hello.txt": "hello" }) {
  return stator.createApp(files);
}

test("clause 66: several buildpacks run in their order, each with the export of those before; the last one's types are used", async () => {
  await outside.commit("one", wordPack("one"));
  await outside.commit("two", wordPack("two"));
  const app = await freshApp();
  await set(app, `${outside.address}/one.git`, `${outside.address}/two.git`);
  const { text } = await app.push();
  expect(text).toContain(
    `-----> Using buildpacks:\n       1. ${outside.address}/one.git\n       2. ${outside.address}/two.git\n`,
  );
  expect(text).toMatch(/-----> one sees \[\] in [0-9a-f]{4}, stack heroku-2\d\n/);
  expect(text).toMatch(/-----> two sees \[ one\] in/);
  expect(text).toContain("Default types for buildpack -> web, two\n");
  expect(text).toContain("Verifying deploy... done.");
  expect(await (await app.get("/words")).text()).toBe("one\ntwo\n");
});

test("clause 67: a branch, a tag and a commit are checked out, and the commit is recorded and shown", async () => {
  const first = await outside.commit("pinned", wordPack("first"), "v1");
  const second = await outside.commit("pinned", wordPack("second"));
  await exec(["git", "-C", outside.path("pinned"), "branch", "--force", "old", first]);
  const app = await freshApp();
  for (const [ref, word, commit] of [
    ["", "second", second],
    ["#main", "second", second],
    ["#v1", "first", first],
    ["#old", "first", first],
    [`#${second}`, "second", second],
    [`#${first.slice(0, 8)}`, "first", first],
  ] as const) {
    const url = `${outside.address}/pinned.git${ref}`;
    await set(app, url);
    await app.commit();
    const { text } = await app.push();
    expect(text).toContain(`-----> Using buildpack: ${url}\n       ${url} is at ${commit}\n`);
    expect(text).toContain(`-----> ${word} pack app detected\n`);
    const all = await app.api<{ buildpacks: { name: string; version: string }[] }[]>(
      "GET",
      "/builds",
    );
    expect(
      all.some(({ buildpacks }) => buildpacks[0]?.name === url && buildpacks[0].version === commit),
    ).toBe(true);
  }
  await set(app, `${outside.address}/pinned.git#nowhere`);
  await app.commit();
  const missing = await app.push();
  expect(missing.text).toContain("has no branch, tag or commit nowhere.");
  expect(missing.exitCode).not.toBe(0);
});

test("a commit is fetched once, and a branch that has moved is told", async () => {
  const before = await outside.commit("moving", wordPack("before"));
  const app = await freshApp();
  await set(app, `${outside.address}/moving.git`);
  await app.push();
  await outside.asked();
  await app.commit();
  expect((await app.push()).text).not.toContain("has changed");
  const asked = await outside.asked();
  expect(asked.filter((line) => line.includes("info/refs"))).toHaveLength(1);
  await outside.commit("moving", wordPack("after"));
  await app.commit();
  const { text } = await app.push();
  expect(text).toContain(
    ` !     The buildpack has changed since the last build, which had ${before}.`,
  );
});

test("of a repository the three commits that were used last are kept, and none that nobody has used for long", async () => {
  const app = await freshApp();
  await set(app, `${outside.address}/kept.git`);
  const commits: string[] = [];
  const kept = async () =>
    (await exec(["find", join(stator.dataDir, "buildpack-archives"), "-name", "*.tar"])).stdout;
  for (let count = 0; count < 5; count++) {
    commits.push(await outside.commit("kept", wordPack(`kept${count}`)));
    // The first of them has been used long ago, the others just now.
    await app.commit();
    await app.push();
    if (count === 0)
      await exec([
        "find",
        stator.dataDir,
        "-name",
        `${commits[0]}.tar`,
        "-exec",
        "touch",
        "-d",
        "2020-01-01",
        "{}",
        ";",
      ]);
    expect((await kept()).includes(`${commits[0]}.tar`)).toBe(count === 0);
  }
  const left = await kept();
  expect(commits.filter((commit) => left.includes(commit))).toEqual(commits.slice(2));
});

test("GitHub's are asked for by its API and brought as its archives; private ones by their token, which is never shown", async () => {
  const open = await outside.commit("acme/pack", wordPack("acme"), "v1");
  const closed = await outside.commit("secret/pack", wordPack("closed"));
  await outside.commit("acme/pack", wordPack("later"));
  const app = await freshApp();
  await set(
    app,
    "https://github.com/acme/pack.git#v1",
    `https://${githubToken}@github.com/secret/pack`,
  );
  await outside.asked();
  const { text } = await app.push();
  expect(text).toContain(`https://github.com/acme/pack.git#v1 is at ${open}\n`);
  expect(text).toContain(`https://github.com/secret/pack is at ${closed}\n`);
  expect(text).toContain("-----> closed sees [ acme]");
  expect(text).not.toContain("opensesame");
  expect(await (await app.get("/words")).text()).toBe("acme\nclosed\n");
  expect(await outside.asked()).toEqual([
    "GET /github/repos/acme/pack/commits/v1",
    `GET /github/repos/acme/pack/tarball/${open}`,
    `GET /github/codeload/acme/pack/tarball/${open}`,
    "GET /github/repos/secret/pack/commits/HEAD",
    `GET /github/repos/secret/pack/tarball/${closed}`,
    `GET /github/codeload/secret/pack/tarball/${closed}`,
  ]);
  const stranger = await freshApp();
  await set(stranger, "https://github.com/secret/pack");
  const refused = await stranger.push();
  expect(refused.text).toContain("or it is private: https://TOKEN@github.com/");
  expect(refused.exitCode).not.toBe(0);
});

test("a private repository opens by what stands in its address, which is never shown", async () => {
  await outside.commit("private/pack", wordPack("secret"));
  const app = await freshApp();
  const shown = await set(app, `${outside.withPassword}/private/pack.git`);
  expect(JSON.stringify(shown)).not.toContain("opensesame");
  expect(shown[0]?.buildpack.name).toBe(`${outside.address}/private/pack.git`);
  const { text } = await app.push();
  expect(text).toContain("-----> secret pack app detected");
  expect(text).not.toContain("opensesame");
  // As the API shows it, it keeps its password; of another app it has none.
  await set(app, `${outside.address}/private/pack.git`, `${outside.address}/one.git`);
  await app.commit();
  expect((await app.push()).text).toContain("-----> secret pack app detected");
  const stranger = await freshApp();
  await set(stranger, `${outside.address}/private/pack.git`);
  const refused = await stranger.push();
  expect(refused.text).toContain("Cannot fetch the buildpack");
  expect(refused.exitCode).not.toBe(0);
  const kept = await exec(["grep", "-rlaF", "opensesame", stator.dataDir]);
  expect(kept.stdout).toBe("");
});

test("an archive is a buildpack too, with or without an outer folder", async () => {
  await outside.commit("archived", wordPack("archived"));
  await exec(["tar", "-C", outside.path(), "-czf", outside.path("folder.tgz"), "archived"]);
  await exec(["tar", "-C", outside.path("archived"), "-czf", outside.path("flat.tar.gz"), "."]);
  const app = await freshApp();
  for (const name of ["folder.tgz", "flat.tar.gz"]) {
    const [shown] = await set(app, `${outside.address}/${name}?signature=opensesame`);
    expect(shown?.buildpack.name).toBe(`${outside.address}/${name}`);
    await app.commit();
    const { text } = await app.push();
    expect(text).toContain("-----> archived pack app detected");
    expect(text).toMatch(/ is at [0-9a-f]{64}\n/);
    expect(text).not.toContain("opensesame");
    expect(await outside.asked()).toContain(`GET /${name}?signature=opensesame`);
  }
});

test("an archive that leads out of its folder is refused by name", async () => {
  await exec([
    "tar",
    "-C",
    outside.path("one"),
    "-czPf",
    outside.path("bad.tgz"),
    "--transform=s,^./bin,../../bin,",
    "./bin",
  ]);
  const app = await freshApp();
  await set(app, `${outside.address}/bad.tgz`);
  const { text, exitCode } = await app.push();
  expect(text).toContain("leads out of its folder by `..`");
  expect(exitCode).not.toBe(0);
});

test("a file of the app names its buildpacks, and the app can be its own", async () => {
  const app = await freshApp({
    "app.json": JSON.stringify({ buildpacks: [{ url: `${outside.address}/one` }] }),
  });
  expect((await app.push()).text).toContain(
    "Using buildpack: " + `${outside.address}/one (app.json)`,
  );
  const multi = await freshApp({
    ".buildpacks": `# two\n${outside.address}/one.git\n${outside.address}/two.git\n`,
  });
  expect((await multi.push()).text).toContain("-----> Using buildpacks: (.buildpacks)");
  const project = await freshApp({
    "project.toml": `[_]\nschema-version = "0.2"\n[[io.buildpacks.group]]\nuri = "${outside.address}/two.git"\n`,
  });
  expect((await project.push()).text).toContain("two.git (project.toml)");
  const inline = await freshApp();
  inline.write(wordPack("own"));
  await inline.git("add", "--all");
  await inline.git("update-index", "--chmod=+x", "bin/detect", "bin/compile", "bin/release");
  await inline.commit();
  await exec([
    "chmod",
    "+x",
    `${inline.folder}/bin/detect`,
    `${inline.folder}/bin/compile`,
    `${inline.folder}/bin/release`,
  ]);
  await inline.commit();
  const { text } = await inline.push();
  expect(text).toContain(
    "-----> Using buildpack: inline (bin/compile)\n-----> own pack app detected",
  );
  expect(await (await inline.get("/words")).text()).toBe("own\n");
});

test("a compile that dies, a detect that refuses and a release that prints nothing say what they are", async () => {
  await outside.commit("dies", wordPack("dies", { "bin/compile": "#!/bin/sh\nkill -9 $$\n" }));
  await outside.commit(
    "refuses",
    wordPack("refuses", { "bin/detect": "#!/bin/sh\necho no such app >&2\nexit 1\n" }),
  );
  await outside.commit("silent", wordPack("silent", { "bin/release": "#!/bin/sh\n" }));
  const app = await freshApp({ Procfile: "web: python3 -m http.server $PORT\n" });
  await set(app, `${outside.address}/dies.git`);
  expect((await app.push()).text).toContain("Push rejected, failed to compile dies pack app.");
  await set(app, `${outside.address}/refuses.git`);
  const refused = await app.push();
  expect(refused.text).toContain(
    `-----> App not compatible with buildpack: ${outside.address}/refuses.git\nno such app\n`,
  );
  await set(app, `${outside.address}/silent.git`);
  expect((await app.push()).text).toContain("Verifying deploy... done.");
});

test("clause 65: the add-ons that a buildpack wants are told at the first deploy, and never again", async () => {
  const release = "---\\naddons:\\n  - heroku-postgresql\\n  - acme:small\\n  - ../nonsense\\n";
  await outside.commit(
    "wants",
    wordPack("wants", { "bin/release": `#!/bin/sh\nprintf -- '${release}'\n` }),
  );
  const app = await freshApp({ Procfile: "web: python3 -m http.server $PORT\n" });
  await set(app, `${outside.address}/wants.git`);
  const wanted = "The buildpack wants the app to have heroku-postgresql, acme:small:";
  const first = await app.push();
  expect(first.text).toContain(
    ` !     ${wanted} this platform has no such add-on, so nothing was added.\n` +
      ` !     Run the service yourself and give the app its address: stator config:set DATABASE_URL=postgres://… NAME=… -a ${app.name}\n`,
  );
  expect(first.text).toContain("1 of its addons are no names of add-ons");
  expect(first.text).toContain("Verifying deploy... done.");
  await app.commit();
  const second = await app.push();
  expect(second.text).not.toContain(wanted);
  expect(second.text).toContain("Verifying deploy... done.");
});

test("a release that fails, complains or tells config vars is told, and what it says is used", async () => {
  await outside.commit(
    "complains",
    wordPack("complains", {
      "bin/release": `#!/bin/sh
echo "cannot find $(cat /tmp/env_*/LONG)" >&2
printf -- '---\\ndefault_process_types:\\n  web: python3 -m http.server $PORT\\n  %s: sleep 9\\n' "$(cat /tmp/env_*/LONG)"
exit 3
`,
    }),
  );
  const app = await freshApp();
  await app.api("PATCH", "/config-vars", { LONG: "xyzzy-plugh" });
  await set(app, `${outside.address}/complains.git`);
  const { text } = await app.push();
  expect(text).toContain("-----> Discovering process types\ncannot find [MASKED]\n");
  expect(text).toContain(" !     The buildpack's bin/release ended with status 3.\n");
  expect(text).toContain("Default types for buildpack -> web, [MASKED]\n");
  expect(text).not.toContain("plugh");
  expect(text).toContain("Verifying deploy... done.");
});

test("a buildpack that puts a link in the place of the buildpacks' folder leads nobody out of the build", async () => {
  const trap = mkdtempSync(join(tmpdir(), "stator-trap-"));
  const stranger = await outside.commit(
    "trap",
    wordPack("trap", {
      "bin/compile": `#!/bin/sh\nrm -rf /tmp/codon/tmp/buildpacks\nln -s ${trap} /tmp/codon/tmp/buildpacks\n`,
    }),
  );
  const app = await freshApp();
  await set(app, `${outside.address}/trap.git#${stranger}`, `${outside.address}/one.git`);
  const { text, exitCode } = await app.push();
  expect(text).toContain("-----> trap pack app detected");
  expect(readdirSync(trap)).toEqual([]);
  expect(exitCode).not.toBe(0);
  rmSync(trap, { recursive: true });
});

test("a source at a signed address is built from, and its signature is not shown", async () => {
  const app = await freshApp({ "hello.txt": "from an address" });
  await set(app, `${outside.address}/one.git`);
  await app.git("archive", "--format=tar.gz", "--output", outside.path("source.tar.gz"), "HEAD");
  for (const [file, word] of [
    ["source.tar.gz", "Verifying deploy... done."],
    ["gone.tar.gz", "gone.tar.gz does not exist"],
  ]) {
    const url = `${outside.address}/${file}?signature=opensesame`;
    const build = await app.api<{ id: string; output_stream_url: string }>("POST", "/builds", {
      source_blob: { url },
    });
    const output = await (
      await stator.ask("api", new URL(build.output_stream_url).pathname)
    ).text();
    expect(output).toContain(word as string);
    expect(output).not.toContain("opensesame");
    expect(JSON.stringify(await app.api("GET", `/builds/${build.id}`))).not.toContain("opensesame");
  }
  expect(await (await app.get("/hello.txt")).text()).toBe("from an address");
});

test("config vars are masked in what buildpacks say", async () => {
  await outside.commit(
    "tells",
    wordPack("tells", {
      "bin/compile": '#!/bin/sh\nfor f in "$3"/*; do echo "$(basename $f)=$(cat $f)"; done\n',
    }),
  );
  const app = await freshApp();
  await app.api("PATCH", "/config-vars", { LONG: "xyzzy-plugh", SHORT: "xyzzy" });
  await set(app, `${outside.address}/tells.git`);
  const { text } = await app.push();
  expect(text).toContain("LONG=[MASKED]\nSHORT=xyzzy\n");
  expect(text).not.toContain("plugh");
  // Neither in what a release command says to who pushed, which is kept with the build.
  app.write({ Procfile: 'release: printf %s "it is $LONG" && echo -n xyzzy-plu\n' });
  await app.commit();
  const released = await app.push();
  expect(released.text).toContain("it is [MASKED]xyzzy-pluWaiting for release.... done.\n");
  const builds = await app.api<{ output_stream_url: string }[]>("GET", "/builds");
  for (const { output_stream_url: url } of builds)
    expect(await (await stator.ask("api", new URL(url).pathname)).text()).not.toContain("plugh");
});

test("clause 72: submodules are in the build, also private ones and those of submodules", async () => {
  await outside.commit("inner", { "inner.txt": "the inner one" });
  await outside.commit("library", { "library.txt": "the library" });
  const git = (path: string, ...args: string[]) =>
    exec(["git", "-C", path, "-c", "protocol.file.allow=always", ...args], {
      env: stator.gitEnvironment,
    });
  await git(
    outside.path("library"),
    "submodule",
    "add",
    "--quiet",
    `${outside.address}/inner.git`,
    "deep/inner",
  );
  await git(outside.path("library"), "commit", "--quiet", "-m", "With the inner one");
  await outside.commit("private/module", { "private.txt": "the private one" });
  const app = await freshApp({ "hello.txt": "x" });
  await set(app, `${outside.address}/one.git`);
  await git(
    app.folder,
    "submodule",
    "add",
    "--quiet",
    `${outside.address}/library.git`,
    "vendor/library",
  );
  await git(
    app.folder,
    "submodule",
    "add",
    "--quiet",
    `${outside.withPassword}/private/module.git`,
    "private",
  );
  await app.commit();
  const { text } = await app.push();
  expect(text).toContain("-----> Git submodules detected, installing:\n");
  expect(text).not.toContain("opensesame");
  expect(text).toContain("Verifying deploy... done.");
  expect(await (await app.get("/vendor/library/library.txt")).text()).toBe("the library");
  expect(await (await app.get("/vendor/library/deep/inner/inner.txt")).text()).toBe(
    "the inner one",
  );
  expect(await (await app.get("/private/private.txt")).text()).toBe("the private one");
  app.write({
    ".gitmodules": '[submodule "private"]\n\tpath = private\n\turl = git@example.com:x/y.git\n',
  });
  await app.commit();
  const refused = await app.push();
  expect(refused.text).toContain("its address in .gitmodules must begin with https://");
  expect(refused.exitCode).not.toBe(0);
});

test("clause 67: names are looked for where the operator says, official ones instead of built-in ones, and loose ones refused", async () => {
  for (const name of ["acme/pack", "heroku/nodejs"]) {
    const word = name.replace("/", "-");
    await outside.commit(`registry/${word}`, wordPack(word));
    await exec(["mkdir", "-p", outside.path("registry", name, "..")]);
    await exec([
      "tar",
      "-C",
      outside.path("registry", word),
      "-czf",
      outside.path("registry", `${name}.tgz`),
      "bin",
    ]);
  }
  const pinned = await outside.commit("loose", wordPack("loose"));
  const strict = await startStator({
    variables: {
      STATOR_BUILDPACK_MIRROR: `${outside.address}/registry/`,
      STATOR_BUILDPACKS: "official",
      STATOR_BUILDPACK_PINS: "required",
    },
  });
  try {
    const app = await strict.createApp({ "hello.txt": "hello", "package.json": "{}" });
    await set(app, "acme/pack", "heroku/nodejs");
    const { text } = await app.push();
    expect(text).toContain("-----> acme-pack pack app detected");
    expect(text).toContain("-----> heroku-nodejs pack app detected");
    await set(app, `${outside.address}/loose.git`);
    await app.commit();
    const refused = await app.push();
    expect(refused.text).toContain(
      "The operator of this platform requires buildpacks with their commit",
    );
    expect(refused.exitCode).not.toBe(0);
    await set(app, `${outside.address}/loose.git#${pinned}`);
    await app.commit();
    expect((await app.push()).text).toContain("-----> loose pack app detected");
    expect(set(app, "acme/nothing")).rejects.toThrow("is not in the buildpack registry");
    app.write({ ".buildpacks": "acme/nothing\n" });
    await set(app);
    await app.commit();
    expect((await app.push()).text).toContain("/registry/acme/nothing.tgz does not exist");
  } finally {
    await strict.stop();
  }
});

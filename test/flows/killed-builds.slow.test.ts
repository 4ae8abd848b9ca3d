import { afterAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { tryRead } from "../../src/runtime/read-file.ts";
import { startOutsideServer } from "../helpers/outside-server.ts";
import { findProcesses, startStator, until } from "../helpers/stator-server.ts";

const outside = await startOutsideServer();
const stator = await startStator();
afterAll(async () => {
  await stator.stop();
  await outside.stop();
});

/** A program of a buildpack that becomes a sleep when the app's file `stop` says so, under the file's word. */
const program = (step: string, rest: string) => `#!/bin/bash
read -r step word < "$1/stop"
if [ "$step" = ${step} ]; then exec sleep "$word"; fi
${rest}`;

await outside.commit("first", {
  "bin/detect": program("detect", "echo first\n"),
  "bin/compile": program(
    "compile",
    `if [ "$step" = archive ]; then head -c 150M /dev/urandom > "$1/noise"; fi
if [ "$step" = export ]; then echo "exec sleep $word" > export; fi
`,
  ),
});
await outside.commit("last", {
  "bin/detect": "#!/bin/sh\necho last\n",
  "bin/compile": "#!/bin/sh\n",
  "bin/release": program("release", "echo --- {}\n"),
});

const web = "web: python3 -m http.server $PORT\n";
const app = await stator.createApp({ Procfile: web, stop: "nowhere\n", version: "0" });
await app.api("PUT", "/buildpack-installations", {
  updates: ["first", "last"].map((name) => ({ buildpack: `${outside.address}/${name}.git` })),
});

/** What a build has on the machine while it is under way. */
async function traces(): Promise<Record<string, string[] | number>> {
  const { dataDir, instance } = stator;
  const list = (path: string) => (existsSync(path) ? readdirSync(path).sort() : []);
  const found = await exec([
    ...(["find", dataDir, "("] as const),
    ...["-name", "new-*", "-o", "-name", "*.git/*.lock", "-o", "-name", "tmp_objdir-*", ")"],
  ]);
  const groups = await exec(["find", "/sys/fs/cgroup", "-path", `*/stator-${instance}/*`]);
  const addresses = list("/run/stator/addresses").filter((name) =>
    tryRead(join("/run/stator/addresses", name)).startsWith(`${instance} `),
  );
  const links = await exec(["ip", "-oneline", "link"]);
  const rows = (text: string, word: string) =>
    text.split("\n").filter((row) => row.includes(word)).length;
  return {
    builds: list(join(dataDir, "box/builds")),
    unfinished: found.stdout.split("\n").filter(Boolean),
    dynos: list(join(dataDir, "box/dynos")).length,
    mounts: rows(readFileSync("/proc/self/mountinfo", "utf8"), `/run/stator/${instance}`),
    controlGroups: rows(groups.stdout, "/"),
    containers: list(`/run/stator/${instance}/containers`).length,
    addresses: addresses.length,
    links: rows(links.stdout, `st${instance}-`),
  };
}

let version = 0;
async function pushNext(files: Record<string, string> = {}) {
  app.write({ Procfile: web, stop: "nowhere\n", ...files, version: String(++version) });
  await app.commit();
  return app.push("stator", "main", "--force");
}
const served = async () => (await app.get("/version")).text();
const mainRef = async () => (await app.git("ls-remote", "stator", "main")).stdout;
const inOrder = async (path: "/builds" | "/releases") =>
  (await app.api<{ status: string; created_at: string }[]>("GET", path)).sort((one, other) =>
    one.created_at.localeCompare(other.created_at),
  );

const first = await pushNext();
let settled: Awaited<ReturnType<typeof traces>>;
await until("the first dyno is alone", async () => {
  settled = await traces();
  return settled.containers === 1 && settled.addresses === 1;
});

test("clause 60: what bin/detect says is the name, and it is asked with the app's folder", async () => {
  expect(first.text).toContain("-----> first app detected\n-----> last app detected\n");
  expect(first.text).toContain("Verifying deploy... done.");
  expect(settled).toMatchObject({ builds: [], unfinished: [], dynos: 1 });
});

const archiving = () =>
  findProcesses(`${stator.instance}/box/builds/`)
    .concat(findProcesses(join(stator.dataDir, "box/builds/")))
    .filter(({ argv }) => argv[0]?.endsWith("tar") && argv.includes("./app"));

for (const step of ["detect", "compile", "export", "release", "archive", "release phase"])
  for (const killed of ["the step", "the server"])
    test(`kill -9 of ${killed} in ${step}: nothing of it stays, the old release serves, the next push works`, async () => {
      const word = `1000.${crypto.getRandomValues(new Uint32Array(1))[0]}`;
      const [ref, old] = [await mainRef(), await served()];
      const releases = await inOrder("/releases");
      const pushing = pushNext(
        step === "release phase"
          ? { Procfile: `${web}release: exec sleep ${word}\n` }
          : { stop: `${step} ${word}\n` },
      );
      const running = () =>
        step === "archive"
          ? archiving()
          : findProcesses(word).filter(({ argv }) => argv[0] === "sleep");
      await until(`${step} is under way`, () => running().length > 0);
      if (killed === "the step") for (const { pid } of running()) process.kill(pid, "SIGKILL");
      else await stator.kill("SIGKILL");
      const { text, exitCode } = await pushing;
      if (killed === "the server") await stator.restart();
      await until("its processes are gone", () => running().length === 0);
      const quiet = async () => Bun.deepEquals(await traces(), settled);
      await until("nothing is left of it", quiet).catch(() => {});
      expect(await traces()).toEqual(settled);

      expect(await served()).toBe(old);
      const build = (await inOrder("/builds")).at(-1);
      const after = await inOrder("/releases");
      if (step === "release phase") {
        // The build was good; the release is there, and it has failed (contract §4.6).
        expect(after.slice(releases.length).map(({ status }) => status)).toEqual(["failed"]);
        if (killed === "the step") {
          expect(text).toContain("Waiting for release.... failed.\n");
          expect(exitCode).toBe(0);
        }
      } else {
        expect(exitCode).not.toBe(0);
        expect(build?.status).toBe("failed");
        expect(after).toEqual(releases);
        expect(await mainRef()).toBe(ref);
        if (killed === "the step") expect(text).toContain(" !     Push failed\n");
      }

      const next = await pushNext();
      expect(next.text).toContain("Verifying deploy... done.");
      expect(next.exitCode).toBe(0);
      expect(await served()).toBe(String(version));
    });

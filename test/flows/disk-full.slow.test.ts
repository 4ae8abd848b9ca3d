import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Argv, exec, execOk } from "../../src/lib/exec.ts";
import { constantRequests } from "../helpers/constant-requests.ts";
import {
  packageJson,
  probeFiles,
  startStator,
  type StatorApp,
  type StatorServer,
  until,
} from "../helpers/stator-server.ts";

const megabyte = 1024 * 1024;
let folder = "";
let disk = "";
let stator: StatorServer;
let app: StatorApp;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stator-disk-"));
  const image = join(folder, "image");
  disk = join(folder, "disk");
  mkdirSync(disk);
  writeFileSync(image, "");
  truncateSync(image, 700 * megabyte);
  await execOk(["mkfs.ext4", "-q", "-F", "-m", "0", image]);
  await execOk(["mount", "-o", "loop", image, disk]);
  stator = await startStator({ dataDir: join(disk, "data") });
  app = await stator.createApp(probeFiles("good"));
  expect((await app.push()).exitCode).toBe(0);
});
afterAll(async () => {
  try {
    await stator.stop();
  } finally {
    await execOk(["umount", disk]);
    rmSync(folder, { recursive: true });
  }
});

const freeMegabytes = () => {
  const { bavail, bsize } = statfsSync(disk);
  return (bavail * bsize) / megabyte;
};

async function fill(leaveMegabytes: number): Promise<void> {
  const count = Math.floor(freeMegabytes() - leaveMegabytes);
  const argv: Argv = ["dd", "if=/dev/zero", `of=${join(disk, "ballast")}`, "bs=1M"];
  await exec([...argv, `count=${count}`, "status=none"] as unknown as Argv);
}
function unload(): void {
  for (const name of ["ballast", "last"]) rmSync(join(disk, name), { force: true });
}
afterEach(unload);

/** Does something on a full disk while requests go on, none of which may fail. */
async function underRequests<T>(task: () => Promise<T>): Promise<T> {
  const traffic = constantRequests(stator, app);
  const result = await task();
  await Bun.sleep(300);
  expect((await traffic.stop()).failures).toEqual([]);
  expect(await (await app.get()).text()).toBe("version good");
  return result;
}

test("with little room left a push is refused with what is there and what is needed", async () => {
  await fill(100);
  await app.commit("No room");
  const pushed = await underRequests(() => app.push());
  unload();
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toMatch(
    / !     Push refused: the disk of the platform has only \d+ MB left, a build needs 256 MB\.\n/,
  );
});

test("a build that fills the disk is ended before others have nothing left, and its room is given back", async () => {
  const before = freeMegabytes();
  app.write({
    "package.json": packageJson({ build: "dd if=/dev/urandom of=noise bs=1M status=none" }),
  });
  await app.commit("Fills");
  let least = before;
  const watch = setInterval(() => (least = Math.min(least, freeMegabytes())), 10);
  const pushed = await underRequests(() => app.push());
  clearInterval(watch);
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toContain(
    " !     The build was ended: it had filled the disk of the platform.",
  );
  expect(pushed.text).toContain("Push failed");
  expect(least).toBeLessThan(140);
  expect(least).toBeGreaterThan(0);
  await until("its room is given back", () => freeMegabytes() > before - 20);
});

test("a slug that does not fit any more is told", async () => {
  const count = Math.floor(freeMegabytes() - 200);
  app.write({
    "package.json": packageJson({
      build: `dd if=/dev/urandom of=noise bs=1M count=${count} status=none`,
    }),
  });
  await app.commit("Does not fit");
  const pushed = await underRequests(() => app.push());
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toMatch(/ !     .*disk/);
  expect(pushed.text).toContain(`!\tPush rejected to ${app.name}.`);
});

test("on a disk without a byte the server lives, the app serves, and a push is refused", async () => {
  await app.git("reset", "--quiet", "--hard", "HEAD~2");
  app.write({ "more.txt": "more" });
  await app.commit("More");
  await fill(0);
  await exec(["dd", "if=/dev/zero", `of=${join(disk, "last")}`, "bs=1k", "status=none"]);
  const pushed = await underRequests(() => app.push());
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toContain("disk");
  await Bun.sleep(6000);
  expect(await (await app.get()).text()).toBe("version good");
  unload();
  const again = await app.push();
  expect(again.text).toContain("Verifying deploy... done.");
});

test("on a disk without a byte an end of a dyno is still noticed, and the server can be stopped", async () => {
  await fill(0);
  await exec(["dd", "if=/dev/zero", `of=${join(disk, "last")}`, "bs=1k", "status=none"]);
  await app.shell("kill -TERM 1").catch(() => "");
  await Bun.sleep(1000);
  const stopped = stator.kill("SIGTERM");
  expect(await Promise.race([stopped, Bun.sleep(45_000).then(() => "it goes on")])).toBe(0);
});

import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { hostUserId } from "../../src/lib/id-range.ts";
import { createSlugStore, type SlugStore } from "../../src/slug/slug-store.ts";

let folder = "";
let store: SlugStore;
const range = 7;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stator-slugs-"));
  chmodSync(folder, 0o711);
  store = createSlugStore(join(folder, "archives"), join(folder, "unpacked"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function appFolder(files: Record<string, string>): string {
  const parent = mkdtempSync(join(folder, "build-"));
  const user = hostUserId(range);
  mkdirSync(join(parent, "app"));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(parent, "app", name), text);
    chownSync(join(parent, "app", name), user, user);
    utimesSync(join(parent, "app", name), 1, 1);
  }
  chownSync(join(parent, "app"), user, user);
  utimesSync(join(parent, "app"), 1, 1);
  return parent;
}

test("a slug is a gzip tar of ./app/ that is named by its SHA-256", async () => {
  const packed = await store.put(appFolder({ "server.js": "code" }), range);
  const path = join(folder, "archives", `${packed.sha256}.tgz`);
  expect(createHash("sha256").update(readFileSync(path)).digest("hex")).toBe(packed.sha256);
  expect(statSync(path).size).toBe(packed.sizeBytes);
  expect(statSync(path).mode & 0o077).toBe(0);
  const listed = await exec(["tar", "--list", "--gzip", "--file", path]);
  expect(listed.stdout).toBe("./app/\n./app/server.js\n");
  expect(readdirSync(join(folder, "archives"))).toEqual([`${packed.sha256}.tgz`]);
});

test("the same files make the same slug", async () => {
  const [one, other] = [
    await store.put(appFolder({ a: "1", b: "2" }), range),
    await store.put(appFolder({ b: "2", a: "1" }), range),
  ];
  expect(other).toEqual(one);
});

test("an unpacked slug that was swept is unpacked again, as the app's own", async () => {
  const { sha256 } = await store.put(appFolder({ "server.js": "code" }), range);
  const first = await store.open(sha256, range);
  rmSync(first, { recursive: true });
  const again = await store.open(sha256, range);
  expect(again).toBe(first);
  expect(readFileSync(join(again, "server.js"), "utf8")).toBe("code");
  expect(statSync(join(again, "server.js")).uid).toBe(hostUserId(range));
  expect(statSync(join(again, "..")).mode & 0o077).toBe(0);
});

test("an image's root keeps its dates, packed and unpacked again", async () => {
  const parent = appFolder({ module: "code" });
  const date = new Date("2031-02-03T04:05:06Z");
  utimesSync(join(parent, "app/module"), date, date);
  symlinkSync("/etc", join(parent, "app/out"));
  const { sha256 } = await store.put(parent, range, { isImage: true });
  expect(readFileSync(store.archive(sha256)).subarray(0, 4).toString("hex")).toBe("28b52ffd");
  rmSync(await store.open(sha256, range), { recursive: true });
  const again = await store.open(sha256, range);
  expect(statSync(join(again, "module")).mtime).toEqual(date);
  expect(statSync(join(again, "module")).uid).toBe(hostUserId(range));
  expect(readdirSync(again).sort()).toEqual(["module", "out"]);
});

test("an archive that is used again is held until a release keeps it", async () => {
  const { sha256 } = await store.put(appFolder({ a: "b" }), range);
  await store.keepUnpacked(range, new Set([sha256]));
  expect(store.claim("0".repeat(64))).toBe(false);
  expect(store.claim(sha256)).toBe(true);
  store.removeArchives([sha256]);
  expect(store.listArchives()).toEqual([sha256]);
  await store.keepUnpacked(range, new Set([sha256]));
  store.removeArchives([sha256]);
  expect(store.listArchives()).toEqual([]);
});

test("two that open the same slug at once get the same folder", async () => {
  const { sha256 } = await store.put(appFolder({ "server.js": "code" }), range);
  rmSync(await store.open(sha256, range), { recursive: true });
  const opened = await Promise.all([1, 2, 3, 4].map(() => store.open(sha256, range)));
  expect(new Set(opened).size).toBe(1);
  expect(readdirSync(join(folder, "unpacked", String(range)))).toEqual([sha256]);
});

test("links that lead out of a slug are kept as links and followed by nobody", async () => {
  const parent = appFolder({});
  symlinkSync("/etc/shadow", join(parent, "app/shadow"));
  const { sha256 } = await store.put(parent, range);
  const path = join(folder, "archives", `${sha256}.tgz`);
  const listed = await exec(["tar", "--list", "--verbose", "--gzip", "--file", path]);
  expect(listed.stdout).toContain("shadow -> /etc/shadow");
});

test("a slug that is gone is told in words", async () => {
  const problem = await store.open("ab".repeat(32), range).catch((error: Error) => error.message);
  expect(problem).toContain("is gone; deploy again");
});

test("the sweep spares what is kept and what is young", async () => {
  const { sha256 } = await store.put(appFolder({ a: "1" }), range);
  store.removeArchives([sha256]);
  await store.keepUnpacked(range, new Set());
  expect(existsSync(join(folder, "archives", `${sha256}.tgz`))).toBe(true);
  await store.keepUnpacked(range, new Set([sha256]));
  expect(existsSync(await store.open(sha256, range))).toBe(true);
  store.removeArchives([sha256]);
  expect(store.listArchives()).toEqual([]);
});

test("what a server that died was packing or taking is gone with the next one, and nothing else", async () => {
  const { sha256 } = await store.put(appFolder({ a: "1" }), range);
  const left = [join(folder, "archives/new-1"), join(folder, "unpacked", String(range), ".take-1")];
  writeFileSync(left[0] as string, "half");
  mkdirSync(join(left[1] as string, "app"), { recursive: true });
  const next = createSlugStore(join(folder, "archives"), join(folder, "unpacked"));
  while (left.some((path) => existsSync(path))) await Bun.sleep(5);
  expect(readdirSync(join(folder, "archives"))).toEqual([`${sha256}.tgz`]);
  expect(readdirSync(join(folder, "unpacked", String(range)))).toEqual([sha256]);
  expect(next.listArchives()).toEqual([sha256]);
});

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stackOfLibrary } from "../../src/build/stack.ts";
import { announcedName, openStacks } from "../../src/deploy/stacks.ts";
import { failureOf, pinned, registryOf } from "../../src/image/copy-image.ts";
import { withEntry } from "../../src/image/image-root.ts";
import { createImageStore, type ImageStore } from "../../src/image/image-store.ts";
import { reasonOf } from "../../src/image/image-tool.ts";
import { createLogs } from "../../src/logs/log-store.ts";
import { createAccount } from "../../src/model/account.ts";
import { createApp, findApp } from "../../src/model/app.ts";
import { closeDatabase, type Database, openDatabase } from "../../src/model/database.ts";
import { createSlug, findSlug, type Slug } from "../../src/model/slug.ts";
import { putStack, shownStack } from "../../src/model/stack.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { tarOf } from "../helpers/tar-of.ts";

let folder = "";
let database: Database;
let images: ImageStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stator-stacks-"));
  Bun.spawnSync(["chmod", "711", folder]);
  database = openDatabase(":memory:");
  images = createImageStore({
    ...{ folder: join(folder, "images"), freeDiskBytes: () => 1e12, minFreeDiskBytes: 0 },
  });
});
afterEach(() => {
  closeDatabase(database);
  rmSync(folder, { recursive: true, force: true });
});

const open = () =>
  openStacks({
    ...{ database, images, builtIn: ["host"], hostStack: "heroku-22", refusal: null },
    logs: createLogs({ dir: join(folder, "logs"), bounds: { maxBytes: 1e6, maxAgeMs: 1e6 } }),
    runtime: {} as Runtime,
  });

async function image(word: string) {
  const path = join(folder, `${word}.tar`);
  await Bun.write(path, await tarOf([[{ name: "etc/word" }, word]]));
  const stored = await images.add({ kind: "tar", path });
  return stored.digest;
}

const stack = (name: string, digest: string, buildDigest: string | null = null) =>
  putStack(database, {
    ...{ name, digest, buildDigest, announced: "heroku-24", title: "T", source: "S", sizeBytes: 1 },
  });
const user = () => createAccount(database, `u${crypto.randomUUID()}@example.com`);
const slugOf = (appId: string, on: Pick<Slug, "stack" | "stackDigest">) =>
  createSlug(database, {
    ...{
      appId,
      sha256: "ab",
      sizeBytes: 1,
      commit: "c",
      buildpackDescription: "",
      processTypes: {},
    },
    ...on,
  });

test("apps and slugs of a time before images are the machine's own", () => {
  const app = createApp(database, { name: "old", owner: user(), stack: "heroku-22" });
  const slug = slugOf(app.id, { stack: "heroku-22", stackDigest: null });
  const stacks = open();
  expect(findApp(database, "old").stack).toBe("host");
  expect(findSlug(database, slug.id)?.stack).toBe("host");
  expect(stacks.toRun(slug)).toEqual({ announced: "heroku-22", rootfs: undefined });
  stack("heroku-22", `sha256:${"1".repeat(64)}`);
  open();
  expect(findApp(database, "old").stack).toBe("host");
});

test("a stack of Heroku's that nobody has added is another name of the machine's own, until somebody adds it", () => {
  const stacks = open();
  const owner = user();
  const made = createApp(database, { name: "shop", owner, ...stacks.meantBy("heroku-24") });
  const now = () => findApp(database, "shop");
  const shown = () => [now().stack, shownStack(now()), shownStack(now(), "deb")];
  expect(shown()).toEqual(["host", "heroku-24", "deb"]);
  stacks.set(made, { name: "heroku-22", user: owner });
  expect(shown()).toEqual(["host", "heroku-22", "deb"]);
  open();
  expect(shown()).toEqual(["host", "heroku-22", "deb"]);
  stack("heroku-22", `sha256:${"1".repeat(64)}`);
  expect(shown()).toEqual(["host", "host", "deb"]);
  stacks.set(now(), { name: "heroku-22", user: owner });
  expect(shown()).toEqual(["heroku-22", "heroku-22", "deb"]);
});

test("a slug runs on the image that it was built for, whatever its stack is by now", async () => {
  const [one, two] = [await image("one"), await image("two")];
  const stacks = open();
  stack("deb", one);
  const app = createApp(database, { name: "shop", owner: user(), stack: "deb" });
  const slug = slugOf(app.id, { stack: "deb", stackDigest: one });
  stack("deb", two);
  expect(stacks.toRun(slug).rootfs).toBe(images.find(one)?.rootfs as string);
  expect(stacks.toBuild("deb").rootfs).toBe(images.find(two)?.rootfs as string);
});

test("images stay while a stack, a slug or a build needs them, and go then", async () => {
  const [run, build, other] = [await image("run"), await image("build"), await image("other")];
  const stacks = open();
  stack("deb", run, build);
  await stacks.sweep();
  const underWay = stacks.toBuild("deb");
  expect(underWay).toMatchObject({ digest: run, rootfs: images.find(build)?.rootfs });
  stack("deb", other);
  await stacks.sweep();
  const there = () => [run, build, other].map((digest) => images.find(digest)?.digest);
  expect(there()).toEqual([run, build, other]);
  const app = createApp(database, { name: "shop", owner: user(), stack: "host" });
  slugOf(app.id, { stack: "deb", stackDigest: run });
  underWay.release();
  await stacks.sweep();
  expect(there()).toEqual([run, undefined, other]);
});

test("one that apps or their code need is not removed", async () => {
  const digest = await image("one");
  const stacks = open();
  stack("deb", digest);
  const app = createApp(database, { name: "shop", owner: user(), stack: "deb" });
  const message = () =>
    stacks.remove("deb").then(
      () => "",
      (error: Error) => error.message,
    );
  expect(await message()).toBe(
    "The stack deb is the stack of shop. Set another one first: stator stack:set host -a shop",
  );
  slugOf(app.id, { stack: "deb", stackDigest: digest });
  stacks.set(app, { name: "host", user: user() });
  expect(await message()).toBe(
    "The stack deb is what code of shop was built for, which they can still go back to.",
  );
});

test("a stack whose image is gone says so, and how it comes back", () => {
  const stacks = open();
  stack("deb", `sha256:${"1".repeat(64)}`);
  expect(() => stacks.toBuild("deb")).toThrow(
    "The image sha256:111111111111 of the stack deb is gone from the server's disk. Add it again: stator stacks:add deb --from …",
  );
});

test("buildpacks are told a name of Heroku's", () => {
  expect(announcedName("heroku-26", "heroku-24", "heroku-22")).toBe("heroku-26");
  expect(announcedName("ours", "heroku-24", "heroku-22")).toBe("heroku-24");
  expect(announcedName("ours", "x; rm", "heroku-22")).toBe("heroku-22");
  expect(stackOfLibrary("glibc 2.36\n")).toBe("heroku-22");
  expect(stackOfLibrary("glibc 2.41\n")).toBe("heroku-24");
  expect(stackOfLibrary("")).toBe("heroku-24");
});

test("the containers' user is among an image's own, once", () => {
  const passwd =
    "root:x:0:0::/root:/bin/sh\nubuntu:x:1000:1000::/home/u:/bin/sh\nww:x:33:33::/:/x\n";
  const user = "dyno:x:1000:1000::/app:/bin/bash";
  const made = `root:x:0:0::/root:/bin/sh\nww:x:33:33::/:/x\n${user}\n`;
  expect(withEntry(passwd, user)).toBe(made);
  expect(withEntry(made, user)).toBe(made);
});

test("references are read as the tools do", () => {
  const digest = `sha256:${"1".repeat(64)}`;
  expect(pinned("x/y:24", digest)).toBe(`x/y@${digest}`);
  expect(pinned("h:5000/x/y", digest)).toBe(`h:5000/x/y@${digest}`);
  expect(pinned(`h:5000/x:1@${digest}`, digest)).toBe(`h:5000/x@${digest}`);
  expect(registryOf("heroku/heroku:24")).toBe("docker.io");
  expect(registryOf("localhost/x")).toBe("localhost");
  expect(registryOf("h:5000/x/y:1")).toBe("h:5000");
});

test("what the tools say is told without the marks of their logs", () => {
  const said = `time="x" level=fatal msg="Error parsing image name \\"docker://x/y\\": reading manifest 1 in x/y: manifest unknown"`;
  expect(reasonOf(said)).toBe("reading manifest 1 in x/y: manifest unknown");
  expect(reasonOf("   ⨯ open CAS: no")).toBe("open CAS: no");
  expect(failureOf("manifest unknown").id).toBe("not_found");
  expect(failureOf("unauthorized: authentication required").hint).toContain("password");
  expect(failureOf("dial tcp: lookup x: no such host").id).toBe("unavailable");
});

import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { createImageStore, type ImageStoreOptions } from "../../src/image/image-store.ts";
import { execOk } from "../../src/lib/exec.ts";
import { PlatformError } from "../../src/lib/platform-error.ts";
import { writeOciImage } from "../helpers/oci-image.ts";
import { type TarEntry, tarOf } from "../helpers/tar-of.ts";

let folder = "";
const mebibyte = 1024 * 1024;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stator-images-"));
  // Tools with other ids than ours have to come by.
  Bun.spawnSync(["chmod", "711", folder]);
});
afterEach(async () => void (await execOk(["rm", "-rf", "--", folder])));

const openStore = (change: Partial<ImageStoreOptions> = {}) =>
  createImageStore({
    folder: join(folder, "images"),
    freeDiskBytes: () => 1e12,
    minFreeDiskBytes: 256 * mebibyte,
    ...change,
  });

async function tarFile(entries: TarEntry[], compress = (tar: Buffer) => tar): Promise<string> {
  const path = join(folder, `${crypto.randomUUID()}.tar`);
  writeFileSync(path, compress(await tarOf(entries)));
  return path;
}

/** What is left in a store when something was refused: nothing. */
function leftovers(): string[] {
  return readdirSync(join(folder, "images"), { recursive: true }) as string[];
}

async function refusal(adding: Promise<unknown>): Promise<PlatformError> {
  const problem = await adding.catch((error: Error) => error);
  expect(problem).toBeInstanceOf(PlatformError);
  expect(leftovers()).toEqual([]);
  return problem as PlatformError;
}

const root: TarEntry[] = [
  [{ name: "./", type: "directory" }],
  [{ name: "./bin", type: "symlink", linkname: "usr/bin" }],
  [{ name: "./dev/", type: "directory" }],
  [{ name: "./dev/sda", type: "block-device" }],
  [{ name: "./etc/passwd" }, "root:x:0:0::/root:/bin/sh\nubuntu:x:1000:1000::/home/u:/bin/sh\n"],
  [{ name: "./etc/resolv.conf", type: "symlink", linkname: "../run/systemd/resolv.conf" }],
  [{ name: "./usr/bin/su", mode: 0o4755 }, "su"],
  [{ name: "./usr/bin/wall", mode: 0o2755 }, "wall"],
  [{ name: "./etc/shadow", mode: 0o640, uid: 0, gid: 42 }, "secret"],
];

test("a tar becomes a root that containers can have, under the sum of its bytes", async () => {
  const path = await tarFile(root, zstdCompressSync as (tar: Buffer) => Buffer);
  const sum = (await execOk(["sha256sum", path])).slice(0, 64);
  const store = openStore();
  const image = await store.add({ kind: "tar", path });
  expect(image.digest).toBe(`sha256:${sum}`);
  expect(image.config).toEqual({
    ...{ env: {}, entrypoint: [], cmd: [], workingDir: "", user: "", exposedPorts: [] },
  });
  expect(image.sizeBytes).toBeGreaterThan(20_000);
  expect(store.find(image.digest)).toEqual(image);
  expect(openStore().find(image.digest)).toEqual(image);
  const at = (name: string) => join(image.rootfs, name);
  for (const place of ["app", "dev", "proc", "tmp", "opt/stator", "sys/fs/cgroup", "etc/heroku"])
    expect(statSync(at(place)).isDirectory()).toBe(true);
  expect(readdirSync(at("dev"))).toEqual([]);
  expect(lstatSync(at("etc/resolv.conf")).isFile()).toBe(true);
  expect(readFileSync(at("etc/passwd"), "utf8")).toBe(
    "root:x:0:0::/root:/bin/sh\ndyno:x:1000:1000::/app:/bin/bash\n",
  );
  for (const name of ["usr/bin/su", "usr/bin/wall"])
    expect(statSync(at(name)).mode & 0o7777).toBe(0o755);
  // Nobody's: neither this machine's root's nor any app's.
  expect(statSync(at("usr/bin/su")).uid).toBeGreaterThanOrEqual(0xffff_0000);
  expect(statSync(at("etc/shadow")).mode & 0o777).toBe(0o640);
});

test("an OCI image has its layers over each other, and says how it is run", async () => {
  const oci = join(folder, "oci");
  const { digest } = await writeOciImage(oci, {
    layers: [
      root,
      [
        [{ name: "usr/bin/.wh.wall" }],
        [{ name: "etc/os-release" }, "ID=test\n"],
        [{ name: "opt/x/.wh..wh..opq" }],
        [{ name: "usr/bin/node", mode: 0o755 }, "node"],
      ],
    ],
    config: {
      ...{ Env: ["A=b=c", "EMPTY="], Entrypoint: ["/init"], Cmd: ["node", "x.js"] },
      ...{ WorkingDir: "/srv", User: "node", ExposedPorts: { "8080/tcp": {} } },
    },
  });
  const said: string[] = [];
  const image = await openStore().add(
    { kind: "oci", path: oci },
    { onProgress: (line) => said.push(line) },
  );
  expect(image.digest).toBe(digest);
  expect(image.config).toEqual({
    ...{ env: { A: "b=c", EMPTY: "" }, entrypoint: ["/init"], cmd: ["node", "x.js"] },
    ...{ workingDir: "/srv", user: "node", exposedPorts: ["8080/tcp"] },
  });
  expect(readdirSync(join(image.rootfs, "usr/bin")).sort()).toEqual(["node", "su"]);
  expect(readFileSync(join(image.rootfs, "etc/os-release"), "utf8")).toBe("ID=test\n");
  expect(statSync(join(image.rootfs, "usr/bin/su")).mode & 0o7777).toBe(0o755);
  expect(said).toContain("Checking layer 2 of 2");
  expect(said.at(-1)).toBe("Unpacking");
});

test("what is there is not made twice, and not swept before somebody has had the time to name it", async () => {
  const store = openStore();
  await writeOciImage(join(folder, "oci"), { layers: [root] });
  const source = { kind: "oci", path: join(folder, "oci") } as const;
  const [one, other] = await Promise.all([store.add(source), store.add(source)]);
  expect(one).toEqual(other);
  const { ino } = statSync(one.rootfs);
  await store.sweep(new Set());
  expect(statSync(one.rootfs).ino).toBe(ino);
  await store.sweep(new Set([one.digest]));
  expect(statSync(one.rootfs).ino).toBe(ino);
  await store.sweep(new Set());
  expect(leftovers()).toEqual([]);
  expect(store.find(one.digest)).toBeUndefined();
});

test("what a server that died was adding is swept away", async () => {
  const store = openStore();
  const image = await store.add({ kind: "tar", path: await tarFile(root) });
  const half = join(folder, "images/.new-half");
  mkdirSync(join(half, "rootfs"), { recursive: true });
  await openStore().sweep(new Set([image.digest]));
  expect(existsSync(half)).toBe(false);
  expect(existsSync(image.rootfs)).toBe(true);
});

test("only the digest that was asked for will do", async () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const tar = await refusal(
    openStore().add({ kind: "tar", path: await tarFile(root) }, { digest }),
  );
  expect(tar.message).toContain(`, not ${digest}.`);
  await writeOciImage(join(folder, "oci"), { layers: [root] });
  const oci = openStore().add({ kind: "oci", path: join(folder, "oci") }, { digest });
  expect((await refusal(oci)).message).toContain(`, not ${digest}.`);
});

const outside: TarEntry = [{ name: "x", type: "symlink", linkname: "/tmp/stator-outside" }];

test("layers that write through a link of another one stay in their folder", async () => {
  const target = join(folder, "outside");
  mkdirSync(target, { mode: 0o777 });
  Bun.spawnSync(["chmod", "777", target]);
  await writeOciImage(join(folder, "oci"), {
    layers: [
      [...root, [{ name: "x", type: "symlink", linkname: target }]],
      [[{ name: "x/evil" }, "evil"]],
      [[{ name: "up", type: "symlink", linkname: "../".repeat(30) + target.slice(1) }]],
      [[{ name: "up/evil" }, "evil"]],
    ],
  });
  const image = await openStore().add({ kind: "oci", path: join(folder, "oci") });
  expect(readdirSync(target)).toEqual([]);
  expect(readFileSync(join(image.rootfs, target, "evil"), "utf8")).toBe("evil");
});

const hostile: [what: string, entries: TarEntry[], message: string][] = [
  ["leads out of its folder", [[{ name: "../x" }, "x"]], '"../x" leads out of its folder by `..`'],
  ["has an absolute name", [[{ name: "/etc/x" }, "x"]], '"/etc/x" has an absolute name'],
  ["has a device", [[{ name: "srv/sda", type: "block-device" }]], '"srv/sda" is a block-device'],
  [
    "has a link for its /etc",
    [[{ name: "etc", type: "symlink", linkname: "/etc" }]],
    "The image has something else where the folder /etc must be.",
  ],
  [
    "has a link for its /opt",
    [[{ name: "opt", type: "symlink", linkname: "../../../../opt" }]],
    "The image has something else where the folder /opt must be.",
  ],
  [
    "is larger than allowed",
    [[{ name: "a" }, "x".repeat(2 * mebibyte)]],
    '"a" makes it more than 1 MB unpacked',
  ],
];

for (const [what, entries, message] of hostile)
  test(`an image that ${what} is refused by name, as a tar and as a layer`, async () => {
    const store = openStore({ maxBytes: mebibyte });
    const tar = await refusal(store.add({ kind: "tar", path: await tarFile(entries) }));
    expect(tar.message).toContain(message);
    await writeOciImage(join(folder, "oci"), { layers: [entries] });
    const oci = await refusal(store.add({ kind: "oci", path: join(folder, "oci") }));
    expect(oci.message).toContain(message);
  });

test("layers count together", async () => {
  const layers = [[[{ name: "a" }, "x".repeat(700_000)]], [[{ name: "b" }, "x".repeat(700_000)]]];
  await writeOciImage(join(folder, "oci"), { layers: layers as TarEntry[][] });
  const adding = openStore({ maxBytes: mebibyte }).add({ kind: "oci", path: join(folder, "oci") });
  expect((await refusal(adding)).message).toContain('"b" makes it more than');
});

/** An image whose layer can be spoilt. */
async function imageWithLayer(): Promise<{ oci: string; layer: string }> {
  const oci = join(folder, "oci");
  const { layers } = await writeOciImage(oci, { layers: [root] });
  return { oci, layer: join(oci, "blobs", (layers[0] ?? "").replace(":", "/")) };
}

test("a layer that is not what its name says is refused", async () => {
  const { oci, layer } = await imageWithLayer();
  const bytes = readFileSync(layer);
  bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
  writeFileSync(layer, bytes);
  const problem = await refusal(openStore().add({ kind: "oci", path: oci }));
  expect(problem.message).toMatch(/^Cannot get oci:/);
});

test("a folder whose blobs are links to other files gives nothing of them", async () => {
  const { oci, layer } = await imageWithLayer();
  rmSync(layer);
  symlinkSync("/etc/shadow", layer);
  const { message } = await refusal(openStore().add({ kind: "oci", path: oci }));
  expect(message).toMatch(/^Cannot get oci:/);
  expect(message).not.toContain("root:");
});

test("what is no image, is another machine's or is not there is told so", async () => {
  const store = openStore();
  const message = async (adding: Promise<unknown>) => (await refusal(adding)).message;
  const text = join(folder, "text");
  writeFileSync(text, "no archive at all".repeat(1000));
  expect(await message(store.add({ kind: "tar", path: text }))).toBe(
    `${text} is refused: it is not a whole tar archive (Invalid tar header. Maybe the tar is corrupted or it needs to be gunzipped?).`,
  );
  expect(await message(store.add({ kind: "tar", path: "/nowhere" }))).toBe(
    "There is no file /nowhere.",
  );
  expect(await message(store.add({ kind: "oci", path: folder }))).toContain("it has no index.json");
  await writeOciImage(join(folder, "oci"), { layers: [root], architecture: "s390x" });
  expect(await message(store.add({ kind: "oci", path: join(folder, "oci") }))).toMatch(
    /^The image is made for linux\/s390x; this machine is linux\//,
  );
  const tag = store.add({ kind: "oci", path: join(folder, "oci"), tag: "nope" });
  expect(await message(tag)).toContain("Look at its name and tag.");
  const closed = store.add({ kind: "docker", reference: "127.0.0.1:1/x:y" });
  expect(await message(closed)).toMatch(/^Cannot get docker:\/\/127.0.0.1:1\/x:y: .*refused/);
  const odd = store.add({ kind: "docker", reference: "--Deb UP" });
  expect(await message(odd)).toContain("invalid reference format");
});

test("a full disk is told before anything begins, and while it fills", async () => {
  const path = await tarFile([...root, [{ name: "a" }, "x".repeat(mebibyte)]]);
  const full = openStore({ freeDiskBytes: () => 12 * mebibyte });
  expect((await refusal(full.add({ kind: "tar", path }))).message).toBe(
    "There is no room for an image: 12 MB are free on the server's disk. Free some space there, or remove a stack.",
  );
  let asked = 0;
  const filling = openStore({ freeDiskBytes: () => (asked++ < 3 ? 1e12 : 0) });
  const problem = await refusal(filling.add({ kind: "tar", path }));
  expect(problem.id).toBe("unavailable");
  expect(asked).toBe(4);
});

test("layers by zstd are taken as well", async () => {
  await writeOciImage(join(folder, "oci"), {
    layers: [[...root, outside]],
    compress: (tar) => zstdCompressSync(tar) as Buffer,
    layerType: "application/vnd.oci.image.layer.v1.tar+zstd",
  });
  const image = await openStore().add({ kind: "oci", path: join(folder, "oci") });
  expect(readFileSync(join(image.rootfs, "usr/bin/su"), "utf8")).toBe("su");
});

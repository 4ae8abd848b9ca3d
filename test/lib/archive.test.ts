import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import {
  measureLayer,
  UnsafeArchive,
  unpackArchive,
  type UnpackOptions,
} from "../../src/lib/archive.ts";
import { type TarEntry, tarOf } from "../helpers/tar-of.ts";

let root: string;
let folder: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "stator-archive-"));
  folder = join(root, "folder");
  mkdirSync(folder);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += 1000)
    yield bytes.subarray(start, start + 1000);
}

const unpack = (bytes: Uint8Array, more: Partial<UnpackOptions> = {}) =>
  unpackArchive(pieces(bytes), {
    folder,
    userId: process.getuid?.() ?? 0,
    maxBytes: 1024 * 1024,
    ...more,
  });

async function expectRefusal(unpacking: Promise<unknown>, message: string): Promise<void> {
  const problem = await unpacking.catch((error: Error) => error);
  expect(problem).toBeInstanceOf(UnsafeArchive);
  expect((problem as Error).message).toContain(message);
}

const good: TarEntry[] = [
  [{ name: "./app/", type: "directory", mode: 0o755 }],
  [{ name: "./app/run.sh", mode: 0o4755 }, "#!/bin/sh\n"],
  [{ name: "./app/read-only", mode: 0o444 }, "x"],
  [{ name: `./app/${"long/".repeat(40)}odd name\n'"$(id)`, mode: 0o644 }, "odd"],
  [{ name: "./app/ünï", mode: 0o644 }, "u"],
  [{ name: "./app/link", type: "symlink", linkname: "run.sh" }],
  [{ name: "./app/hard", type: "link", linkname: "./app/run.sh" }],
];

for (const [name, compress] of [
  ["plain", (bytes: Uint8Array) => bytes],
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
] as const)
  test(`a ${name} archive is unpacked with its names, modes and links`, async () => {
    await unpack(compress(await tarOf(good)), { strip: 1 });
    expect(readFileSync(join(folder, "run.sh"), "utf8")).toBe("#!/bin/sh\n");
    expect(lstatSync(join(folder, "run.sh")).mode & 0o7777).toBe(0o755);
    expect(readFileSync(join(folder, `${"long/".repeat(40)}odd name\n'"$(id)`), "utf8")).toBe(
      "odd",
    );
    expect(readFileSync(join(folder, "ünï"), "utf8")).toBe("u");
    expect(readlinkSync(join(folder, "link"))).toBe("run.sh");
    expect(lstatSync(join(folder, "hard")).ino).toBe(lstatSync(join(folder, "run.sh")).ino);
  });

const refused: [what: string, entries: TarEntry[], message: string][] = [
  ["a way up", [[{ name: "a/../../up" }, "x"]], '"a/../../up" leads out of its folder by `..`'],
  ["an absolute name", [[{ name: "/etc/x" }, "x"]], '"/etc/x" has an absolute name'],
  [
    "a link that leads out",
    [[{ name: "a", type: "symlink", linkname: "../../etc" }]],
    '"a" is a link that leads out of the archive, to "../../etc"',
  ],
  [
    "an absolute link",
    [[{ name: "a", type: "symlink", linkname: "/etc/passwd" }]],
    '"a" is a link that leads out of the archive, to "/etc/passwd"',
  ],
  [
    "a file through a link",
    [[{ name: "a", type: "symlink", linkname: "b" }], [{ name: "a/x" }, "x"]],
    '"a/x" would be written through a link of the same archive',
  ],
  [
    "a file in the place of a link",
    [[{ name: "a", type: "symlink", linkname: "b" }], [{ name: "./a" }, "x"]],
    '"./a" is there twice, once as a link',
  ],
  [
    "a hard link to what is not of the archive",
    [[{ name: "a", type: "link", linkname: "b" }]],
    '"a" is a hard link to "b", no file of the archive',
  ],
  [
    "a hard link that leads out",
    [[{ name: "a", type: "link", linkname: "/etc/passwd" }]],
    '"a" has an absolute name',
  ],
  [
    "a device",
    [[{ name: "dev/null", type: "character-device" }]],
    '"dev/null" is a character-device',
  ],
  ["a disk", [[{ name: "sda", type: "block-device" }]], '"sda" is a block-device'],
  ["a pipe", [[{ name: "pipe", type: "fifo" }]], '"pipe" is a fifo'],
  [
    "a sparse file",
    [[{ name: "s", pax: { "GNU.sparse.realsize": "1099511627776" } }, "x"]],
    '"s" is a sparse file',
  ],
  [
    "more than is allowed",
    [
      [{ name: "a" }, "x".repeat(700_000)],
      [{ name: "b" }, "x".repeat(700_000)],
    ],
    '"b" makes it more than 1 MB unpacked',
  ],
];

for (const [what, entries, message] of refused)
  test(`${what} is refused by name, and nothing is outside of the folder`, async () => {
    const archive = gzipSync(await tarOf(entries));
    const problem = await unpack(archive).catch((error: Error) => error);
    expect(problem).toBeInstanceOf(UnsafeArchive);
    expect((problem as Error).message).toBe(message);
    expect(readdirSync(root)).toEqual(["folder"]);
  });

test("links of a slug may lead to where it will run, but nothing is written through them", async () => {
  const link: TarEntry = [{ name: "python", type: "symlink", linkname: "/app/.heroku/python" }];
  await unpack(await tarOf([link]), { linksMayLeave: true });
  expect(readlinkSync(join(folder, "python"))).toBe("/app/.heroku/python");
  const through = unpack(await tarOf([link, [{ name: "python/x" }, "x"]]), { linksMayLeave: true });
  await expectRefusal(through, "would be written through a link");
});

test("a folder can be left out, whatever is in it", async () => {
  const entries: TarEntry[] = [
    [{ name: "./dev/", type: "directory" }],
    [{ name: "./dev/sda", type: "block-device" }],
    [{ name: "./device" }, "x"],
  ];
  await unpack(await tarOf(entries), { leftOut: "dev" });
  expect(readdirSync(folder).sort()).toEqual(["dev", "device"]);
  expect(readdirSync(join(folder, "dev"))).toEqual([]);
});

const layerLimits = { maxBytes: 1024 * 1024, maxEntries: 100 };

test("a layer of an image may have links and devices that nobody will use", async () => {
  const layer = await tarOf([
    [{ name: "./", type: "directory" }],
    [{ name: "bin", type: "symlink", linkname: "/usr/bin" }],
    [{ name: "bin/.wh.gone" }],
    [{ name: "bin/.wh..wh..opq" }],
    [{ name: "usr/bin/x", type: "link", linkname: "usr/bin/of-the-layer-below" }],
    [{ name: "dev/null", type: "character-device" }],
    [{ name: "usr/bin/y", mode: 0o4755 }, "yyy"],
  ]);
  expect(await measureLayer(pieces(gzipSync(layer)), layerLimits)).toEqual({
    bytes: 3,
    entries: 7,
  });
});

const badLayers: [what: string, entry: TarEntry, message: string][] = [
  [
    "a name that leads out",
    [{ name: "a/../../x" }, "x"],
    '"a/../../x" leads out of its folder by `..`',
  ],
  ["an absolute name", [{ name: "/etc/x" }, "x"], '"/etc/x" has an absolute name'],
  ["a hard link that leads out", [{ name: "x", type: "link", linkname: "../x" }], '"x" leads out'],
  ["a disk", [{ name: "x/sda", type: "block-device" }], '"x/sda" is a block-device'],
  ["a pipe", [{ name: "pipe", type: "fifo" }], '"pipe" is a fifo'],
  [
    "a root that is a link",
    [{ name: "./", type: "symlink", linkname: "/etc" }],
    '"./" has no name',
  ],
  [
    "a whiteout of the folder above",
    [{ name: "x/.wh..." }],
    '"x/.wh..." takes away its own folder',
  ],
  ["a whiteout of nothing", [{ name: "x/.wh." }], '"x/.wh." takes away its own folder'],
  [
    "a sparse file",
    [{ name: "s", pax: { "GNU.sparse.realsize": "1099511627776" } }, "x"],
    '"s" is a sparse file',
  ],
  ["a large one", [{ name: "a" }, "x".repeat(1_100_000)], '"a" makes it more than 1 MB unpacked'],
];

for (const [what, entry, message] of badLayers)
  test(`a layer with ${what} is refused by name`, async () => {
    const layer = pieces(await tarOf([entry]));
    await expectRefusal(measureLayer(layer, layerLimits), message);
  });

test("too many files are refused", async () => {
  const entries: TarEntry[] = Array.from({ length: 11 }, (_, number) => [
    { name: `f${number}` },
    "x",
  ]);
  await expectRefusal(
    unpack(await tarOf(entries), { maxEntries: 10 }),
    '"f10" is one more than the 10 files allowed',
  );
});

test("a bomb of nothing but zeros is given up while it grows", async () => {
  const zeros = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  expect(zeros.length).toBeLessThan(100_000);
  await expectRefusal(unpack(zeros), "it grows to more than 1 MB");
});

test("half an archive, and what is none, are refused", async () => {
  const whole = gzipSync(await tarOf([[{ name: "a" }, "x".repeat(5000)]]));
  await expectRefusal(
    unpack(whole.subarray(0, whole.length - 20)),
    "it is not a whole tar archive",
  );
  await expectRefusal(
    unpack(Buffer.from("this is no archive at all".repeat(100))),
    "it is not a whole tar archive",
  );
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readdirSync, statSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ImageSource } from "../../src/image/copy-image.ts";
import { createImageStore } from "../../src/image/image-store.ts";
import { exec, execOk } from "../../src/lib/exec.ts";
import { tryRead } from "../../src/runtime/read-file.ts";
import type { PlatformError } from "../../src/lib/platform-error.ts";
import { writeOciImage } from "../helpers/oci-image.ts";
import { startRegistry } from "../helpers/registry.ts";
import { until } from "../helpers/stator-server.ts";

const account = { user: "ann", password: "correct horse" };
const folder = mkdtempSync(join(tmpdir(), "stator-registry-"));
chmodSync(folder, 0o711);
const open = () =>
  createImageStore({
    ...{ folder: join(folder, "images"), freeDiskBytes: () => 1e12, minFreeDiskBytes: 0 },
  });
let registry: Awaited<ReturnType<typeof startRegistry>>;
let closed: Awaited<ReturnType<typeof startRegistry>>;
const digests: string[] = [];

beforeAll(async () => {
  registry = await startRegistry(join(folder, "registry"));
  closed = await startRegistry(join(folder, "closed"), account);
  for (const number of [0, 1]) {
    const oci = join(folder, `oci-${number}`);
    const files = [[{ name: "etc/number" }, String(number)] as [{ name: string }, string]];
    digests.push((await writeOciImage(oci, { layers: [files] })).digest);
  }
  await registry.push(join(folder, "oci-0"), "stack:one");
  await closed.push(join(folder, "oci-0"), "stack:one");
});
afterAll(async () => {
  await Promise.all([registry.stop(), closed.stop()]);
  await exec(["rm", "-rf", "--", folder]);
});

const at = (
  { address }: { address: string },
  name: string,
  more: Partial<Extract<ImageSource, { kind: "docker" }>> = {},
): ImageSource => ({ kind: "docker", reference: `${address}/${name}`, insecure: true, ...more });

/** A registry that is another one; `look` sees each answer before it goes out, and may spoil it. */
function passOn({ address }: { address: string }, look: (url: URL, bytes: Buffer) => void) {
  const server = Bun.serve({
    ...{ port: 0, hostname: "127.0.0.1" },
    async fetch(request) {
      const url = new URL(request.url);
      const headers = new Headers();
      for (const name of ["accept", "authorization"])
        headers.set(name, request.headers.get(name) ?? "");
      const answer = await fetch(`http://${address}${url.pathname}`, {
        ...{ method: request.method, headers },
      });
      const bytes = Buffer.from(await answer.arrayBuffer());
      look(url, bytes);
      return new Response(bytes, { status: answer.status, headers: answer.headers });
    },
  });
  return { address: `127.0.0.1:${server.port}`, stop: () => server.stop(true) };
}

async function problemOf(adding: Promise<unknown>): Promise<PlatformError> {
  const problem = await adding.then(
    () => null,
    (error: PlatformError) => error,
  );
  expect(problem?.name).toBe("PlatformError");
  return problem as PlatformError;
}

test("an image of a registry is known by the digest that the registry calls it", async () => {
  const store = open();
  const image = await store.add(at(registry, "stack:one"));
  expect(image.digest).toBe(digests[0] ?? "");
  const inode = statSync(image.rootfs).ino;
  const again = await store.add(at(registry, "stack:one"));
  expect(statSync(again.rootfs).ino).toBe(inode);
  const pinned = await store.add(at(registry, `stack@${digests[0]}`));
  expect(pinned).toEqual(image);
});

test("a tag that has moved on is not the digest that was asked for", async () => {
  const store = open();
  await registry.push(join(folder, "oci-0"), "stack:moving");
  await registry.push(join(folder, "oci-1"), "stack:moving");
  expect((await store.add(at(registry, "stack:moving"))).digest).toBe(digests[1] ?? "");
  const old = await store.add(at(registry, "stack:moving"), { digest: digests[0] });
  expect(old.digest).toBe(digests[0] ?? "");
  const unknown = `sha256:${"0".repeat(64)}`;
  const problem = await problemOf(store.add(at(registry, "stack:moving"), { digest: unknown }));
  expect([problem.id, problem.message]).toEqual([
    "not_found",
    expect.stringContaining("manifest unknown"),
  ]);
});

test("an image in Docker's own format is taken under Docker's digest", async () => {
  await registry.push(join(folder, "oci-0"), "stack:docker", ["--format", "v2s2"]);
  const image = await open().add(at(registry, "stack:docker"));
  expect(image.digest).not.toBe(digests[0] ?? "");
  const { headers } = await fetch(`http://${registry.address}/v2/stack/manifests/docker`, {
    headers: { accept: "application/vnd.docker.distribution.manifest.v2+json" },
  });
  expect(image.digest).toBe(headers.get("docker-content-digest") ?? "");
});

test("a closed registry opens to a user and his password, which no process list shows", async () => {
  const store = open();
  const none = await problemOf(store.add(at(closed, "stack:one")));
  expect(none.message).toMatch(/authentication required.* Give a user and a password/);
  const credentials = { username: account.user, password: "wrong" };
  const wrong = await problemOf(store.add(at(closed, "stack:one", { credentials })));
  expect(wrong.message).toContain("Give a user and a password");
  await store.sweep(new Set());
  // What asks the registry is there for as long as its question is not answered.
  const seen = new Set<string>();
  const watched = passOn(closed, () => {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name)))
      seen.add(tryRead(`/proc/${pid}/cmdline`));
  });
  const right = { username: account.user, password: account.password };
  try {
    const image = await store.add(at(watched, "stack:one", { credentials: right }));
    expect(image.digest).toBe(digests[0] ?? "");
  } finally {
    await watched.stop();
  }
  const tools = [...seen].filter((line) => line.includes(watched.address)).join("\n");
  expect(tools).toContain("auth.json");
  expect(tools).not.toContain(account.password);
  expect(tools).not.toContain(btoa(`${account.user}:${account.password}`));
  const left = await execOk(["find", join(folder, "images"), "-name", "auth.json"]);
  expect(left).toBe("");
});

test("HTTP and names that are not there are told so", async () => {
  const store = open();
  const http = await problemOf(store.add(at(registry, "stack:one", { insecure: false })));
  expect(http.message).toContain("`--insecure` takes it");
  const absent = await problemOf(store.add(at(registry, "nobody:here")));
  expect([absent.id, absent.message]).toEqual([
    "not_found",
    `Cannot get docker://${registry.address}/nobody:here: reading manifest here in ${registry.address}/nobody: manifest unknown: manifest unknown. Look at its name and tag.`,
  ]);
});

test("a registry that sends something else than it has announced gives nothing", async () => {
  const liar = passOn(registry, ({ pathname }, bytes) => {
    if (pathname.includes("/blobs/")) bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20);
  });
  const store = createImageStore({
    ...{ folder: join(folder, "lied"), freeDiskBytes: () => 1e12, minFreeDiskBytes: 0 },
  });
  try {
    const from = at(liar, "stack:one");
    expect((await problemOf(store.add(from))).message).toStartWith("Cannot get docker://");
    expect(readdirSync(join(folder, "lied"))).toEqual([]);
  } finally {
    await liar.stop();
  }
});

test("a registry that goes on sending is cut off at the limit", async () => {
  const digest = `sha256:${"1".repeat(64)}`;
  const kind = "application/vnd.oci.image";
  const config = new TextEncoder().encode("{}");
  const configDigest = `sha256:${new Bun.CryptoHasher("sha256").update(config).digest("hex")}`;
  const manifest = JSON.stringify({
    ...{ schemaVersion: 2, mediaType: `${kind}.manifest.v1+json` },
    config: { mediaType: `${kind}.config.v1+json`, digest: configDigest, size: config.length },
    layers: [{ mediaType: `${kind}.layer.v1.tar`, digest, size: 1000 }],
  });
  let sent = 0;
  const flood = Bun.serve({
    ...{ port: 0, hostname: "127.0.0.1", idleTimeout: 60 },
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname.includes("/manifests/"))
        return new Response(manifest, { headers: { "content-type": `${kind}.manifest.v1+json` } });
      if (pathname.endsWith(configDigest)) return new Response(config);
      if (!pathname.includes("/blobs/")) return new Response("{}");
      // What compresses would be let through for as long as it stays small.
      const megabyte = randomBytes(1024 * 1024);
      return new Response(
        new ReadableStream({
          async pull(controller) {
            await Bun.sleep(1);
            sent += megabyte.length;
            controller.enqueue(megabyte);
          },
        }),
      );
    },
  });
  const store = createImageStore({
    ...{ folder: join(folder, "flood"), freeDiskBytes: () => 1e12, minFreeDiskBytes: 0 },
    maxBytes: 50 * 1024 * 1024,
  });
  try {
    const from = at({ address: `127.0.0.1:${flood.port}` }, "stack:one");
    const { message } = await problemOf(store.add(from));
    expect(message).toMatch(/larger than 50 MB|Cannot get docker/);
    expect(sent).toBeLessThan(4 * 1024 ** 3);
    expect(readdirSync(join(folder, "flood"))).toEqual([]);
  } finally {
    await flood.stop(true);
  }
});

test("one that dies in the middle of it leaves nothing that counts", async () => {
  const script = `
    const { createImageStore } = await import(${JSON.stringify(join(import.meta.dir, "../../src/image/image-store.ts"))});
    const store = createImageStore({ folder: ${JSON.stringify(join(folder, "killed"))}, freeDiskBytes: () => 1e12, minFreeDiskBytes: 0 });
    await store.add(${JSON.stringify(at(registry, "stack:one"))}, { onProgress: (line) => line === "Unpacking" && process.kill(process.pid, "SIGKILL") });`;
  const killed = await exec([process.execPath, "-e", script]);
  expect(killed.exitCode).not.toBe(0);
  const shared = join(folder, "killed");
  expect(readdirSync(shared)).toEqual([expect.stringMatching(/^\.new-/)]);
  const store = createImageStore({
    ...{ folder: join(folder, "killed"), freeDiskBytes: () => 1e12, minFreeDiskBytes: 0 },
  });
  const image = await store.add(at(registry, "stack:one"));
  await store.sweep(new Set([image.digest]));
  await until("only the image is left", () => readdirSync(shared).length === 1);
  expect(existsSync(join(image.rootfs, "etc/number"))).toBe(true);
});

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execOk, hostEnvironment } from "../../src/lib/exec.ts";
import { repositoryRoot } from "../helpers/stator-server.ts";

const folder = mkdtempSync(join(tmpdir(), "stator-targets-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The kind of the file and the processor, as the head of each format has them. */
const heads: Record<string, { magic: number; processor: number; at: number }> = {
  "linux-x64": { magic: 0x464c457f, processor: 62, at: 18 },
  "linux-arm64": { magic: 0x464c457f, processor: 183, at: 18 },
  "darwin-x64": { magic: 0xfeedfacf, processor: 0x01000007, at: 4 },
  "darwin-arm64": { magic: 0xfeedfacf, processor: 0x0100000c, at: 4 },
};

for (const [target, { magic, processor, at }] of Object.entries(heads))
  test(`the executable is made for ${target}`, async () => {
    const outfile = join(folder, target);
    const argv = ["src/bundle/binary.ts", "--target", target, "--outfile", outfile];
    const env = { ...hostEnvironment, HOME: process.env.HOME ?? "/root", ...trust() };
    await execOk([process.execPath, ...argv], { cwd: repositoryRoot, env });
    const head = new DataView(await Bun.file(outfile).slice(0, 64).arrayBuffer());
    expect(head.getUint32(0, true)).toBe(magic);
    expect(at === 18 ? head.getUint16(at, true) : head.getUint32(at, true)).toBe(processor);
    rmSync(outfile);
  });

/** How Bun reaches the registry that it gets the other machines' runtimes from. */
function trust(): Record<string, string> {
  const names = /^(NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|https?_proxy|no_proxy|npm_config_registry)$/i;
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => names.test(entry[0]) && entry[1] !== undefined,
    ),
  );
}

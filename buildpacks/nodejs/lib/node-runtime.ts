import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Build } from "./build.ts";
import { BuildFailure } from "./build-failure.ts";
import { downloadText, downloadVerified, NotFound, sha256Of } from "./download.ts";
import { isSupported, resolveNode, wantedNode } from "./node-version.ts";
import { line, warn } from "./output.ts";
import { packagedVersion } from "./program.ts";
import { isExact, satisfies, versions } from "./versions.ts";

const platformName = `linux-${process.arch}`;

/** Makes a Node.js that the app can use available, and answers with its version. */
export async function provideNode(build: Build): Promise<string> {
  const version = await chooseNode(build);
  warnAboutAge(version);
  return version;
}

async function chooseNode(build: Build): Promise<string> {
  const engine = build.packageJson.engines["node"];
  const wanted = wantedNode(engine);
  line(`engines.node (package.json):   ${engine?.trim() || "unspecified"}`);

  const stack = await nodeOfStack(build);
  if (stack && (wanted === undefined ? isSupported(stack) : satisfies(stack, wanted))) {
    return useStack(stack);
  }
  return await provideOwnNode(build, wanted, stack);
}

function useStack(version: string): string {
  line(`Using Node.js ${version} of the stack; nothing is added to the slug for it.`);
  return version;
}

function warnAboutAge(version: string): void {
  if (isSupported(version)) return;
  warn(
    `Node.js ${version} is not a supported release line (${versions.node.supported.join(", ")}): it may get no security fixes.`,
  );
}

/** A node without npm can't install or start most apps, so it does not count. */
async function nodeOfStack({ platform }: Build): Promise<string | undefined> {
  const node = Bun.which("node", { PATH: platform["PATH"] ?? "" });
  if (!node) return undefined;
  const child = Bun.spawn([node, "--version"], {
    // NODE_OPTIONS of the operator could print or fail; the version does not depend on it.
    env: { PATH: platform["PATH"] ?? "" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const [, version] = /^v(\d+\.\d+\.\d+)\s*$/.exec(await new Response(child.stdout).text()) ?? [];
  if (version && !(await packagedVersion("npm", platform))) {
    line(`The stack has Node.js ${version}, but no npm: not used.`);
    return undefined;
  }
  return version;
}

async function provideOwnNode(
  build: Build,
  wanted: string | undefined,
  stack: string | undefined,
): Promise<string> {
  const store = join(build.cacheDir, "node");
  await mkdir(store, { recursive: true });
  const range = wanted ?? versions.node.default;
  const cached = await cachedVersions(store);
  const mirror = (build.platform["STATOR_NODE_MIRROR"] || "https://nodejs.org/dist").replace(
    /\/+$/,
    "",
  );
  const allowWideRange = build.env["NODEJS_ALLOW_WIDE_RANGE"] === "true";

  line(`Resolving Node.js version ${range}...`);
  let version: string | undefined;
  try {
    const available = isExact(range) ? [exact(range)] : await availableVersions(mirror);
    version = resolveNode(range, { available, allowWideRange });
  } catch (error) {
    version = resolveNode(range, { available: cached, allowWideRange });
    if (!version && wanted === undefined && stack) {
      warn(`The list of Node.js versions can't be read (${messageOf(error)}).`);
      return useStack(stack);
    }
    if (!version) throw unreachable(`the list of Node.js versions`, error);
    warn(`The list of Node.js versions can't be read (${messageOf(error)}): using the cache.`);
  }
  if (!version) {
    throw new BuildFailure(
      `No version of Node.js for ${platformName} is in the range "${range}" (engines.node in package.json).\n` +
        `Supported release lines: ${versions.node.supported.map((major) => `${major}.x`).join(", ")}.`,
    );
  }

  const archive = join(store, `node-v${version}-${platformName}.tar.gz`);
  if (await isIntact(archive)) line(`Using Node.js ${version} from the cache.`);
  else await fetchArchive(archive, { mirror, version });
  await forgetOthers(store, archive);
  await unpack(build, archive);
  return version;
}

async function availableVersions(mirror: string): Promise<string[]> {
  const index: unknown = JSON.parse(await downloadText(`${mirror}/index.json`));
  if (!Array.isArray(index)) throw new Error(`${mirror}/index.json is not a list`);
  return index
    .filter(({ files }) => Array.isArray(files) && files.includes(platformName))
    .map(({ version }) => String(version).replace(/^v/, ""));
}

async function fetchArchive(
  archive: string,
  { mirror, version }: { mirror: string; version: string },
): Promise<void> {
  const name = `node-v${version}-${platformName}.tar.gz`;
  const address = `${mirror}/v${version}/${name}`;
  try {
    const sums = await downloadText(`${mirror}/v${version}/SHASUMS256.txt`);
    const sha256 = sums
      .split("\n")
      .map((row) => row.trim().split(/\s+\*?/))
      .find(([, file]) => file === name)?.[0];
    if (!sha256) throw new NotFound(`${mirror}/v${version}/SHASUMS256.txt does not name ${name}`);

    line(`Downloading ${address}`);
    await downloadVerified(address, { path: archive, sha256 });
    await Bun.write(`${archive}.sha256`, sha256);
    line(`SHA-256 ${sha256} verified.`);
  } catch (error) {
    if (error instanceof BuildFailure) throw error;
    if (error instanceof NotFound) {
      throw new BuildFailure(
        `Node.js ${version} is not to be had: ${error.message}.\nIs engines.node in package.json right?`,
        { cause: error },
      );
    }
    throw unreachable(`Node.js ${version}`, error);
  }
}

/** The archives that an earlier build of this app left, as versions. */
async function cachedVersions(store: string): Promise<string[]> {
  const names = await readdir(store);
  return names.flatMap((name) => {
    const [, version] = /^node-v([\d.]+)-(linux-\w+)\.tar\.gz$/.exec(name) ?? [];
    return version && name.includes(`-${platformName}.`) ? [version] : [];
  });
}

async function isIntact(archive: string): Promise<boolean> {
  const recorded = Bun.file(`${archive}.sha256`);
  if (!(await Bun.file(archive).exists()) || !(await recorded.exists())) return false;
  return (await recorded.text()).trim() === (await sha256Of(archive));
}

async function forgetOthers(store: string, archive: string): Promise<void> {
  const names = await readdir(store);
  const others = names.map((name) => join(store, name)).filter((path) => !path.startsWith(archive));
  await Promise.all(others.map((path) => rm(path, { recursive: true, force: true })));
}

async function unpack({ dir, env }: Build, archive: string): Promise<void> {
  const home = join(dir, ".heroku/node");
  await rm(home, { recursive: true, force: true });
  await mkdir(home, { recursive: true });
  const tar = Bun.spawn(
    ["tar", "-xzf", archive, "--strip-components=1", "--no-same-owner", "-C", home],
    { stdin: "ignore", stdout: "inherit", stderr: "inherit" },
  );
  if ((await tar.exited) !== 0) throw new Error(`${archive} can't be unpacked`);
  env["NODE_HOME"] = home;
  // Native modules find the headers here instead of downloading them once more.
  if ((await Bun.file(join(home, "include/node/node.h")).exists()) && !env["npm_config_nodedir"]) {
    env["npm_config_nodedir"] = home;
  }
}

function exact(range: string): string {
  return range.replace(/[\s=v]/g, "");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function unreachable(what: string, error: unknown): BuildFailure {
  return new BuildFailure(
    `${what} can't be downloaded: ${messageOf(error)}.\n` +
      "Try again later. An operator without access to it can set STATOR_NODE_MIRROR, or put node and npm into the stack.",
    { cause: error },
  );
}

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Build } from "./build.ts";
import { BuildFailure } from "./build-failure.ts";
import { isSupported, resolveNode, wantedNode } from "./node-version.ts";
import { line, warn } from "./output.ts";
import { packagedVersion } from "./program.ts";
import { toolbox } from "./toolbox.ts";
import { satisfies, versions } from "./versions.ts";

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
  const range = wanted ?? versions.node.default;
  const allowWideRange = build.env["NODEJS_ALLOW_WIDE_RANGE"] === "true";
  line(`Resolving Node.js version ${range}...`);
  const available = await toolbox(["versions", "node"], build.platform);
  const resolved =
    available && resolveNode(range, { available: available.split("\n"), allowWideRange });
  if (available !== undefined && !resolved) throw noneInRange(range);

  const home = join(build.dir, ".heroku/node");
  const cache = join(build.cacheDir, "node");
  const version = await toolbox(
    // When nobody tells what there is, the cache may have something.
    ["runtime", "node", resolved ?? range, "--cache", cache, "--into", home],
    build.platform,
  );
  if (version !== undefined) {
    useOwnNode(build, home);
    return version;
  }
  if (wanted === undefined && stack) return useStack(stack);
  throw new BuildFailure(`Node.js ${resolved ?? range} is not to be had; why is told above.`);
}

function noneInRange(range: string): BuildFailure {
  return new BuildFailure(
    `No version of Node.js for linux-${process.arch} is in the range "${range}" (engines.node in package.json).\n` +
      `Supported release lines: ${versions.node.supported.map((major) => `${major}.x`).join(", ")}.`,
  );
}

function useOwnNode({ env }: Build, home: string): void {
  env["NODE_HOME"] = home;
  // Native modules find the headers here instead of downloading them once more.
  if (existsSync(join(home, "include/node/node.h")) && !env["npm_config_nodedir"])
    env["npm_config_nodedir"] = home;
}

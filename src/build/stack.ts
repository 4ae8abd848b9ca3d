import { exec } from "../lib/exec.ts";
import { trialIdBase } from "../lib/id-range.ts";
import { PlatformError } from "../lib/platform-error.ts";
import { initPath } from "../runtime/rootfs.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { keptText } from "./output.ts";

/** What a build is for: the stack's names, and the roots that its steps and its dynos have. */
export interface BuildStack {
  name: string;
  /** What buildpacks are told in `STACK`. */
  announced: string;
  /** Of the image that dynos will run on; `null`: the machine's own software. */
  digest: string | null;
  /** The root of the image that builds run on. */
  rootfs: string | undefined;
  /** The build is over: it needs its image no longer. */
  release(): void;
}

/** The Heroku stack whose archives this machine's C library can carry. */
export async function hostStack(): Promise<string> {
  return stackOfLibrary((await exec(["getconf", "GNU_LIBC_VERSION"])).stdout);
}

/**
 * The newest Heroku stack that a C library is new enough for: heroku-24 is built on glibc 2.39, heroku-22 on
 * 2.35. What is no glibc carries none of them, and gets the latest name. Pure.
 */
export function stackOfLibrary(version: string): string {
  const minor = /^glibc 2\.(\d+)/m.exec(version)?.[1];
  return minor === undefined || Number(minor) >= 39 ? "heroku-24" : "heroku-22";
}

/** `Heroku-24`, as in the output of a build. */
export function stackTitle(stack: string): string {
  return stack.charAt(0).toUpperCase() + stack.slice(1);
}

/** What buildpacks take for granted in a stack (docs/buildpacks.md). */
const usualTools =
  "curl git jq tar gzip xz zstd unzip file python3 make gcc find sed grep awk openssl".split(" ");

const trialScript = `. /etc/os-release 2>/dev/null; echo "title $PRETTY_NAME"
echo "library $(getconf GNU_LIBC_VERSION 2>/dev/null)"
for tool in ${usualTools.join(" ")}; do command -v "$tool" >/dev/null || echo "missing $tool"; done`;

export interface TriedStack {
  /** What it calls itself. */
  title: string;
  /** The Heroku stack that its C library can be. */
  like: string;
  /** Tools that buildpacks take for granted, and that it does not have. */
  missing: string[];
}

/** Starts a dyno's first programs on an image, in all the walls; throws a PlatformError when they do not run there. */
export async function tryStack(runtime: Runtime, rootfs: string): Promise<TriedStack> {
  const said = keptText(65_536);
  const attached = runtime.attach(
    {
      ...{ id: `build-${crypto.randomUUID()}`, hostname: "trial", rootfs },
      argv: [initPath, "--", "bash", "--login", "-c", trialScript],
      environment: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: "/app", LANG: "C.UTF-8" },
      ...{ workingDirectory: "/app", hostIdBase: trialIdBase(), mounts: [] },
      limits: { memoryBytes: 256 * 1024 * 1024, cpuWeight: 50, maxProcesses: 64 },
      ...{ terminal: null, openPort: null, network: null },
    },
    { output: (bytes) => void said.write(bytes), joined: true },
  );
  attached.endInput();
  const status = await attached.exited.catch((error: Error) => error.message);
  const text = said.text();
  const word = (name: string) => new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]?.trim();
  if (status !== 0 || word("title") === undefined)
    throw new PlatformError(
      "invalid_params",
      `The image cannot be a stack: dynos are started by its bash, which does not run (${text.trim().slice(-500) || status}).`,
    );
  return {
    title: (word("title") || "unknown").slice(0, 100),
    like: stackOfLibrary(word("library") ?? ""),
    missing: usualTools.filter((tool) => text.includes(`missing ${tool}\n`)),
  };
}

import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { run, type Ran } from "./run.ts";

const repository = join(import.meta.dir, "../..");

/** What a build may not do without on this machine, and nothing else of its environment. */
const passedOn = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

export type Bench = Awaited<ReturnType<typeof openBench>>;

/**
 * A place to run a buildpack's own scripts: a copy of the buildpack, an app, a cache, config vars, and a
 * PATH that has `bun` and the everyday tools. Node.js is on it only after `useHostNode` or `addProgram`.
 * The toolbox is this checkout's, or that of a compiled `binary`; the cache a new one, or one that
 * several share.
 */
export async function openBench(
  buildpack: string,
  { binary, cache }: { binary?: string; cache?: string } = {},
) {
  const root = await mkdtemp(join(tmpdir(), "buildpack-"));
  const path = (...parts: string[]) => join(root, ...parts);
  await cp(join(repository, "buildpacks", buildpack), path("buildpack"), { recursive: true });
  await cp(join(repository, "buildpacks/shared"), path("buildpack/shared"), { recursive: true });
  for (const folder of ["app", "env", "home", "bin"]) await mkdir(path(folder));
  await (cache === undefined ? mkdir(path("cache")) : symlink(cache, path("cache")));
  const tools =
    "sh bash env cat cp dirname basename expr grep gzip ls mkdir mv readlink rm sed tar tr true uname";
  for (const tool of tools.split(" ")) {
    const found = Bun.which(tool);
    if (found) await symlink(found, path("bin", tool));
  }
  await symlink(process.execPath, path("bin", "bun"));

  const env: Record<string, string> = { PATH: path("bin"), HOME: path("home"), STACK: "stator-24" };
  for (const [name, value] of Object.entries(process.env)) {
    if (value && (passedOn.includes(name) || /^npm_config_(registry|cafile)$/i.test(name))) {
      env[name] = value;
    }
  }

  async function write(file: string, content: string | object): Promise<void> {
    await mkdir(dirname(path(file)), { recursive: true });
    await writeFile(path(file), typeof content === "string" ? content : JSON.stringify(content));
  }

  const program = binary ?? `bun --no-env-file ${join(repository, "src/main.ts")}`;
  await writeFile(path("bin/toolbox"), `#!/bin/sh\nexec ${program} toolbox "$@"\n`);
  await chmod(path("bin/toolbox"), 0o755);

  return {
    path,
    env,
    write,
    /** Puts a shell script on PATH, or anywhere below the bench's root. */
    async addProgram(file: string, script: string): Promise<void> {
      await write(file, `#!/bin/sh\n${script}\n`);
      await chmod(path(file), 0o755);
    },
    useHostNode(): void {
      const node = Bun.which("node");
      if (!node) throw new Error("this test needs Node.js on PATH");
      env["PATH"] = `${path("bin")}:${dirname(node)}:/usr/bin:/bin`;
    },
    /** All that the machine has in its usual places. */
    useStack(): void {
      env["PATH"] = `${path("bin")}:/usr/bin:/bin`;
    },
    /** By its name, or a folder that was made of one. */
    async useFixture(name: string): Promise<void> {
      const folder = resolve(repository, "test/fixtures/apps", name);
      await rm(path("app"), { recursive: true });
      await cp(folder, path("app"), { recursive: true });
    },
    read: async (file: string) => await Bun.file(path(file)).text(),
    exists: async (file: string) => await Bun.file(path(file)).exists(),
    detect: async () => await script("detect", path("app")),
    compile: async () => await script("compile", path("app"), path("cache"), path("env")),
    release: async () => await script("release", path("app")),
    close: async () => await rm(root, { recursive: true, force: true }),
  };

  async function script(name: string, ...args: string[]): Promise<Ran> {
    return await run([path("buildpack/bin", name), ...args], { cwd: path("buildpack"), env });
  }
}

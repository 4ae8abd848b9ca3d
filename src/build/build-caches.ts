import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { asUser } from "../lib/as-user.ts";
import { type Argv, exec, spawn } from "../lib/exec.ts";
import { hostUserId } from "../lib/id-range.ts";
import type { App } from "../model/app.ts";
import type { BuilderOptions } from "./build-request.ts";
import { type BuildPrinter, printedSize } from "./output.ts";

export type BuildCaches = ReturnType<typeof openBuildCaches>;

/** What buildpacks keep of each app from one build to the next. */
export function openBuildCaches({
  cachesDir,
  maxCacheBytes,
  imageDisks,
}: Pick<BuilderOptions, "cachesDir" | "maxCacheBytes" | "imageDisks">) {
  const folderOf = (app: App) => join(cachesDir, app.id);
  mkdirSync(cachesDir, { recursive: true, mode: 0o711 });

  async function bound(app: App, print: BuildPrinter): Promise<void> {
    const { stdout } = await exec(["du", "--summarize", "--block-size=1", "--", folderOf(app)]);
    const bytes = Number.parseInt(stdout, 10);
    if (!(bytes > maxCacheBytes)) return;
    await print.problem(
      `The build cache of the app has grown to ${printedSize(bytes)}, and is not kept: at most ${printedSize(maxCacheBytes)} are.`,
    );
    await forget(app);
  }

  /** Deletes the build cache of an app. A build under way goes on with what it has of it. */
  async function forget(app: App): Promise<void> {
    await imageDisks?.forget(app.id);
    rmSync(join(cachesDir, `.root-${app.id}`), { force: true });
    const aside = join(cachesDir, `.${crypto.randomUUID()}`);
    if (!existsSync(folderOf(app))) return;
    renameSync(folderOf(app), aside);
    await exec(["rm", "-rf", "--", aside]);
  }

  /** The build cache of an app as a gzip tar, made with the app's own ids; nothing when there is none. */
  function read(app: App): ReadableStream<Uint8Array> | undefined {
    if (!existsSync(folderOf(app))) return undefined;
    const argv: Argv = ["tar", "--create", "--gzip", "--file=-", "."];
    const options = { cwd: folderOf(app), stderr: "ignore" } as const;
    return spawn<"ignore", "pipe", "ignore">(asUser(hostUserId(app.idRange), argv), options).stdout;
  }

  return { bound, forget, read };
}

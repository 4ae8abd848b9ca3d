import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { exec } from "../lib/exec.ts";
import { readUntrustedFile } from "../lib/untrusted-file.ts";
import { type App, containerStack } from "../model/app.ts";
import type { SlugImage, TypeImage } from "../model/slug.ts";
import { BuildFailed } from "./build-failed.ts";
import type { BuilderOptions, BuildRequest, BuiltSlug } from "./build-request.ts";
import { openBuildCaches } from "./build-caches.ts";
import { buildImages, takeImage } from "./image-build.ts";
import { maskedOutput, secretsOf } from "./masked-output.ts";
import { type BuildPrinter, buildPrinter } from "./output.ts";
import { buildSlug } from "./slug-build.ts";
import { BuildTimeout, DiskFilled, openWorkshop, type Workshop } from "./workshop.ts";

export type Builder = ReturnType<typeof createBuilder>;

export function createBuilder(options: BuilderOptions) {
  const { buildsDir } = options;
  const caches = openBuildCaches(options);
  const leaving = new Set<Promise<void>>();
  // What lies here was left by a server that died; its builds died with it.
  for (const name of existsSync(buildsDir) ? readdirSync(buildsDir) : [])
    void exec(["rm", "-rf", "--", join(buildsDir, name)]);
  mkdirSync(buildsDir, { recursive: true, mode: 0o711 });

  /** Detect, compile, release, pack (contract §4.2): a slug, or BuildFailed. */
  async function build(app: App, request: BuildRequest): Promise<BuiltSlug> {
    const print = buildPrinter(request.output);
    const { version } = request.source;
    const { announced } = options;
    const workshop = openWorkshop(options, app, { version, announced, signal: request.signal });
    try {
      await request.source.checkOut(workshop, print);
      const stack = await request.stackFor(stackOfAppJson(workshop), print);
      // A Dockerfile sees no config vars, only `build.config`.
      if (stack.name === containerStack) return await buildContainers(workshop, app, request);
      return await buildSlug(options, workshop, { ...request, app, caches, print, stack });
    } catch (error) {
      await caches.bound(app, print);
      throw await explained(error, print);
    } finally {
      leave(workshop);
    }
  }

  async function explained(error: unknown, print: BuildPrinter): Promise<unknown> {
    if (error instanceof DiskFilled) {
      await print.problem(
        "The build was ended: it had filled the disk of the platform. Free some space on the server, or let the build write less.",
      );
      await print.line("");
      await print.problem("Push failed");
      return new BuildFailed("the disk was full");
    }
    if (!(error instanceof BuildTimeout)) return error;
    await print.line("");
    await print.step(error.message);
    await print.problem("Push failed");
    return new BuildFailed("timed out");
  }

  /** The way of an app whose stack is `container`: images in the place of a slug. */
  async function buildContainers(
    workshop: Workshop,
    app: App,
    request: BuildRequest,
  ): Promise<BuiltSlug> {
    const print = buildPrinter(request.output);
    await print.line("Building source:");
    await print.line("");
    const masked = maskedOutput(request.output, secretsOf(request.config));
    const { images, processTypes } = await buildImages(options, workshop, {
      ...{ appId: app.id, print, said: masked, known: request.knownImages },
    });
    await masked.end();
    const first = images.web ?? (Object.values(images)[0] as TypeImage);
    const { sha256, sizeBytes } = first;
    const what = { addons: [], detected: null, buildpackDescription: "Container" };
    return { sha256, sizeBytes, images, processTypes, ...what };
  }

  /** Takes an image as somebody has made it: what the source checks out is its archive. */
  async function take(
    app: App,
    request: Pick<BuildRequest, "source" | "output" | "signal" | "knownImages">,
  ): Promise<SlugImage> {
    const print = buildPrinter(request.output);
    const { signal, source, knownImages: known, output: said } = request;
    const { announced } = options;
    const workshop = openWorkshop(options, app, { version: source.version, signal, announced });
    try {
      await source.checkOut(workshop, print);
      return await takeImage(options, workshop, { appId: app.id, print, said, known });
    } catch (error) {
      throw await explained(error, print);
    } finally {
      leave(workshop);
    }
  }

  /** What a build has made may be many files, and nobody waits until they are gone. */
  function leave(workshop: Workshop): void {
    const gone = workshop.close().finally(() => leaving.delete(gone));
    leaving.add(gone);
  }

  return {
    ...{ build, take, forget: caches.forget, readCache: caches.read },
    /** Until nothing is left of the builds that have ended. */
    settled: async () => void (await Promise.all(leaving)),
  };
}

const appJson = z.object({ stack: z.string().max(100) });

/** The stack that the app itself asks for (contract §6.5). */
function stackOfAppJson({ buildFolder }: Workshop): string | undefined {
  const text = readUntrustedFile(join(buildFolder, "app.json"));
  try {
    return text === undefined ? undefined : appJson.parse(JSON.parse(text)).stack;
  } catch {
    return undefined;
  }
}

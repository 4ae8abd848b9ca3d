import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { printedSize } from "../../src/build/output.ts";
import { openBench } from "../helpers/buildpack-bench.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import type { OutsideServer } from "../helpers/outside-server.ts";
import { offerOutside } from "../helpers/outside-tool.ts";
import { ensurePhp, lockedPhpFixture, makeComposerRepository } from "../helpers/php-fixture.ts";
import { lockedRubyFixture, makeGemMirror } from "../helpers/ruby-fixture.ts";
import { packSbtLauncher } from "../helpers/sbt-launcher.ts";
import type { BenchPlatform } from "./dynos.ts";

interface Language {
  fixture: string;
  /** The built-in buildpack that it is built by. */
  buildpack: string;
  /** Debian's packages that its stack must have. */
  programs?: Record<string, string>;
  /** Makes the app, where its dependencies have to come from this machine. */
  make?: (outside: OutsideServer) => Promise<string>;
  /** Offers what its makers' servers do not give to this machine; `buildpacks` is a folder of them. */
  offer?: (outside: OutsideServer, buildpacks: string) => Promise<void>;
}

const jdk = { javac: "openjdk-17-jdk-headless", mvn: "maven" };

const languages: Language[] = [
  { fixture: "express", buildpack: "nodejs" },
  { fixture: "python-pip", buildpack: "python" },
  {
    ...{ fixture: "ruby-sinatra", buildpack: "ruby" },
    async make(outside) {
      await makeGemMirror(outside.path("gems"));
      return lockedRubyFixture("ruby-sinatra", `${outside.address}/gems`);
    },
  },
  { fixture: "java-maven", buildpack: "java", programs: jdk },
  { fixture: "java-spring", buildpack: "java", programs: jdk },
  { fixture: "clojure-lein", buildpack: "clojure", programs: { ...jdk, lein: "leiningen" } },
  { ...{ fixture: "scala", buildpack: "scala", programs: jdk }, offer: offerSbt },
  { fixture: "go-web", buildpack: "go" },
  {
    ...{ fixture: "php-composer", buildpack: "php" },
    async make(outside) {
      await ensurePhp();
      await makeComposerRepository(outside.path("composer"), `${outside.address}/composer`);
      return lockedPhpFixture("php-composer", `${outside.address}/composer`);
    },
  },
  { fixture: "static", buildpack: "static", programs: { nginx: "nginx-light" } },
];

/** Where builds find what `offer` has put there. */
export const offeredMirrors = (outside: OutsideServer) => ({
  STATOR_SBT_MIRROR: `${outside.address}/sbt`,
});

export interface BenchApp {
  name: string;
  /** What the first push took, with an empty cache. */
  coldMs: number;
  /** Commits and pushes; resolves with the time until it answered. */
  push(): Promise<number>;
}

interface Surroundings {
  outside: OutsideServer;
  /** The compiled program, and the server's folder of buildpacks. */
  binary: string;
  buildpacks: string;
  prepare: (fixture: string, label: string) => Promise<BenchApp>;
  /** The last lines of an app's log. */
  log: (app: string) => Promise<string>;
}

/**
 * From a push to an answer, cold and warm, and what of the warm one is Stator's own: the rest is what the
 * same buildpack takes on this machine, without platform, container and slug, and the app's own start.
 */
export async function benchLanguages(
  { api, row }: Pick<BenchPlatform, "api" | "row">,
  surroundings: Surroundings,
): Promise<void> {
  const { outside, buildpacks, prepare, log } = surroundings;
  for (const language of languages) {
    const { fixture } = language;
    await ensurePrograms(language.programs ?? {});
    const folder = (await language.make?.(outside)) ?? fixture;
    await language.offer?.(outside, buildpacks);
    const app = await prepare(folder, `language-${fixture}`);
    const warm: { took: number; start: number }[] = [];
    for (let count = 0; count < 3; count++)
      warm.push({ took: await app.push(), start: startMs(await log(app.name)) });
    const { took, start } = middle(warm, (push) => push.took);
    const alone = await warmCompileMs(language, folder, surroundings);
    const bytes = await slugBytes(api, app.name);
    row(
      `${fixture}: push to live, cold / warm`,
      `${seconds(app.coldMs)} / ${seconds(took)}, slug ${printedSize(bytes)}`,
    );
    row(
      "  of the warm one Stator's own",
      `${seconds(took - alone - start)} (build alone ${seconds(alone)}, app's start ${seconds(start)})`,
      "under 1.5 s",
    );
    await api("DELETE", `/apps/${app.name}`);
    if (folder !== fixture) rmSync(dirname(folder), { recursive: true });
  }
}

/** What the buildpack alone takes for it: the second and the third time, since the first one fills its cache. */
async function warmCompileMs(
  { buildpack, offer }: Language,
  folder: string,
  { outside, binary }: Surroundings,
): Promise<number> {
  const bench = await openBench(buildpack, { binary });
  try {
    bench.useStack();
    Object.assign(bench.env, offeredMirrors(outside));
    if (offer) {
      // Its folders are called otherwise.
      const parent = bench.path("offered");
      mkdirSync(join(parent, buildpack), { recursive: true });
      const file = `${buildpack}/versions.json`;
      await Bun.write(join(parent, file), Bun.file(bench.path("buildpack/versions.json")));
      await offer(outside, parent);
      await Bun.write(bench.path("buildpack/versions.json"), Bun.file(join(parent, file)));
    }
    const took: number[] = [];
    for (let count = 0; count < 3; count++) {
      await bench.useFixture(folder);
      const begun = performance.now();
      const { status, stdout, stderr } = await bench.compile();
      took.push(performance.now() - begun);
      if (status !== 0) throw new Error(`${folder}: ${stdout}${stderr}`);
    }
    return Math.min(...took.slice(1));
  } finally {
    await bench.close();
  }
}

/** How long the newest dyno took until it listened, as its log has it. */
function startMs(log: string): number {
  const times = log.split("\n").flatMap((line) => {
    const [, time, message] = /^(\S+) heroku\[web\.1\]: (.*)$/.exec(line) ?? [];
    return time && message ? [{ time: Date.parse(time), message }] : [];
  });
  const up = times.findLast(({ message }) => message === "State changed from starting to up");
  const begun = times.findLast(
    ({ time, message }) => message.startsWith("Starting process") && time <= (up?.time ?? 0),
  );
  if (!up || !begun) throw new Error(`the log does not tell of a start: ${log}`);
  return up.time - begun.time;
}

let sbt: string | undefined;

async function offerSbt(outside: OutsideServer, buildpacks: string): Promise<void> {
  mkdirSync(outside.path("pack"), { recursive: true });
  sbt ??= await packSbtLauncher(outside.path("pack"));
  const tool = { buildpack: "scala", name: "sbt", version: "1.10.7", archive: sbt };
  offerOutside({ buildpacks, outside }, tool);
}

async function slugBytes(api: BenchPlatform["api"], app: string): Promise<number> {
  const { slug_size: bytes } = (await api("GET", `/apps/${app}`)) as { slug_size: number };
  return bytes;
}

function middle<T>(all: T[], by: (one: T) => number): T {
  const sorted = all.toSorted((one, other) => by(one) - by(other));
  return sorted[Math.floor(sorted.length / 2)] as T;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

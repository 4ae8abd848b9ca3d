import { lstatSync } from "node:fs";
import { join } from "node:path";
import type { UsedBuildpack } from "../model/build.ts";
import { type BuildpackName, isPinned } from "../model/buildpack-source.ts";
import type { ConfigVars } from "../model/config-vars.ts";
import { BuildFailed } from "./build-failed.ts";
import { type BroughtBuildpack, type BuildpackStore } from "./buildpack-store.ts";
import { builtInBuildpacks } from "./buildpacks.ts";
import { FetchFailed } from "./fetch-inside.ts";
import { BadBuildpackFile, chooseBuildpacks, type Chosen } from "./chosen-buildpacks.ts";
import { maskedOutput, secretsOf } from "./masked-output.ts";
import { type BuildPrinter, keptText } from "./output.ts";
import { BuildTimeout, type Workshop } from "./workshop.ts";

/** The last buildpack of a build: its release decides, its name stands for the slug. */
export interface LastBuildpack {
  folderName: string;
  description: string;
  /** A built-in one that was found by asking. */
  detected: string | null;
}

interface Request {
  config: ConfigVars;
  buildpacks: BuildpackName[];
  usedBefore: UsedBuildpack[];
  note: (used: UsedBuildpack[]) => void;
  print: BuildPrinter;
}

/** Runs the buildpacks of a build one after the other, each with what those before it export (contract §5). */
export function buildSteps(
  { buildpackStore, requirePins }: { buildpackStore: BuildpackStore; requirePins: boolean },
  workshop: Workshop,
  { config, buildpacks, usedBefore, note, print }: Request,
) {
  const secrets = secretsOf(config);
  const exports: string[] = [];
  const used: UsedBuildpack[] = [];
  const { inside } = workshop;

  async function runAll(): Promise<LastBuildpack> {
    const choice = await choose();
    if (!choice) return detectOne();
    const { buildpacks: chosen, origin } = choice;
    await announce(chosen, origin);
    // All of them before the first one runs: from then on the folders are the app's to change, and the
    // server writes no more into what may be a link to somewhere else.
    const brought: [Chosen, BroughtBuildpack][] = [];
    for (const buildpack of chosen) brought.push([buildpack, await bring(buildpack)]);
    let last: LastBuildpack | undefined;
    for (const [buildpack, one] of brought) {
      const description = await detect(one, nameOf(buildpack));
      await print.step(`${description} app detected`);
      await compile(one, description);
      last = { folderName: one.folderName, description, detected: null };
    }
    return last as LastBuildpack;
  }

  async function choose() {
    try {
      return chooseBuildpacks(buildpacks, { buildFolder: workshop.buildFolder, config });
    } catch (error) {
      if (!(error instanceof BadBuildpackFile)) throw error;
      return fail(error.message);
    }
  }

  async function announce(chosen: Chosen[], origin: string | null): Promise<void> {
    const by = origin === null ? "" : ` (${origin})`;
    if (chosen.length === 1) await print.step(`Using buildpack: ${nameOf(chosen[0])}${by}`);
    else {
      await print.step(`Using buildpacks:${by}`);
      for (const [index, buildpack] of chosen.entries())
        await print.detail(`${index + 1}. ${nameOf(buildpack)}`);
    }
    const loose = chosen.find(
      (one) => one !== "inline" && one.text.includes("://") && !isPinned(one.text),
    );
    if (requirePins && loose)
      await fail(
        `The operator of this platform requires buildpacks with their commit: ${nameOf(loose)}`,
        "Add the commit's 40 digits to its address, after a #.",
      );
  }

  async function bring(buildpack: Chosen): Promise<BroughtBuildpack> {
    const name = nameOf(buildpack);
    let brought: BroughtBuildpack;
    try {
      brought = await buildpackStore.bring(workshop, buildpack);
    } catch (error) {
      if (!(error instanceof FetchFailed)) throw error;
      return fail(`Cannot fetch the buildpack ${name}:`, ...error.message.split("\n"));
    }
    const { version } = brought;
    used.push({ buildpack: name, version });
    note(used);
    if (version !== null) {
      await print.detail(`${name} is at ${version}`);
      const before = usedBefore.find((one) => one.buildpack === name)?.version;
      if (before && before !== version)
        await print.problem(`The buildpack has changed since the last build, which had ${before}.`);
    }
    return brought;
  }

  /** Asks a buildpack that was set; it must take the app. */
  async function detect(brought: BroughtBuildpack, name: string): Promise<string> {
    const { status, said } = await ask(brought);
    if (status === 0) return firstLine(said) || name;
    await print.step(`App not compatible with buildpack: ${name}`);
    for (const line of said.trimEnd().split("\n").filter(Boolean))
      await print.line(printable(line));
    await print.detail(
      "More info: stator buildpacks tells which are set, stator buildpacks:clear lets them be found.",
    );
    return fail();
  }

  /** Asks the built-in ones in their order; all of them, to warn when more than one would do. */
  async function detectOne(): Promise<LastBuildpack> {
    await print.step("Determining which buildpack to use for this app");
    const found: { name: string; brought: BroughtBuildpack; description: string }[] = [];
    const builtIn = builtInBuildpacks(workshop.buildpacksDir);
    for (const name of builtIn) {
      // A site of files is what is left when it is nothing else.
      if (name === "static" && found.length > 0) continue;
      const buildpack = { text: `heroku/${name}`, secrets: null };
      const brought = await buildpackStore.bring(workshop, buildpack);
      const { status, said } = await ask(brought);
      if (status === 0) found.push({ name, brought, description: firstLine(said) || name });
    }
    const [first] = found;
    if (!first) return explainNoneDetected(builtIn);
    if (found.length > 1) {
      await print.problem(
        "Warning: Multiple default buildpacks reported the ability to handle this app. The first buildpack in the list below will be used.",
      );
      const names = found.map(({ description }) => description).join(",");
      await print.line(`\t\t\tDetected buildpacks: ${names}`);
      await print.line(
        "\t\t\tTo choose: stator buildpacks:set, and buildpacks:add for more than one",
      );
    }
    used.push({ buildpack: `heroku/${first.name}`, version: first.brought.version });
    note(used);
    await print.step(`${first.description} app detected`);
    await compile(first.brought, first.description);
    const { brought, description, name } = first;
    return { folderName: brought.folderName, description, detected: `heroku/${name}` };
  }

  async function explainNoneDetected(builtIn: string[]): Promise<never> {
    await print.problem("No default language could be detected for this app.");
    await print.line(
      "\t\t\tHINT: This occurs when Stator cannot detect the buildpack to use for this application automatically.",
    );
    await print.line(
      `\t\t\tBuilt-in buildpacks: ${builtIn.join(", ")}. A Node.js app has a package.json, a file, in its root folder.`,
    );
    if (["heroku.yml", "Dockerfile"].some((name) => isFile(join(workshop.buildFolder, name))))
      await print.line(
        "\t\t\tThis one can be built as a container image: stator stack:set container",
      );
    await print.line("");
    return fail();
  }

  async function ask(brought: BroughtBuildpack): Promise<{ status: number; said: string }> {
    const output = keptText(4096);
    const masked = maskedOutput(output, secrets);
    const status = await runProgram(brought, ["detect", inside.build], {
      ...{ output: masked, network: false },
    });
    await masked.end();
    return { status, said: output.text() };
  }

  async function compile(brought: BroughtBuildpack, description: string): Promise<void> {
    const output = maskedOutput(print.raw, secrets);
    const args: [string, ...string[]] = ["compile", inside.build, inside.cache, inside.environment];
    const status = await runProgram(brought, args, { output, network: true }).catch(
      async (error: unknown) => {
        await output.end();
        if (!(error instanceof BuildTimeout)) throw error;
        throw new BuildTimeout(`Timed out running buildpack ${description}`);
      },
    );
    await output.end();
    if (status !== 0) {
      await print.problem(`Push rejected, failed to compile ${description} app.`);
      await print.line("");
      await fail();
    }
    exports.push(`${inside.buildpacks}/${brought.folderName}/export`);
  }

  function runProgram(
    { folderName }: BroughtBuildpack,
    [program, ...args]: [string, ...string[]],
    options: Pick<Parameters<Workshop["run"]>[1], "output" | "network">,
  ): Promise<number> {
    const call = [`./bin/${program}`, ...args] as [string, ...string[]];
    const argv: [string, ...string[]] =
      exports.length === 0
        ? call
        : ["bash", "-c", withExports, "build", String(exports.length), ...exports, ...call];
    const workingDirectory = `${inside.buildpacks}/${folderName}`;
    return workshop.run(argv, { ...options, workingDirectory });
  }

  async function fail(...problems: string[]): Promise<never> {
    for (const problem of problems) await print.problem(printable(problem));
    if (problems.length > 0) await print.line("");
    await print.problem("Push failed");
    throw new BuildFailed(problems[0] ?? "the buildpacks ended it");
  }

  return { runAll };
}

/** Sources the first so many of its arguments, as far as they are there, and becomes the rest. */
const withExports =
  'count=$1; shift; while [ "$count" -gt 0 ]; do [ ! -f "$1" ] || . "$1"; shift; count=$((count - 1)); done; exec "$@"';

function nameOf(buildpack: Chosen | undefined): string {
  return buildpack === undefined || buildpack === "inline" ? "inline" : buildpack.text;
}

function firstLine(text: string): string {
  // What a buildpack calls itself goes into lines of ours.
  return printable(text.split("\n")[0] ?? "")
    .trim()
    .slice(0, 60);
}

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** One line, nothing that moves a cursor. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "");
}

import { printedSize } from "../../src/build/output.ts";
import { openBench } from "../helpers/buildpack-bench.ts";
import type { BenchPlatform } from "./dynos.ts";

/** A fixture app for each language, and the built-in buildpack that it is built by. */
const languages: [fixture: string, buildpack: string][] = [
  ["express", "nodejs"],
  ["python-pip", "python"],
  ["static", "static"],
];

export interface BenchApp {
  name: string;
  /** What the first push took, with an empty cache. */
  coldMs: number;
  /** Commits and pushes; resolves with the time until it answered. */
  push(): Promise<number>;
}

/**
 * From a push to an answer, cold and warm, and what of the warm one is Stator's own: the rest is what the
 * same buildpack takes on this machine, without platform, container and slug.
 */
export async function benchLanguages(
  { api, row }: Pick<BenchPlatform, "api" | "row">,
  prepare: (fixture: string, label: string) => Promise<BenchApp>,
): Promise<void> {
  for (const [fixture, buildpack] of languages) {
    const app = await prepare(fixture, `language-${fixture}`);
    const warm = [await app.push(), await app.push(), await app.push()].toSorted((a, b) => a - b);
    const warmMs = warm[1] ?? 0;
    const aloneMs = await warmCompileMs(fixture, buildpack);
    const bytes = await slugBytes(api, app.name);
    row(
      `${fixture}: push to live, cold / warm`,
      `${seconds(app.coldMs)} / ${seconds(warmMs)}, slug ${printedSize(bytes)}`,
    );
    row(
      "  of the warm one not the buildpack's",
      `${seconds(warmMs - aloneMs)} (alone ${seconds(aloneMs)})`,
      "under 1.5 s",
    );
    await api("DELETE", `/apps/${app.name}`);
  }
}

async function warmCompileMs(fixture: string, buildpack: string): Promise<number> {
  const bench = await openBench(buildpack);
  try {
    bench.useStack();
    let took = 0;
    for (let count = 0; count < 3; count++) {
      await bench.useFixture(fixture);
      const begun = performance.now();
      const { status, stdout, stderr } = await bench.compile();
      took = performance.now() - begun;
      if (status !== 0) throw new Error(`${fixture}: ${stdout}${stderr}`);
    }
    return took;
  } finally {
    await bench.close();
  }
}

async function slugBytes(api: BenchPlatform["api"], app: string): Promise<number> {
  const { slug_size: bytes } = (await api("GET", `/apps/${app}`)) as { slug_size: number };
  return bytes;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

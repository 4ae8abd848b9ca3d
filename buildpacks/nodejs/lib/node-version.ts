import { BuildFailure } from "./build-failure.ts";
import { isRange, majorOf, newest, satisfies, versions } from "./versions.ts";

/** The range that the app asks for, `latest` read as any; undefined if it asks for nothing. */
export function wantedNode(engine: string | undefined): string | undefined {
  const wanted = engine?.trim();
  if (!wanted) return undefined;
  if (wanted === "latest" || wanted === "node") return "*";
  if (isRange(wanted)) return wanted;
  throw new BuildFailure(
    `engines.node in package.json is "${wanted}", which is not a version or a range of versions.\n` +
      `Write the release line that the app needs, for example: "engines": { "node": "${versions.node.default}" }`,
  );
}

/**
 * The newest version in the range. A range that reaches beyond the Active LTS line stays on that line,
 * so that an app does not move to the next major version on the day it comes out.
 */
export function resolveNode(
  wanted: string,
  { available, allowWideRange }: { available: string[]; allowWideRange: boolean },
): string | undefined {
  const matching = available.filter((version) => satisfies(version, wanted));
  const best = newest(matching);
  const inActiveLts = newest(
    matching.filter((version) => majorOf(version) === versions.node.activeLts),
  );
  const reachesBeyond = best !== undefined && majorOf(best) > versions.node.activeLts;
  return reachesBeyond && !allowWideRange ? (inActiveLts ?? best) : best;
}

export function isSupported(version: string): boolean {
  return versions.node.supported.includes(majorOf(version));
}

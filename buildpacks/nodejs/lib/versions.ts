import data from "../versions.json";

/** Everything that moves with time, from versions.json. */
export const versions = data;

const part = String.raw`(?:\d+|[xX*])`;
const version = String.raw`v?${part}(?:\.${part}){0,2}(?:-[\w.-]+)?(?:\+[\w.-]+)?`;
const comparator = String.raw`(?:[<>]=?|=|~>?|\^)?\s*${version}`;
const range = new RegExp(
  String.raw`^\s*(?:${version}\s+-\s+${version}|${comparator}(?:\s+${comparator})*)\s*$`,
);

/** Bun.semver takes any text that it can't read for `*`; this tells what npm would call a range. */
export function isRange(text: string): boolean {
  return text
    .split("||")
    .every((alternative) => alternative.trim() === "" || range.test(alternative));
}

export function satisfies(candidate: string, wanted: string): boolean {
  return isRange(wanted) && Bun.semver.satisfies(candidate, wanted.trim() || "*");
}

export function majorOf(text: string): number {
  return Number(/\d+/.exec(text)?.[0] ?? Number.NaN);
}

export function newest(candidates: string[]): string | undefined {
  return candidates.toSorted(Bun.semver.order).at(-1);
}

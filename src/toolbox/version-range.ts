/**
 * Whether a version is in a range, as npm reads ranges; `3.13` and `3` are all versions that begin so.
 * Versions with other than three numbers (`1.26`, `25.0.1.8`, `8.0.432+6`) are read as far as three go.
 */
export function isInRange(version: string, range: string): boolean {
  return Bun.semver.satisfies(threeNumbers(version), range.trim() || "*");
}

/** The newest of the things whose version is in a range; early versions (`3.15.0a1`) only when named. */
export function newestInRange<T extends { version: string }>(
  things: readonly T[],
  range: string,
): T | undefined {
  const exact = things.find(({ version }) => version === range.trim());
  if (exact) return exact;
  return things
    .filter(({ version }) => /^[\d.+_-]+$/.test(version) && isInRange(version, range))
    .toSorted((one, other) => compareVersions(one.version, other.version))
    .at(-1);
}

/** Compares number by number, whatever stands between them. */
function compareVersions(one: string, other: string): number {
  const [ones, others] = [one, other].map((text) => (text.match(/\d+/g) ?? []).map(Number));
  for (let index = 0; index < Math.max(ones?.length ?? 0, others?.length ?? 0); index++) {
    const difference = (ones?.[index] ?? 0) - (others?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function threeNumbers(version: string): string {
  const [major = "0", minor = "0", patch = "0"] = version.match(/\d+/g) ?? [];
  return `${major}.${minor}.${patch}`;
}

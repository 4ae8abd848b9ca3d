/** Of the rounds that went well; `NaN` when none did. */
export function median(figures: number[]): number {
  const known = figures.filter((figure) => !Number.isNaN(figure));
  return known.toSorted((one, other) => one - other)[Math.floor(known.length / 2)] ?? NaN;
}

/** The figure under which so many in a hundred are; `NaN` of none. */
export function percentile(figures: number[], percent: number): number {
  const sorted = figures.toSorted((one, other) => one - other);
  return sorted[Math.floor((sorted.length * percent) / 100)] ?? NaN;
}

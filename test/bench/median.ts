/** Of the rounds that went well; `NaN` when none did. */
export function median(figures: number[]): number {
  const known = figures.filter((figure) => !Number.isNaN(figure));
  return known.toSorted((one, other) => one - other)[Math.floor(known.length / 2)] ?? NaN;
}

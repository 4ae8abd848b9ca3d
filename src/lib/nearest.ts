/** The word that a mistyped one most likely means, unless none is near. */
export function nearest(typed: string, words: string[]): string | undefined {
  const [best] = words
    .map((word) => ({ word, distance: editDistance(typed, word) }))
    .toSorted((a, b) => a.distance - b.distance);
  return best && best.distance <= Math.max(2, typed.length / 3) ? best.word : undefined;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Runs so many tasks at once; the others wait for a place. */
export function createPlaces(count: number) {
  const waiting: (() => void)[] = [];
  let free = count;
  return async function take<T>(task: () => Promise<T>): Promise<T> {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}

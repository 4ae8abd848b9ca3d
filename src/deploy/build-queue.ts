/** So many builds at once; the others wait in the order in which they came. */
export function createBuildQueue(size: number) {
  const waiting: (() => void)[] = [];
  let free = size;
  function leave(): void {
    const next = waiting.shift();
    if (next) next();
    else free++;
  }
  return {
    /** Resolves with the function that gives the place back; `wait` hears how many are before it. */
    async take({
      signal,
      wait,
    }: {
      signal: AbortSignal;
      wait: (before: number) => Promise<void> | void;
    }): Promise<() => void> {
      signal.throwIfAborted();
      if (free > 0) free--;
      else {
        const turn = Promise.withResolvers<void>();
        waiting.push(turn.resolve);
        const giveUp = () => {
          const at = waiting.indexOf(turn.resolve);
          // Whose turn has come meanwhile hands it on.
          if (at >= 0) waiting.splice(at, 1);
          else leave();
          turn.reject(signal.reason as Error);
        };
        signal.addEventListener("abort", giveUp, { once: true });
        await wait(waiting.length - 1);
        await turn.promise;
        signal.removeEventListener("abort", giveUp);
      }
      let left = false;
      return () => {
        if (!left) leave();
        left = true;
      };
    },
  };
}

export type BuildQueue = ReturnType<typeof createBuildQueue>;

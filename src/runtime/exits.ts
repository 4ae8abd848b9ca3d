import { watch } from "node:fs";

/** The ends of containers, as they are written into a folder: a file each, by the container's id. */
export interface Exits {
  /** Resolves with the exit status, also of one that ended long ago. */
  wait(id: string): Promise<number>;
  /** Nothing will be written of this one any more; who waits for it is told this status. */
  forget(id: string, status: number): void;
  /** Stops watching. */
  close(): void;
}

/** Watches a folder; `statusOf` tells the status of a container that has ended. */
export function watchExits(
  folder: string,
  { statusOf, lookEveryMs }: { statusOf: (id: string) => number | undefined; lookEveryMs: number },
): Exits {
  const waiters = new Map<string, PromiseWithResolvers<number>>();
  function waiter(id: string): PromiseWithResolvers<number> {
    let entry = waiters.get(id);
    if (!entry) {
      entry = Promise.withResolvers();
      waiters.set(id, entry);
    }
    return entry;
  }
  function look(id: string): void {
    const status = statusOf(id);
    if (status !== undefined) waiter(id).resolve(status);
  }
  // The kernel may drop notifications, so the folder is also read now and then.
  const watcher = watch(folder, (_, name) => {
    if (name && waiters.has(name)) look(name);
  });
  const poll = setInterval(() => {
    for (const id of waiters.keys()) look(id);
  }, lookEveryMs);
  poll.unref();
  return {
    wait(id) {
      const { promise } = waiter(id);
      look(id);
      return promise;
    },
    forget(id, status) {
      waiter(id).resolve(status);
      waiters.delete(id);
    },
    close() {
      clearInterval(poll);
      watcher.close();
    },
  };
}

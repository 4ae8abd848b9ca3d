import { buildPrinter, type BuildOutput } from "../build/output.ts";
import type { Account } from "../model/account.ts";
import type { App } from "../model/app.ts";

/** One deploy of an app at a time; the next one is told who is at it, and waits. */
export class DeployLock {
  readonly #holders = new Map<string, { user: Account; since: Date; released: Promise<void> }>();

  /** Resolves with the function that gives the lock back. */
  async take(
    app: App,
    { user, output, signal }: { user: Account; output: BuildOutput; signal: AbortSignal },
  ): Promise<() => void> {
    for (;;) {
      signal.throwIfAborted();
      const holder = this.#holders.get(app.id);
      if (!holder) break;
      const since = holder.since.toISOString().slice(11, 19);
      await buildPrinter(output).step(
        `${holder.user.email} is deploying ${app.name} since ${since} UTC; waiting for the end of it`,
      );
      const aborted = new Promise<void>((resolve) =>
        signal.addEventListener("abort", () => resolve(), { once: true }),
      );
      await Promise.race([holder.released, aborted]);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#holders.set(app.id, { user, since: new Date(), released: promise });
    return () => {
      this.#holders.delete(app.id);
      resolve();
    };
  }
}

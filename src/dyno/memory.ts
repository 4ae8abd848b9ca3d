import type { Dyno } from "../model/dyno.ts";
import type { DynoSize, DynoSizes } from "../model/dyno-size.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { sizeOf } from "./dyno-spec.ts";

const mebibyte = 1024 * 1024;

/** `Process running mem=1028M(103.3%)`, as Heroku writes it (contract §1.12). Pure. */
function memoryLine(memoryBytes: number, { memoryBytes: quota }: DynoSize): string {
  const percent = ((memoryBytes / quota) * 100).toFixed(1);
  return `Process running mem=${Math.round(memoryBytes / mebibyte)}M(${percent}%)`;
}

/** What the log says of a dyno that uses so much: nothing, or R14 (contract clause 35). Pure. */
export function overQuotaLines(memoryBytes: number, size: DynoSize): string[] {
  if (memoryBytes <= size.memoryBytes) return [];
  return [memoryLine(memoryBytes, size), "Error R14 (Memory quota exceeded)"];
}

/** What the log says of a dyno of which the kernel has killed processes for want of memory. Pure. */
export function outOfMemoryLines(memoryBytes: number, size: DynoSize): string[] {
  return [
    memoryLine(Math.max(memoryBytes, size.memoryKillBytes), size),
    "Error R15 (Memory quota vastly exceeded)",
    `The kernel ended it: it needed more than ${Math.round(size.memoryKillBytes / mebibyte)} MB`,
  ];
}

interface MemoryContext {
  runtime: Runtime;
  sizes: DynoSizes;
}

const tellOverQuotaEveryMs = 20_000;

/** What a dyno makes of its memory, for its log (contract clause 35). */
export class MemoryWatch {
  readonly #context: MemoryContext;
  readonly #dyno: Dyno;
  readonly #log: (line: string) => void;
  #overQuotaToldAt = 0;
  #killsAreTold = false;

  constructor(context: MemoryContext, dyno: Dyno, log: (line: string) => void) {
    this.#context = context;
    this.#dyno = dyno;
    this.#log = log;
  }

  /**
   * Called every few seconds while it runs: R14, and the end of a dyno of which the kernel has ended
   * a part (cgroups of version 1 know no whole): an app that is half there serves nobody, and one
   * that starts the part anew, again and again, takes the processors from all.
   */
  async look(now: number): Promise<void> {
    const { runtime, sizes } = this.#context;
    const stats = runtime.stats(this.#dyno.id);
    if (!stats || this.#killsAreTold) return;
    if (stats.outOfMemoryKills > 0) {
      this.tellOfKills();
      this.#log("Stopping process with SIGKILL");
      await runtime.signal(this.#dyno.id, "KILL");
    } else if (now - this.#overQuotaToldAt >= tellOverQuotaEveryMs) {
      const lines = overQuotaLines(stats.memoryBytes, sizeOf(sizes, this.#dyno));
      if (lines.length > 0) this.#overQuotaToldAt = now;
      lines.forEach(this.#log);
    }
  }

  /** Tells once of what the kernel has ended for want of memory, also after the dyno's end. */
  tellOfKills(): void {
    const stats = this.#context.runtime.stats(this.#dyno.id);
    if (!stats || stats.outOfMemoryKills === 0 || this.#killsAreTold) return;
    this.#killsAreTold = true;
    outOfMemoryLines(stats.memoryBytes, sizeOf(this.#context.sizes, this.#dyno)).forEach(this.#log);
  }
}

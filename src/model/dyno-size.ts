import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";

/** What a dyno of a size gets (contract §1.5). */
export interface DynoSize {
  name: string;
  /** What the app may use; over it R14. */
  memoryBytes: number;
  /** What it is killed at: R15. */
  memoryKillBytes: number;
  /** Weight of the dyno when the processors are contended; 100 is one share. */
  cpuWeight: number;
  maxProcesses: number;
  /** Its memory is kept free for it. The others share: each counts with a part of its memory. */
  dedicated: boolean;
}

const mebibyte = 1024 * 1024;
const size = (
  name: string,
  [megabytes, killMegabytes]: [number, number],
  rest: Pick<DynoSize, "cpuWeight" | "maxProcesses" | "dedicated">,
): DynoSize => ({
  name,
  memoryBytes: megabytes * mebibyte,
  memoryKillBytes: killMegabytes * mebibyte,
  ...rest,
});

const small = { cpuWeight: 100, maxProcesses: 256, dedicated: false };
const large = { cpuWeight: 5000, maxProcesses: 32_768, dedicated: true };

const herokuSizes: DynoSize[] = [
  size("Eco", [512, 1024], small),
  size("Basic", [512, 1024], small),
  size("Standard-1X", [512, 1024], small),
  size("Standard-2X", [1024, 2048], { cpuWeight: 200, maxProcesses: 512, dedicated: false }),
  size("Performance-M", [2560, 5120], { cpuWeight: 1200, maxProcesses: 16_384, dedicated: true }),
  size("Performance-L", [14_336, 28_672], large),
  size("Performance-L-RAM", [30_720, 36_864], { ...large, cpuWeight: 2400 }),
  size("Performance-XL", [63_488, 75_776], large),
  size("Performance-2XL", [129_024, 154_624], { ...large, cpuWeight: 10_000 }),
];

/** Size of dynos that nobody has chosen one for. */
export const defaultDynoSize = "Basic";
/** Size of dynos that sleep without being asked to. */
export const sleepingDynoSize = "Eco";

const ownSizes = z.array(
  z.strictObject({
    name: z.string().regex(/^[A-Za-z][A-Za-z0-9.-]{0,39}$/),
    memory_mb: z.int().min(16),
    kill_mb: z.int().min(16).optional(),
    cpu_weight: z.int().min(1).max(10_000).default(100),
    max_processes: z.int().min(8).max(4_194_304).default(256),
    dedicated: z.boolean().default(false),
  }),
);

export interface DynoSizes {
  list: DynoSize[];
  /** Found whatever its case. */
  find(name: string): DynoSize | undefined;
}

/** The sizes that there are: Heroku's, and the operator's own over them. */
export function dynoSizes(own: DynoSize[] = []): DynoSizes {
  const list = [
    ...herokuSizes.filter(({ name }) => !own.some((one) => isSame(one.name, name))),
    ...own,
  ];
  return { list, find: (name) => list.find((one) => isSame(one.name, name)) };
}

/**
 * Reads the operator's sizes, `[{"name": "Tiny", "memory_mb": 128}]` with `kill_mb`, `cpu_weight`,
 * `max_processes` and `dedicated` where they are not the usual ones. Throws what is wrong with them.
 */
export function readDynoSizes(path: string): DynoSizes {
  if (!existsSync(path)) return dynoSizes();
  let given: z.output<typeof ownSizes>;
  try {
    given = ownSizes.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    const [issue] = error instanceof z.ZodError ? error.issues : [];
    const what = issue ? `${issue.path.join(".")}: ${issue.message}` : (error as Error).message;
    throw new Error(`${path} cannot be used: ${what}`, { cause: error });
  }
  return dynoSizes(
    given.map((one) =>
      size(one.name, [one.memory_mb, one.kill_mb ?? one.memory_mb * 2], {
        cpuWeight: one.cpu_weight,
        maxProcesses: one.max_processes,
        dedicated: one.dedicated,
      }),
    ),
  );
}

function isSame(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

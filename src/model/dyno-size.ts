/** What a dyno of each size gets (contract §1.5). */
export interface DynoSize {
  name: string;
  memoryBytes: number;
  /** Weight of the dyno when the processors are contended; 100 is one share. */
  cpuWeight: number;
  maxProcesses: number;
}

const mebibyte = 1024 * 1024;

export const dynoSizes: DynoSize[] = [
  { name: "Eco", memoryBytes: 512 * mebibyte, cpuWeight: 100, maxProcesses: 256 },
  { name: "Basic", memoryBytes: 512 * mebibyte, cpuWeight: 100, maxProcesses: 256 },
  { name: "Standard-1X", memoryBytes: 512 * mebibyte, cpuWeight: 100, maxProcesses: 256 },
  { name: "Standard-2X", memoryBytes: 1024 * mebibyte, cpuWeight: 200, maxProcesses: 512 },
  { name: "Performance-M", memoryBytes: 2560 * mebibyte, cpuWeight: 1200, maxProcesses: 16384 },
  { name: "Performance-L", memoryBytes: 14336 * mebibyte, cpuWeight: 5000, maxProcesses: 32768 },
];

/** Sizes are found whatever their case. */
export function findDynoSize(name: string): DynoSize | undefined {
  return dynoSizes.find((size) => size.name.toLowerCase() === name.toLowerCase());
}

import { UsageFailure } from "./failures.ts";

const unitSeconds = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90s`, `30m`, `2h` or `1d` in seconds; a bare number is minutes. */
export function readDuration(flag: string, text: string): number {
  const [, number, unit = "m"] = /^(\d{1,6})([smhd])?$/.exec(text.trim()) ?? [];
  if (number === undefined || Number(number) === 0)
    throw new UsageFailure(`${flag} is ${text}, but must be a time, as in 90s, 30m, 2h or 1d.`);
  return Number(number) * unitSeconds[unit as keyof typeof unitSeconds];
}

/** The same back, in the largest unit that fits. */
export function durationInWords(seconds: number): string {
  const units = Object.entries(unitSeconds).toReversed();
  const [unit, size] = units.find(([, one]) => seconds % one === 0 && seconds >= one) ?? ["s", 1];
  return `${seconds / size}${unit}`;
}

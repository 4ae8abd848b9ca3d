export type Paint = ReturnType<typeof paint>;

/** Heroku's colours, where there are any. */
export function paint(colour: boolean) {
  const sgr = (code: string) => (text: string) =>
    colour ? `\u001b[${code}m${text}\u001b[0m` : text;
  const bold = sgr("1");
  const app = sgr("35");
  return {
    app: (name: string) => app(`⬢ ${name}`),
    header: (text: string) => `${sgr("2")("===")} ${bold(text)}`,
    key: sgr("32"),
    command: sgr("36"),
    dim: sgr("2"),
    red: sgr("31"),
    /** `app[web.1]` of a log line: each dyno has a colour of its own. */
    dyno(name: string) {
      const codes = ["33", "36", "32", "35", "34", "93", "96", "92"];
      let sum = 0;
      for (const character of name) sum = (sum * 31 + character.charCodeAt(0)) >>> 0;
      return sgr(codes[sum % codes.length] ?? "33");
    },
  };
}

/** `Key:   value` lines with the values below each other. */
export function keyValueLines(
  entries: [key: string, value: string | string[] | null][],
  colour: (key: string) => string = (key) => key,
): string[] {
  const shown = entries.filter(([, value]) => value !== null && value.length > 0);
  const width = Math.max(...shown.map(([key]) => key.length)) + 2;
  return shown.flatMap(([key, value]) => {
    const label = colour(key) + ":".padEnd(width - key.length);
    const [first = "", ...others] = Array.isArray(value) ? value : [value ?? ""];
    return [label + first, ...others.map((other) => " ".repeat(width) + other)];
  });
}

/** Rows with their columns below each other. */
export function tableLines(rows: string[][]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    });
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** `2024/01/01 10:00:00 +0000 (~ 1h ago)`, in the zone of this machine (contract §1.13). */
export function timeAgo(time: string, now: Date = new Date()): string {
  const date = new Date(time);
  const seconds = Math.max(0, Math.floor((now.getTime() - date.getTime()) / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const ago =
    seconds < 60
      ? ` (~ ${seconds}s ago)`
      : minutes < 60
        ? ` (~ ${minutes}m ago)`
        : hours < 25
          ? ` (~ ${hours}h ago)`
          : "";
  return localTime(date) + ago;
}

function localTime(date: Date): string {
  const two = (number: number) => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}/${two(date.getMonth() + 1)}/${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  return `${day} ${time} ${zone}`;
}

/** 12345678 as `11.8 MB`. */
export function bytesText(bytes: number): string {
  const units = ["B", "KB", "MB", "GB"];
  let [amount, unit] = [bytes, 0];
  while (amount >= 1024 && unit < units.length - 1) [amount, unit] = [amount / 1024, unit + 1];
  return `${unit === 0 ? amount : amount.toFixed(1)} ${units[unit]}`;
}

/** A value as a shell reads it back, byte by byte. */
export function shellQuoted(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** `2026-01-31 09:05 UTC` */
export function utcTime(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;
}

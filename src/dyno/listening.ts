import { readFileSync } from "node:fs";

export interface Listener {
  address: "any" | "loopback" | "other";
  port: number;
}

/** What listens inside a dyno, read from the kernel by way of its first process. */
export function listeners(pid: number): Listener[] {
  return ["tcp", "tcp6"].flatMap((table) => {
    try {
      return parseSocketTable(readFileSync(`/proc/${pid}/net/${table}`, "utf8"));
    } catch {
      return [];
    }
  });
}

const listening = "0A";
const anyAddress = /^0+$/;
const loopback = /^(0100007F|00000000000000000000000001000000|0{16}FFFF00000100007F)$/;

/** Reads the kernel's table of sockets (proc(5), /proc/net/tcp). Pure. */
export function parseSocketTable(text: string): Listener[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((row) => {
      const [, local = "", , state] = row.trim().split(/\s+/);
      const [address = "", port = ""] = local.split(":");
      if (state !== listening) return [];
      const kind = anyAddress.test(address) ? "any" : loopback.test(address) ? "loopback" : "other";
      return [{ address: kind, port: Number.parseInt(port, 16) } as const];
    });
}

/** Why nobody reaches a web dyno, in words (lessons: "Bad Gateway without a reason"). Pure. */
export function whyNotReachable(found: Listener[], port: number): string {
  const other = found.find((listener) => listener.port !== port || listener.address === "loopback");
  if (!other) return `nothing listens on $PORT (${port})`;
  const where = `${other.address === "loopback" ? "127.0.0.1" : "0.0.0.0"}:${other.port}`;
  return `the process listens on ${where}, not on 0.0.0.0:$PORT (${port})`;
}

import { randomInt } from "node:crypto";

/** Below the ports that systems give to outgoing connections, which stay taken for a while after them. */
const first = 3000;
const end = 32_000;

/** A port of this machine that nobody has at this moment; the next one to ask may get it, too. */
export function freePort(): number {
  for (;;) {
    const port = randomInt(first, end);
    if (isFree(port)) return port;
  }
}

/** Whether a program could listen on it, on all addresses. */
export function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: "0.0.0.0", port, exclusive: true, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}

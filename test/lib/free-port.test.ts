import { expect, test } from "bun:test";
import { freePort, isFree } from "../../src/lib/free-port.ts";

test("a free port is one that can be listened on, below those of outgoing connections", () => {
  for (let tries = 0; tries < 50; tries++) {
    const port = freePort();
    expect(port).toBeGreaterThanOrEqual(3000);
    expect(port).toBeLessThan(32_000);
    expect(isFree(port)).toBe(true);
  }
});

test("a port is not free while somebody listens on it, on one address or on all", () => {
  for (const hostname of ["0.0.0.0", "127.0.0.1", "::"]) {
    const taken = Bun.listen({ hostname, port: 0, socket: { data() {} } });
    expect(isFree(taken.port)).toBe(false);
    taken.stop(true);
    expect(isFree(taken.port)).toBe(true);
  }
});

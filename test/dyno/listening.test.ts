import { expect, test } from "bun:test";
import { listeners, parseSocketTable, whyNotReachable } from "../../src/dyno/listening.ts";

const head =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const row = (local: string, state: string) =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0\n`;

test("listening sockets are found with the kind of their address, others are not", () => {
  const table =
    head + row("00000000:1F90", "0A") + row("0100007F:0050", "0A") + row("0200C612:2710", "0A");
  expect(parseSocketTable(table + row("00000000:0051", "01"))).toEqual([
    { address: "any", port: 8080 },
    { address: "loopback", port: 80 },
    { address: "other", port: 10_000 },
  ]);
});

test("IPv6's any, loopback and mapped loopback are known", () => {
  const any = "0".repeat(32);
  const loopback = "00000000000000000000000001000000";
  const mapped = "0000000000000000FFFF00000100007F";
  expect(
    parseSocketTable(head + [any, loopback, mapped].map((at) => row(`${at}:0BB8`, "0A")).join("")),
  ).toEqual([
    { address: "any", port: 3000 },
    { address: "loopback", port: 3000 },
    { address: "loopback", port: 3000 },
  ]);
});

test("an empty table, a torn row and a process that is gone have no listeners", () => {
  expect(parseSocketTable("")).toEqual([]);
  expect(parseSocketTable(head)).toEqual([]);
  expect(parseSocketTable(`${head}   0: 000`)).toEqual([]);
  expect(listeners(0x7fff_fff0)).toEqual([]);
});

test("this very process is seen to listen", () => {
  const server = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data() {} } });
  expect(listeners(process.pid)).toContainEqual({ address: "any", port: server.port });
  server.stop(true);
  expect(listeners(process.pid)).not.toContainEqual({ address: "any", port: server.port });
});

test("why a dyno is not reached is said in words", () => {
  expect(whyNotReachable([], 5000)).toBe("nothing listens on $PORT (5000)");
  expect(whyNotReachable([{ address: "any", port: 3000 }], 5000)).toBe(
    "the process listens on 0.0.0.0:3000, not on 0.0.0.0:$PORT (5000)",
  );
  expect(whyNotReachable([{ address: "loopback", port: 5000 }], 5000)).toBe(
    "the process listens on 127.0.0.1:5000, not on 0.0.0.0:$PORT (5000)",
  );
});

import { expect, test } from "bun:test";
import { demoTable, get, ok, startDyno, startTestRouter, type FakeDyno } from "./router-fixture.ts";

/** A dyno that answers request after request on a connection. */
function lastingDyno(extra = "", answer = "HTTP/1.1 200 OK"): FakeDyno {
  return startDyno((connection) => {
    for (let end = 0; (end = connection.received.indexOf("\r\n\r\n")) !== -1;) {
      connection.received = connection.received.slice(end + 4);
      connection.socket.write(`${answer}\r\nContent-Length: 2\r\n${extra}\r\nhi`);
    }
  });
}

async function settled(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while (!condition() && performance.now() < deadlineMs) await Bun.sleep(2);
  expect(condition()).toBe(true);
}

test("a connection to a dyno serves the next request too, for some time", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { reuseMs: 1_500 } });
  const dyno = cleanup.adopt(lastingDyno(), (it) => it.stop());
  await router.route([dyno]);
  for (let index = 0; index < 5; index++) expect(await router.ask(get)).toEndWith("hi");
  expect(dyno.connections).toHaveLength(1);
  expect((await router.logLines(5))[4]).toContain("dyno=web.1 connect=0ms ");
  await dyno.connections[0]!.closed;
  expect(await router.ask(get)).toEndWith("hi");
  expect(dyno.connections).toHaveLength(2);
});

for (const [what, extra, answer] of [
  ["says that it closes", "Connection: close\r\n", undefined],
  ["speaks HTTP/1.0", "", "HTTP/1.0 200 OK"],
  ["keeps it for a second only", "Keep-Alive: timeout=1\r\n", undefined],
] as const)
  test(`a connection is not used again when the dyno ${what}`, async () => {
    using cleanup = new DisposableStack();
    await using router = await startTestRouter({ limits: { reuseMs: 4_000 } });
    const dyno = cleanup.adopt(lastingDyno(extra, answer), (it) => it.stop());
    await router.route([dyno]);
    for (let index = 0; index < 3; index++) expect(await router.ask(get)).toEndWith("hi");
    expect(dyno.connections).toHaveLength(3);
  });

test("a connection that the dyno has closed, or spoken on, is not used again", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { reuseMs: 4_000 } });
  const dyno = cleanup.adopt(lastingDyno(), (it) => it.stop());
  await router.route([dyno]);
  await router.ask(get);
  dyno.connections[0]!.socket.write(ok("poison"));
  await Bun.sleep(20);
  expect(await router.ask(get)).toEndWith("hi");
  expect(dyno.connections).toHaveLength(2);
  dyno.connections[1]!.socket.end();
  await Bun.sleep(20);
  expect(await router.ask(get)).toEndWith("hi");
  expect(dyno.connections).toHaveLength(3);
});

test("a response longer than it says leaves nothing behind for the next request", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { reuseMs: 4_000 } });
  const dyno = cleanup.adopt(
    startDyno(({ socket }) => void socket.write(`${ok("hi")}${ok("poison")}`)),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  for (let index = 0; index < 3; index++) expect(await router.ask(get)).toEndWith("\r\n\r\nhi");
  expect(dyno.connections).toHaveLength(3);
});

test("clause 54: a request that was lost on a connection used again is not sent a second time", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { reuseMs: 4_000 } });
  let requests = 0;
  const dyno = cleanup.adopt(
    startDyno(({ socket }) => {
      requests++;
      if (requests === 1) socket.write(ok("hi"));
      else socket.terminate();
    }),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  await router.ask(get);
  expect(await router.ask(get)).toStartWith("HTTP/1.1 503 ");
  expect(requests).toBe(2);
});

test("a dyno that leaves the table loses its idle connections, and those that become idle later", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { reuseMs: 4_000 } });
  const { promise: mayAnswer, resolve: letAnswer } = Promise.withResolvers<void>();
  let waits = false;
  const dyno = cleanup.adopt(
    startDyno(({ socket }) => {
      if (waits) void mayAnswer.then(() => socket.write(ok("late")));
      else socket.write(ok("hi"));
    }),
    (it) => it.stop(),
  );
  const other = cleanup.adopt(lastingDyno(), (it) => it.stop());
  await router.route([dyno]);
  await router.ask(get);
  waits = true;
  const late = router.ask(get);
  await Bun.sleep(20);
  const table = demoTable([dyno, other]);
  table.apps["app-1"]!.dynos.shift();
  await router.put(table);
  expect(await router.ask(get)).toEndWith("hi");
  letAnswer();
  expect(await late).toEndWith("late");
  await settled(() => dyno.connections.every(({ ended }) => ended));
  expect(other.connections[0]!.ended).toBe(false);
});

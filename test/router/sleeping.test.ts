import { expect, test } from "bun:test";
import type { createRouterClient } from "../../src/router/router-client.ts";
import { dynoThatAnswers, get, ok, startDyno, startTestRouter } from "./router-fixture.ts";

/** The apps that the router wants awake, as they come. */
function listen(client: ReturnType<typeof createRouterClient>) {
  const heard: string[] = [];
  const events = client.events(({ wake }) => heard.push(wake));
  return {
    heard,
    async until(count: number) {
      const deadlineMs = performance.now() + 60_000;
      while (heard.length < count) {
        if (performance.now() > deadlineMs) throw new Error(`Heard only ${JSON.stringify(heard)}`);
        await Bun.sleep(5);
      }
    },
    [Symbol.dispose]: () => events.close(),
  };
}

test("clause 105: a request to a sleeping app wakes it, once, and waits for its dyno", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(dynoThatAnswers(ok("awake")), (it) => it.stop());
  using server = listen(router.client);
  await router.route([], { sleeping: true });
  const answers = [router.ask(get), router.ask(get), router.ask(get)];
  await server.until(1);
  await router.route([], { sleeping: true });
  await router.route([], { starting: true });
  await Bun.sleep(50);
  await router.route([dyno]);
  for (const answer of await Promise.all(answers)) expect(answer).toEndWith("awake");
  expect(server.heard).toEqual(["app-1"]);

  await router.route([], { sleeping: true });
  const again = router.ask(get);
  await server.until(2);
  await router.route([dyno]);
  expect(await again).toEndWith("awake");
  expect(server.heard).toEqual(["app-1", "app-1"]);
});

test("a server that comes back hears of the apps that are still waited for, and of no others", async () => {
  await using router = await startTestRouter({ limits: { bootMs: 2_000 } });
  await router.route([], { sleeping: true });
  const waiting = await router.open();
  waiting.send(get);
  await Bun.sleep(30);
  {
    using first = listen(router.client);
    await first.until(1);
  }
  using second = listen(router.client);
  await second.until(1);
  expect(second.heard).toEqual(["app-1"]);

  waiting.leave();
  await router.logLines(1);
  using third = listen(router.client);
  await Bun.sleep(60);
  expect(third.heard).toEqual([]);
});

test("an app that does not wake in time is H20; one in maintenance or without web dynos stays asleep", async () => {
  await using router = await startTestRouter({ limits: { bootMs: 60 } });
  using server = listen(router.client);
  await router.route([], { sleeping: true, maintenance: true });
  await router.ask(get);
  await router.route([], { sleeping: true, webQuantity: 0 });
  await router.ask(get);
  await router.route([], { sleeping: true });
  await router.ask(get);
  const codes = (await router.logLines(3)).map((line) => /code=(\w+)/.exec(line)?.[1]);
  expect(codes).toEqual(["H80", "H14", "H20"]);
  // No dyno had one of them.
  expect((await router.client.activity()).apps["app-1"]).toMatchObject({ asked: 0 });
  expect(server.heard).toEqual(["app-1"]);
});

test("activity tells what is under way for an app, tunnels too, and how long it was left alone", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno(({ socket, received }) => {
      if (received.startsWith("GET /ws"))
        socket.write("HTTP/1.1 101 X\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n");
    }),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  expect((await router.client.activity()).apps).toEqual({});

  const request = await router.open();
  request.send(get);
  const tunnel = await router.open();
  tunnel.send(
    "GET /ws HTTP/1.1\r\nHost: demo.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
  );
  await tunnel.until("101");
  await Bun.sleep(30);
  const busy = await router.client.activity();
  expect(busy.apps["app-1"]).toMatchObject({ asked: 2, requests: 1, tunnels: 1 });
  expect(busy.apps["app-1"]!.idleMs).toBeGreaterThan(20);
  expect(busy.observedMs).toBeGreaterThan(20);

  dyno.connections[0]!.socket.write(ok("done"));
  await request.toEnd();
  tunnel.leave();
  await router.logLines(2);
  expect((await router.client.activity()).apps["app-1"]).toMatchObject({
    ...{ asked: 2, requests: 0, tunnels: 0 },
  });
  await router.put({});
  expect((await router.client.activity()).apps).toEqual({});
});

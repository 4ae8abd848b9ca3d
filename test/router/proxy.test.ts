import { expect, test } from "bun:test";
import { spawn } from "../../src/lib/exec.ts";
import {
  demoTable,
  dynoAt,
  dynoThatAnswers,
  get,
  ok,
  openClient,
  startDyno,
  startTestRouter,
} from "./router-fixture.ts";

test("a request reaches a dyno and its response comes back", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(dynoThatAnswers(ok("hello")), (it) => it.stop());
  await router.route([dyno]);
  const response = await router.ask(get);
  expect(response).toStartWith("HTTP/1.1 200 OK\r\n");
  expect(response).toEndWith("\r\n\r\nhello");
  expect(response).toContain("Via: 1.1 stator-router\r\n");
  expect(response).not.toMatch(/^(Server|Nel):/im);
});

test("clause 44, 45, 46: the dyno learns the client's address, the request's id and time, and the way", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(dynoThatAnswers(ok("")), (it) => it.stop());
  await router.route([dyno]);
  await router.ask(
    "GET /a?b=1 HTTP/1.1\r\nHost: Demo.test:8080\r\nX-Forwarded-For: 9.9.9.9\r\nx_forwarded_proto: https\r\n" +
      "X-Forwarded-Proto: https\r\nX-Request-Id: 01234567890123456789\r\nVia: 1.0 other\r\n" +
      "Connection: close, X-Secret\r\nX-Secret: 1\r\nTE: trailers\r\nKeep-Alive: 1\r\n\r\n",
  );
  const seen = dyno.connections[0]!.received;
  expect(seen).toStartWith("GET /a?b=1 HTTP/1.1\r\nHost: Demo.test:8080\r\n");
  expect(seen).toContain("\r\nX-Forwarded-For: 9.9.9.9, 127.0.0.1\r\n");
  expect(seen).toContain("\r\nX-Forwarded-Proto: http\r\n");
  expect(seen).toContain("\r\nX-Forwarded-Port: 80\r\n");
  expect(seen).toContain("\r\nX-Request-Id: 01234567890123456789\r\n");
  expect(seen).toContain("\r\nVia: 1.0 other, 1.1 stator-router\r\n");
  const started = Number(/X-Request-Start: (\d{13})\r\n/.exec(seen)?.[1]);
  expect(Math.abs(Date.now() - started)).toBeLessThan(5_000);
  expect(seen).not.toMatch(/x_forwarded_proto|x-secret|\r\nTE:|keep-alive/i);
});

test("clause 47: a log line a request, its keys in order, its values quoted so that none can be forged", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(dynoThatAnswers(ok("hello")), (it) => it.stop());
  await router.route([dyno]);
  await router.ask(
    'GET /a"b\\c\x85 HTTP/1.1\r\nHost: demo.test\r\nX-Forwarded-For: 1" code=H10\r\nConnection: close\r\n\r\n',
  );
  const [line] = await router.logLines(1);
  expect(line).toMatch(
    /^at=info method=GET path="\/a\\"b\\\\c[^ ]*" host=demo.test request_id=[0-9a-f-]{36} fwd="1\\" code=H10, 127.0.0.1" dyno=web.1 connect=\d+ms service=\d+ms status=200 bytes=5 protocol=http1.1 tls=false$/,
  );
});

test("clause 43: each state of an app has its answer", async () => {
  await using router = await startTestRouter();
  const status = async () => /^HTTP\/1.1 (\d+)/.exec(await router.ask(get))?.[1];
  expect(await status()).toBe("404");
  await router.route([], { crashed: true });
  expect(await status()).toBe("503");
  await router.route([], { webQuantity: 0 });
  expect(await status()).toBe("503");
  await router.route([], { deployed: false });
  expect(await status()).toBe("502");
  const lines = await router.logLines(3);
  expect(lines.map((line) => /code=\w+ desc="[^"]+"/.exec(line)?.[0])).toEqual([
    'code=H10 desc="App crashed"',
    'code=H14 desc="No web processes running"',
    'code=H81 desc="Blank app"',
  ]);
  expect(lines[0]).toContain(" dyno= connect= service= status=503 bytes= protocol=http1.1");
});

test("clause 51: in maintenance every request gets the page, or the app's own in a frame", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(dynoThatAnswers(ok("hello")), (it) => it.stop());
  await router.route([dyno], { maintenance: true });
  const page = await router.ask(get);
  expect(page).toStartWith("HTTP/1.1 503 ");
  expect(page).toContain("Offline for maintenance");
  expect(page).toContain("Cache-Control: no-cache, no-store");
  await router.route([dyno], { maintenance: true, maintenancePageUrl: 'https://x.test/"><' });
  expect(await router.ask(get)).toContain('<iframe src="https://x.test/&quot;&gt;&lt;">');
  expect((await router.logLines(2))[0]).toStartWith('at=info code=H80 desc="Maintenance mode"');
  expect(dyno.connections).toHaveLength(0);
});

test("clause 50: the app's error page replaces ours, never the app's own 500", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const own = cleanup.adopt(
    dynoThatAnswers("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nmine"),
    (it) => it.stop(),
  );
  await router.route([own], { errorPageUrl: "//pages.test/error" });
  expect(await router.ask(get)).toEndWith("\r\n\r\nmine");
  await router.route([], { crashed: true, errorPageUrl: "//pages.test/error" });
  expect(await router.ask(get)).toContain('<iframe src="//pages.test/error">');
});

test("clause 41: no first byte in time is H12, and the dyno's connection is ended", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { firstByteMs: 60 } });
  const dyno = cleanup.adopt(
    startDyno(() => {}),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  expect(await router.ask(get)).toStartWith("HTTP/1.1 503 ");
  await dyno.connections[0]!.closed;
  const [line] = await router.logLines(1);
  expect(line).toMatch(
    /^at=error code=H12 desc="Request timeout" .* dyno=web.1 connect=\d+ms service=\d{2,}ms status=503 bytes=0 /,
  );
});

test("clause 42: silence after the first byte is H15; any byte resets the time", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { idleMs: 1000 } });
  const dyno = cleanup.adopt(
    startDyno(({ socket }) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
      for (const delayMs of [600, 1200, 1800, 2400]) setTimeout(() => socket.write("x"), delayMs);
    }),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  expect(await router.ask(get)).toEndWith("xxxx");
  expect((await router.logLines(1))[0]).toMatch(
    /^at=error code=H15 desc="Idle connection" .* bytes=4 /,
  );
});

test("clause 48: a dyno that closes without a response is H13, in the middle of one H18", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const silent = cleanup.adopt(
    startDyno(({ socket }) => void socket.end()),
    (it) => it.stop(),
  );
  await router.route([silent]);
  expect(await router.ask(get)).toStartWith("HTTP/1.1 503 ");
  const half = cleanup.adopt(
    startDyno(({ socket }) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
      socket.end();
    }),
    (it) => it.stop(),
  );
  await router.route([half]);
  expect(await router.ask(get)).toContain("half");
  const lines = await router.logLines(2);
  expect(lines[0]).toContain('code=H13 desc="Connection closed without response"');
  expect(lines[1]).toContain('code=H18 desc="Server Request Interrupted" sock=backend');
});

test("clause 49: a client that leaves ends the dyno's connection at once and is H27", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const { promise: asked, resolve: tellAsked } = Promise.withResolvers<void>();
  const dyno = cleanup.adopt(
    startDyno(() => tellAsked()),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send(get);
  await asked;
  client.leave();
  await dyno.connections[0]!.closed;
  expect((await router.logLines(1))[0]).toMatch(/^at=warning code=H27 .* status=499 /);
});

test("clause 54: a dyno that refuses is passed over, and the app sees the request once", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { quarantineMs: 300 } });
  const gone = startDyno(() => {});
  gone.stop();
  const dyno = cleanup.adopt(dynoThatAnswers(ok("here")), (it) => it.stop());
  await router.route([gone, gone, gone, dyno]);
  for (let index = 0; index < 8; index++) expect(await router.ask(get)).toEndWith("here");
  expect(dyno.connections).toHaveLength(8);
  await router.route([gone, gone]);
  expect(await router.ask(get)).toStartWith("HTTP/1.1 503 ");
  expect((await router.logLines(9))[8]).toContain('code=H21 desc="Backend connection refused"');
});

/** A port whose queue is full: the kernel lets connections to it wait, and answers nothing. */
async function startDeafDyno() {
  const script =
    "import socket,time; s=socket.socket(); s.bind(('127.0.0.1',0)); s.listen(0); " +
    "c=[socket.socket() for _ in range(4)]; [x.setblocking(False) for x in c]; " +
    "[x.connect_ex(s.getsockname()) for x in c]; print(s.getsockname()[1], flush=True); time.sleep(60)";
  const child = spawn(["python3", "-c", script], { stdin: "ignore", stdout: "pipe" });
  for await (const chunk of child.stdout as unknown as AsyncIterable<Uint8Array>)
    return { ...dynoAt(Number(Buffer.from(chunk).toString())), stop: () => child.kill("SIGKILL") };
  throw new Error("it says no port");
}

test("clause 54: a dyno that takes no connection in time is H19, or passed over when there is another", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { connectMs: 500, quarantineMs: 1 } });
  const deaf = cleanup.adopt(await startDeafDyno(), (it) => it.stop());
  const dyno = cleanup.adopt(dynoThatAnswers(ok("here")), (it) => it.stop());
  await router.route([deaf]);
  expect(await router.ask(get)).toStartWith("HTTP/1.1 503 ");
  expect((await router.logLines(1))[0]).toMatch(
    /^at=error code=H19 desc="Backend connection timeout" .* dyno=web.1 connect=\d+ms service= status=503 /,
  );
  await router.route([deaf, dyno]);
  for (let index = 0; index < 4; index++) expect(await router.ask(get)).toEndWith("here");
});

test("clause 54: with all dynos quarantined a request waits for one to be reached again, at most as for a start: H34", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { quarantineMs: 2_000, bootMs: 20_000 } });
  const gone = startDyno(() => {});
  gone.stop();
  await router.route([gone]);
  expect(await router.ask(get)).toStartWith("HTTP/1.1 503 ");
  const waiting = router.ask(get);
  const client = await openClient(router.port);
  client.send(get);
  await Bun.sleep(50);
  client.leave();
  const dyno = cleanup.adopt(dynoThatAnswers(ok("back")), (it) => it.stop());
  const table = demoTable([dyno]);
  await router.put(table);
  expect(await waiting).toEndWith("back");
  const lines = await router.logLines(3);
  expect(lines.filter((line) => line.includes("code=H21"))).toHaveLength(1);
  expect(lines.filter((line) => line.includes("code=H27"))).toHaveLength(1);

  await using impatient = await startTestRouter({ limits: { quarantineMs: 5_000, bootMs: 120 } });
  await impatient.route([gone]);
  await impatient.ask(get);
  expect(await impatient.ask(get)).toStartWith("HTTP/1.1 503 ");
  expect((await impatient.logLines(2))[1]).toContain(
    'code=H34 desc="All up dynos are quarantined"',
  );
});

test("clause 54: a request tries no more dynos than it may, and leaves the others to the next", async () => {
  await using router = await startTestRouter({ limits: { connectAttempts: 3, bootMs: 100 } });
  const gone = Array.from({ length: 5 }, () => {
    const other = startDyno(() => {});
    other.stop();
    return other;
  });
  await router.route(gone);
  for (let index = 0; index < 3; index++) await router.ask(get);
  const codes = (await router.logLines(3)).map((line) => / code=(H\d\d) /.exec(line)?.[1]);
  expect(codes).toEqual(["H21", "H21", "H34"]);
});

test("clause 54: a request that a dyno may have seen is never sent again", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const closing = () => startDyno(({ socket }) => socket.terminate());
  const dynos = [closing(), closing()].map((dyno) => cleanup.adopt(dyno, (it) => it.stop()));
  await router.route(dynos);
  expect(await router.ask(get)).toStartWith("HTTP/1.1 503 ");
  expect(dynos.flatMap(({ connections }) => connections)).toHaveLength(1);
});

test("clause 53: requests are spread over all dynos", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dynos = [1, 2, 3].map(() => cleanup.adopt(dynoThatAnswers(ok("x")), (it) => it.stop()));
  await router.route(dynos);
  await Promise.all(Array.from({ length: 60 }, () => router.ask(get)));
  expect(dynos.every(({ connections }) => connections.length > 5)).toBe(true);
});

test("clause 55: more than the backlog allows is H11", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { requestsPerDyno: 2 } });
  const dyno = cleanup.adopt(
    startDyno(() => {}),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const clients = await Promise.all([router.open(), router.open()]);
  for (const client of clients) client.send(get);
  while (dyno.connections.length < 2) await Bun.sleep(1);
  expect(await router.ask(get)).toStartWith("HTTP/1.1 503 ");
  expect((await router.logLines(1))[0]).toContain('code=H11 desc="Backlog too deep"');
  for (const client of clients) client.leave();
});

test("a request waits for a dyno that is starting, and goes on with the table that brings it", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(dynoThatAnswers(ok("up")), (it) => it.stop());
  await router.route([], { starting: true });
  const answer = router.ask(get);
  await Bun.sleep(50);
  await router.route([dyno]);
  expect(await answer).toEndWith("up");
});

test("a dyno that never starts is H20", async () => {
  await using router = await startTestRouter({ limits: { bootMs: 60 } });
  await router.route([], { starting: true });
  expect(await router.ask(get)).toStartWith("HTTP/1.1 503 ");
  expect((await router.logLines(1))[0]).toContain('code=H20 desc="App boot timeout"');
});

test("clause 52: after 101 the connection is a tunnel, logged at its end, no request for a drain", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno((connection) => {
      const { socket, received } = connection;
      if (!received.includes("\r\n\r\n")) return;
      if (received.startsWith("GET ")) {
        socket.write(
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhi",
        );
        connection.received = "\r\n\r\n";
      } else {
        socket.write(received.slice(4));
        connection.received = "\r\n\r\n";
      }
    }),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send(
    "GET /ws HTTP/1.1\r\nHost: demo.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
  );
  const response = await client.until("\r\n\r\nhi");
  expect(response).toContain("101 Switching Protocols");
  expect(response).toContain("Upgrade: echo");
  client.send("ping");
  await client.until("ping");
  expect(await router.client.drain("dyno-1", { timeoutMs: 1_000 })).toEqual({ inFlight: 0 });
  client.leave();
  await dyno.connections[0]!.closed;
  expect((await router.logLines(1))[0]).toMatch(/^at=info .* status=101 bytes=6 /);
});

test("clause 52: a silent tunnel is closed", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { idleMs: 80 } });
  const dyno = cleanup.adopt(
    dynoThatAnswers("HTTP/1.1 101 X\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const response = await router.ask(
    "GET /ws HTTP/1.1\r\nHost: demo.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
  );
  expect(response).toStartWith("HTTP/1.1 101 ");
});

test("clause 52: a client of a tunnel that has ended still hears the dyno's last words", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno(({ received, socket }) => {
      if (received.endsWith("\r\n\r\n"))
        socket.write("HTTP/1.1 101 X\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n");
      if (received.endsWith("bye")) socket.end("farewell");
    }),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send(
    "GET /ws HTTP/1.1\r\nHost: demo.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
  );
  await client.until("101 X");
  client.send("bye");
  client.socket.shutdown();
  expect(await client.toEnd()).toEndWith("farewell");
});

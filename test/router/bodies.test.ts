import { expect, test } from "bun:test";
import { dynoThatAnswers, get, ok, startDyno, startTestRouter } from "./router-fixture.ts";

const post = "POST / HTTP/1.1\r\nHost: demo.test\r\n";

test("one connection serves request after request, also when they come at once", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno((connection) => {
      const [, path] = /^GET (\S+) [^]*\r\n\r\n/.exec(connection.received) ?? [];
      if (path !== undefined) connection.socket.write(ok(path));
    }),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send("GET /1 HTTP/1.1\r\nHost: demo.test\r\n\r\n");
  await client.until("\r\n\r\n/1");
  client.send(
    "GET /2 HTTP/1.1\r\nHost: demo.test\r\n\r\nGET /3 HTTP/1.1\r\nHost: demo.test\r\n\r\n" +
      "GET /4 HTTP/1.1\r\nHost: demo.test\r\nConnection: close\r\n\r\n",
  );
  expect((await client.toEnd()).match(/\/[234]$|\/[234](?=HTTP)/g)).toEqual(["/2", "/3", "/4"]);
});

test("clause 58: a chunked body goes through chunk by chunk, both ways", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno((connection) => {
      const { socket, received } = connection;
      if (received.endsWith("\r\n\r\n") && !received.includes("X-Sum"))
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
      if (received.endsWith("X-Sum: 2\r\n\r\n"))
        socket.write("3\r\ntwo\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n");
    }),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send(`${post}Transfer-Encoding: chunked\r\n\r\n`);
  await client.until("3\r\none\r\n");
  client.send("5\r\nhel");
  client.send("lo\r\n0\r\nX-Sum: 2\r\nX-Forwarded-For: 6.6.6.6\r\nHost: other\r\n\r\n");
  // Trailers go on, but not those that would change what the message is or where it came from.
  expect(await client.until("1\r\n\r\n")).toBe("3\r\ntwo\r\n0\r\nX-Sum: 1\r\n\r\n");
  const seen = dyno.connections[0]!.received;
  expect(seen).toContain("Transfer-Encoding: chunked\r\n");
  expect(seen.slice(seen.indexOf("\r\n\r\n") + 4)).toMatch(
    /^(\d\r\n(hel|lo|hello)\r\n)+0\r\nX-Sum: 2\r\n\r\n$/,
  );
  client.leave();
});

test("server-sent events come as they are made, each before the next is", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno(({ socket, received }) => {
      if (received.includes("\r\n\r\n"))
        socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    }),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send("GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n");
  // The head alone is passed on too: browsers say "open" then.
  expect(await client.until("\r\n\r\n")).toContain("Content-Type: text/event-stream\r\n");
  for (const event of ["data: one\n\n", "data: two\n\n", ": still here\n\n"]) {
    dyno.connections[0]!.socket.write(event);
    expect(await client.until(event)).toContain(event);
  }
  dyno.connections[0]!.socket.end();
  expect(await client.until("0\r\n\r\n")).toEndWith("0\r\n\r\n");
  client.leave();
});

test("clause 56: the router itself says 100 Continue, and 417 to any other expectation", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno(({ socket, received }) => {
      if (received.endsWith("hello")) socket.write(`HTTP/1.1 100 Continue\r\n\r\n${ok("done")}`);
    }),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send(`${post}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
  expect(await client.until("\r\n\r\n")).toBe("HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hello");
  expect(await client.until("done")).toStartWith("HTTP/1.1 200 OK\r\n");
  expect(dyno.connections[0]!.received).not.toContain("Expect");
  client.leave();
  expect(await router.ask(`${post}Expect: tea\r\nConnection: close\r\n\r\n`)).toStartWith(
    "HTTP/1.1 417 ",
  );
  expect((await router.logLines(2))[1]).toStartWith(
    'at=error code=H26 desc="Request Error" cause="unsupported expect header value" sock=client ',
  );
});

test("a response without length becomes chunked for HTTP/1.1 and ends with the connection for 1.0", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno(({ socket }) => {
      socket.write("HTTP/1.0 200 OK\r\n\r\nhello");
      socket.end();
    }),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send("GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n");
  expect(await client.until(/0\r\n\r\n$/)).toMatch(/chunked[^]*\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/);
  client.leave();
  const old = await router.ask(
    "GET / HTTP/1.0\r\nHost: demo.test\r\nConnection: keep-alive\r\n\r\n",
  );
  expect(old).toMatch(/Connection: close\r\n\r\nhello$/);
  expect(old).not.toContain("chunked");
});

test("a chunked response is unwrapped for HTTP/1.0", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  const dyno = cleanup.adopt(dynoThatAnswers(chunked), (it) => it.stop());
  await router.route([dyno]);
  const old = await router.ask("GET / HTTP/1.0\r\nHost: demo.test\r\n\r\n");
  expect(old).toEndWith("\r\n\r\nhello");
  expect(old).not.toContain("chunked");
});

test("responses without body keep the length they tell and the connection they came on", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno(({ socket, received }) => {
      const status = received.startsWith("HEAD") ? "200 OK" : received.slice(5, 8);
      socket.write(`HTTP/1.1 ${status} X\r\nContent-Length: 7\r\n\r\n`);
    }),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  for (const [request, length] of [
    ["HEAD /", true],
    ["GET /304", true],
    ["GET /204", false],
  ] as const) {
    client.send(`${request} HTTP/1.1\r\nHost: demo.test\r\n\r\n`);
    const response = await client.until(/\r\n\r\n$/);
    expect(response.includes("Content-Length: 7")).toBe(length);
    expect(response).not.toContain("Connection: close");
  }
  client.leave();
});

test("a dyno may answer before it has the whole body; the client reads the answer", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno(({ socket }) => {
      socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
      socket.end();
    }),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send(`${post}Content-Length: 100000\r\n\r\nstart`);
  const response = await client.toEnd();
  expect(response).toStartWith("HTTP/1.1 413 ");
  expect(response).toContain("Connection: close");
  expect(response).toEndWith("no");
  expect((await router.logLines(1))[0]).toContain("at=info ");
});

test("a bad chunk is H26, and the dyno never sees the end of such a body", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno(() => {}),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const response = await router.ask(
    `${post}Transfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n`,
  );
  expect(response).toStartWith("HTTP/1.1 400 ");
  expect(dyno.connections[0]?.received ?? "").not.toContain("\r\n0\r\n\r\n");
  expect((await router.logLines(1))[0]).toContain(
    'code=H26 desc="Request Error" cause="bad chunk" sock=client',
  );
});

test("an upload that stalls is H28", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { idleMs: 80, firstByteMs: 40 } });
  const dyno = cleanup.adopt(
    startDyno(() => {}),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send(`${post}Content-Length: 10\r\n\r\nabc`);
  await client.toEnd();
  expect((await router.logLines(1))[0]).toContain('code=H28 desc="Client Connection Idle"');
});

test("clause 57: a response beyond the limits is 502", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const cookie = `HTTP/1.1 200 OK\r\nSet-Cookie: ${"x".repeat(9_000)}\r\nContent-Length: 0\r\n\r\n`;
  const dyno = cleanup.adopt(dynoThatAnswers(cookie), (it) => it.stop());
  await router.route([dyno]);
  expect(await router.ask(get)).toStartWith("HTTP/1.1 502 ");
  expect((await router.logLines(1))[0]).toContain(
    'code=H25 desc="HTTP restriction: oversized cookie"',
  );
});

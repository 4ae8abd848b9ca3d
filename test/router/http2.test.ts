import { describe, expect, test } from "bun:test";
import { basicAuthUser } from "../../src/router/access.ts";
import { errorCode, frameType, numbersFrame, setting } from "../../src/router/http2-frames.ts";
import { fieldsOf, openHttp2, startHttp2Router, type Http2Router } from "./http2-fixture.ts";
import { makeCertificate } from "../certs/make-certificate.ts";
import { openCertificateFolder } from "../../src/certs/certificate-files.ts";
import {
  demoTable,
  dynoThatAnswers,
  get,
  ok,
  startDyno,
  type DynoConnection,
  type FakeDyno,
} from "./router-fixture.ts";
import { openTls, startTlsRouter } from "./tls-fixture.ts";

/** What a dyno received, once it matches. */
async function heard(dyno: FakeDyno, pattern: RegExp): Promise<DynoConnection> {
  const untilMs = performance.now() + 15_000;
  for (;;) {
    const connection = dyno.connections.find(({ received }) => pattern.test(received));
    if (connection !== undefined) return connection;
    if (performance.now() > untilMs) {
      const received = JSON.stringify(dyno.connections.map((one) => one.received));
      throw new Error(`No ${String(pattern)} in ${received}`);
    }
    await Bun.sleep(5);
  }
}

function stopping(cleanup: DisposableStack, dyno: FakeDyno): FakeDyno {
  return cleanup.adopt(dyno, (it) => it.stop());
}

const silentDyno = () => startDyno(() => {});

test("clients that speak HTTP/2 get it, others do not; the log says which it was", async () => {
  using cleanup = new DisposableStack();
  const { router, certificate } = await startTlsRouter();
  await using _ = router;
  const dyno = stopping(cleanup, dynoThatAnswers(ok("hello")));
  await router.put({ ...demoTable([dyno]), certificates: [certificate] });
  using client = await openHttp2(router.httpsPort!);
  const answer = await client.whole(client.ask(fieldsOf("GET", "/two?a=b")));
  expect(answer.body.toString()).toBe("hello");
  const old = await openTls(router.httpsPort!, { ALPNProtocols: ["http/1.1", "http/1.0"] });
  expect(old.alpnProtocol).toBe("http/1.1");
  old.write(get);
  await new Promise((resolve) => old.once("end", resolve).resume());
  const lines = await router.logLines(2);
  expect(lines[0]).toMatch(
    /^at=info method=GET path="\/two\?a=b" host=demo\.test request_id=[0-9a-f-]{36} fwd="127\.0\.0\.1" dyno=web\.1 connect=\d+ms service=\d+ms status=200 bytes=5 protocol=http2\.0 tls=true tls_version=tls1\.3$/,
  );
  expect(lines[1]).toContain("protocol=http1.1 tls=true");
});

describe("a request", () => {
  test("reaches the dyno as one of HTTP/1.1, with the headers that any request gets", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const dyno = stopping(cleanup, dynoThatAnswers(ok("hello")));
    await it.route([dyno]);
    using client = await it.open();
    await client.whole(
      client.ask(
        fieldsOf(
          "GET",
          "/a",
          ["cookie", "a=1"],
          ["x-forwarded-for", "9.9.9.9"],
          ["x-forwarded-proto", "http"],
          ["cookie", "b=2"],
          ["te", "trailers"],
          ["x-utf", "voil\xc3\xa0"],
          ["x-empty", ""],
        ),
      ),
    );
    const [first, ...lines] = dyno.connections[0]!.received.trimEnd().split("\r\n");
    expect(first).toBe("GET /a HTTP/1.1");
    expect(lines).toEqual([
      "Host: demo.test",
      "x-utf: voil\xc3\xa0",
      "x-empty: ",
      "cookie: a=1; b=2",
      "Connection: close",
      "Via: 1.1 stator-router",
      "X-Forwarded-Proto: https",
      "X-Forwarded-Port: 443",
      "X-Forwarded-For: 9.9.9.9, 127.0.0.1",
      expect.stringMatching(/^X-Request-Start: \d{13}$/),
      expect.stringMatching(/^X-Request-Id: [0-9a-f-]{36}$/),
    ]);
  });

  test("with a body goes on in chunks or with its length, and its trailers after it", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const dyno = stopping(
      cleanup,
      startDyno(({ received, socket }) => {
        if (/\r\n\r\n(body|4\r\n[^]*0\r\n([^]*\r\n)?\r\n)$/.test(received))
          socket.write(ok("done"));
      }),
    );
    await it.route([dyno]);
    using client = await it.open();
    const open = { endStream: false };
    const long = client.ask(fieldsOf("POST", "/long", ["content-length", "4"]), open);
    client.data(long, "bo");
    client.data(long, "dy", { endStream: true });
    expect((await client.whole(long)).body.toString()).toBe("done");
    const chunked = client.ask(fieldsOf("POST", "/chunked"), open);
    client.data(chunked, "body");
    await heard(dyno, /chunked[^]*4\r\nbody\r\n$/);
    client.trailers(chunked, [
      ["x-sum", "1"],
      ["content-length", "9"],
    ]);
    expect((await client.whole(chunked)).body.toString()).toBe("done");
    const [one, two] = dyno.connections.map(({ received }) => received);
    expect(one).toContain("\r\nContent-Length: 4\r\n");
    expect(two).toContain("\r\nTransfer-Encoding: chunked\r\n");
    expect(two).toEndWith("\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n");
  });

  test("clause 56: Expect: 100-continue is answered by the router, any other is refused", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const dyno = stopping(
      cleanup,
      startDyno(({ received, socket }) => {
        if (received.endsWith("body")) socket.write(ok("done"));
      }),
    );
    await it.route([dyno]);
    using client = await it.open();
    const expecting = (value: string) =>
      client.ask(fieldsOf("PUT", "/", ["content-length", "4"], ["expect", value]), {
        endStream: false,
      });
    const polite = expecting("100-continue");
    await client.until("the router says 100", () => client.answer(polite).blocks.length === 1);
    expect(client.answer(polite).blocks).toEqual([{ ":status": "100" }]);
    client.data(polite, "body", { endStream: true });
    expect((await client.whole(polite)).blocks[1]).toMatchObject({ ":status": "200" });
    expect(dyno.connections[0]!.received).not.toContain("xpect");
    const odd = await client.whole(expecting("miracles"));
    expect(odd.blocks[0]).toMatchObject({ ":status": "417" });
    expect(odd).toMatchObject({ ended: true, reset: errorCode.none });
    expect((await it.router.logLines(2))[1]).toContain("code=H26");
  });

  test("that is answered before it was sent is not wanted any more, and so it hears", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const dyno = stopping(cleanup, dynoThatAnswers(ok("enough")));
    await it.route([dyno]);
    using client = await it.open();
    const answer = await client.whole(client.ask(fieldsOf("POST", "/"), { endStream: false }));
    expect(answer.body.toString()).toBe("enough");
    await client.until("it is reset", () => answer.reset !== undefined);
    expect(answer.reset).toBe(errorCode.none);
    client.data(1, "what was on its way");
    expect((await client.whole(client.ask(fieldsOf("GET", "/")))).body.toString()).toBe("enough");
    await dyno.connections[0]!.closed;
  });

  test("clause 49: that its client gives up is given up at the dyno, and logged as H27", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const dyno = stopping(
      cleanup,
      startDyno(({ received, socket }) => {
        if (received.includes("/begun")) socket.write("HTTP/1.1 200 OK\r\n\r\nfirst");
        if (received.includes("/other")) socket.write(ok("served"));
      }),
    );
    await it.route([dyno]);
    using client = await it.open();
    const waiting = client.ask(fieldsOf("GET", "/waiting"));
    const begun = client.ask(fieldsOf("GET", "/begun"));
    await heard(dyno, /waiting/);
    await client.until("it has begun", () => client.answer(begun).body.length > 0);
    client.reset(waiting);
    client.reset(begun);
    await Promise.all(dyno.connections.map(({ closed }) => closed));
    for (const line of await it.router.logLines(2))
      expect(line).toMatch(/^at=warning code=H27 .*sock=client .*status=499 .*protocol=http2\.0/);
    const other = await client.whole(client.ask(fieldsOf("GET", "/other")));
    expect(other.body.toString()).toBe("served");
  });

  test("of a client that goes away altogether is given up, too", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const dyno = stopping(cleanup, silentDyno());
    await it.route([dyno]);
    using client = await it.open();
    for (let index = 0; index < 3; index++) client.ask(fieldsOf("GET", `/${index}`));
    await heard(dyno, /\/2/);
    client.leave();
    await Promise.all(dyno.connections.map(({ closed }) => closed));
    for (const line of await it.router.logLines(3)) expect(line).toContain("code=H27");
    expect((await it.router.client.status()).inFlight).toEqual({});
  });
});

describe("a response", () => {
  test("comes as it is made: hints, head, each event, trailers", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const dyno = stopping(
      cleanup,
      startDyno(({ socket }) => {
        socket.write(
          "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\nX: 1\r\n\r\n" +
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n" +
            "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n" +
            "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n8\r\ndata: 1\n\r\n",
        );
      }),
    );
    await it.route([dyno]);
    using client = await it.open();
    const stream = client.ask(fieldsOf("GET", "/events"));
    const answer = client.answer(stream);
    await client.until("the first event is there", () => answer.body.length === 8);
    expect(answer.blocks).toEqual([
      { ":status": "103", link: "</a.css>" },
      {
        ":status": "200",
        "set-cookie": "b=2",
        date: expect.any(String),
        via: "1.1 stator-router",
      },
    ]);
    const [{ socket }] = dyno.connections as [DynoConnection];
    socket.write("8\r\ndata: 2\n\r\n");
    await client.until("the second event is there", () => answer.body.length === 16);
    socket.write("0\r\nX-Sum: 7\r\nSet-Cookie: no=1\r\n\r\n");
    expect((await client.whole(stream)).blocks[2]).toEqual({ "x-sum": "7" });
  });

  test("without a body has none: HEAD, 204, 304, an empty one", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const dyno = stopping(
      cleanup,
      startDyno(({ received, socket }) => {
        const [, status = ""] = /\/(\d+)/.exec(received) ?? [];
        const length = status === "204" ? "" : `Content-Length: ${status === "200" ? 0 : 5}\r\n`;
        socket.write(`HTTP/1.1 ${status} X\r\n${length}\r\n`);
      }),
    );
    await it.route([dyno]);
    using client = await it.open();
    const cases = [
      ["HEAD", "/299", "5"],
      ["GET", "/204", undefined],
      ["GET", "/304", "5"],
      ["GET", "/200", "0"],
    ] as const;
    for (const [method, path, length] of cases) {
      const { blocks, body, ended, reset } = await client.whole(client.ask(fieldsOf(method, path)));
      expect(blocks[0]).toMatchObject({ ":status": path.slice(1) });
      expect(blocks[0]!["content-length"]).toBe(length);
      expect([body.length, ended, reset]).toEqual([0, true, undefined]);
    }
  });

  test("clause 48: that is cut or wrong is told from a whole one by a reset", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const dyno = stopping(
      cleanup,
      startDyno(({ received, socket }) => {
        if (received.includes("/none")) return void socket.end();
        socket.write(
          received.includes("/cut")
            ? "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"
            : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nright\r\nwrong\r\n",
        );
        if (received.includes("/cut")) socket.end();
      }),
    );
    await it.route([dyno]);
    using client = await it.open();
    const codes: string[] = [];
    for (const [path, code] of [
      ["/cut", "H18"],
      ["/wrong", "H17"],
    ] as const) {
      const answer = await client.whole(client.ask(fieldsOf("GET", path)));
      expect(answer).toMatchObject({ ended: false, reset: errorCode.internal });
      codes.push(code);
      const lines = await it.router.logLines(codes.length);
      expect(lines.at(-1)).toContain(`code=${code} `);
    }
    const none = await client.whole(client.ask(fieldsOf("GET", "/none")));
    expect(none.blocks[0]).toMatchObject({ ":status": "503" });
    expect(none.body.toString()).toContain("Application error");
    expect((await it.router.logLines(3))[2]).toContain("code=H13 ");
  });

  test("clauses 41, 42: comes within the times of any other", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router({ limits: { firstByteMs: 500, idleMs: 600 } });
    const dyno = stopping(
      cleanup,
      startDyno(({ received, socket }) => {
        if (received.includes("/begun")) socket.write("HTTP/1.1 200 OK\r\n\r\nfirst");
        if (received.includes("/large")) socket.write(ok("x".repeat(200_000)));
      }),
    );
    await it.route([dyno]);
    using client = await it.open({ keepWindows: true });
    const late = await client.whole(client.ask(fieldsOf("GET", "/late")));
    expect(late.blocks[0]).toMatchObject({ ":status": "503" });
    expect(await client.whole(client.ask(fieldsOf("GET", "/begun")))).toMatchObject({
      reset: errorCode.internal,
    });
    // A client that makes no room, and one that does not send what it has promised.
    const unread = await client.whole(client.ask(fieldsOf("GET", "/large")));
    expect(unread.reset).toBe(errorCode.internal);
    expect(unread.body.length).toBeLessThan(65_536);
    const unsent = await client.whole(
      client.ask(fieldsOf("POST", "/unsent", ["content-length", "9"]), { endStream: false }),
    );
    expect(unsent.reset).toBe(errorCode.internal);
    const codes = (await it.router.logLines(4)).map((line) => /code=(\w+)/.exec(line)?.[1]);
    expect(codes).toEqual(["H12", "H15", "H28", "H28"]);
  });
});

test("the app's rules hold as they do in HTTP/1.1", async () => {
  using cleanup = new DisposableStack();
  await using it = await startHttp2Router();
  const dyno = stopping(cleanup, dynoThatAnswers(ok("hello")));
  await it.route([dyno]);
  using client = await it.open();
  const ask = async (host = "demo.test", ...others: [string, string][]) => {
    const fields = fieldsOf("GET", "/", ...others).filter(([name]) => name !== ":authority");
    const answer = await client.whole(client.ask([[":authority", host], ...fields]));
    const text = answer.body.toString();
    return { ...answer.blocks[0], text } as Record<string, string>;
  };
  await it.route([dyno], {
    hsts: { maxAgeSeconds: 60 },
    httpsRedirect: true,
    sessionAffinity: true,
    basicAuth: [basicAuthUser("me", "secret")],
    rateLimits: { app: { requests: 2, perMs: 3_600_000 } },
  });
  const authorization = `Basic ${btoa("me:secret")}`;
  expect(await ask()).toMatchObject({
    ":status": "401",
    "www-authenticate": 'Basic realm="demo", charset="UTF-8"',
    "strict-transport-security": "max-age=60",
  });
  expect(await ask("demo.test:443", ["authorization", authorization])).toMatchObject({
    ":status": "200",
    "set-cookie": expect.stringMatching(/^heroku-session-affinity=.*Domain=demo\.test/),
    text: "hello",
  });
  expect(dyno.connections[0]!.received).toContain("Host: demo.test:443\r\n");
  await it.route([], { crashed: true });
  expect(await ask()).toMatchObject({
    ":status": "503",
    text: expect.stringContaining("Application error"),
  });
  expect((await ask("nobody.test"))[":status"]).toBe("404");
  await it.route([dyno], { allowedAddresses: ["10.0.0.0/8"] });
  expect((await ask())[":status"]).toBe("403");
  await it.route([dyno], { rateLimits: { client: { requests: 1, perMs: 3_600_000 } } });
  expect((await ask())[":status"]).toBe("200");
  expect(await ask()).toMatchObject({
    ":status": "429",
    "retry-after": expect.stringMatching(/^\d+$/),
  });
});

test("H31: a host with a certificate of its own is not served on the connection of another", async () => {
  using cleanup = new DisposableStack();
  await using it = await startHttp2Router();
  const dyno = stopping(cleanup, dynoThatAnswers(ok("hello")));
  const made = await makeCertificate(["own.test"]);
  const own = openCertificateFolder(`${it.router.dir}/certificates`).put({
    ...{
      hosts: ["own.test"],
      privateKey: () => made.privateKey,
      certificateChain: made.certificate,
    },
  });
  const table = demoTable([dyno]);
  for (const host of ["own.test", "other.test", "bare.test"]) table.hosts[host] = { app: "app-1" };
  await it.router.put({ ...table, certificates: [it.certificate, own] });
  using client = await it.open();
  const statusOf = async (host: string) => {
    const fields = fieldsOf("GET", "/").filter(([name]) => name !== ":authority");
    const answer = await client.whole(client.ask([[":authority", host], ...fields]));
    return answer.blocks[0]![":status"];
  };
  expect(await statusOf("demo.test")).toBe("200");
  expect(await statusOf("other.test")).toBe("200");
  expect(await statusOf("bare.test")).toBe("200");
  expect(await statusOf("own.test")).toBe("421");
  const [line] = (await it.router.logLines(4)).filter((text) => text.includes("host=own.test"));
  expect(line).toMatch(/^at=error code=H31 desc="Misdirected Request" .*status=421/);
});

describe("flow control", () => {
  const large = 3_000_000;

  test("keeps within the client's windows, of each stream and of all", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const dyno = stopping(cleanup, dynoThatAnswers(ok("x".repeat(large))));
    await it.route([dyno]);
    using client = await it.open({
      keepWindows: true,
      settings: [[setting.initialWindowSize, 10]],
    });
    const streams = [client.ask(fieldsOf("GET", "/")), client.ask(fieldsOf("GET", "/"))];
    const bytes = () => streams.map((stream) => client.answer(stream).body.length);
    await client.until("ten bytes of each came", () => bytes().join() === "10,10");
    client.send(numbersFrame(frameType.windowUpdate, streams[0]!, [90]));
    await client.until("ninety more came", () => bytes().join() === "100,10");
    for (const stream of streams)
      client.send(numbersFrame(frameType.windowUpdate, stream, [large]));
    await client.until(
      "the connection's window is full",
      () => bytes()[0]! + bytes()[1]! === 65_535,
    );
    await Bun.sleep(50);
    expect(bytes()[0]! + bytes()[1]!).toBe(65_535);
    client.send(numbersFrame(frameType.windowUpdate, 0, [2 * large]));
    await Promise.all(streams.map((stream) => client.whole(stream)));
    expect(bytes()).toEqual([large, large]);
  });

  test("gives streams their turns: a large response holds up no other", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const dyno = stopping(cleanup, dynoThatAnswers(ok("x".repeat(large))));
    await it.route([dyno]);
    using client = await it.open({ settings: [[setting.initialWindowSize, 2 ** 30]] });
    client.send(numbersFrame(frameType.windowUpdate, 0, [2 ** 30]));
    const streams = Array.from({ length: 5 }, () => client.ask(fieldsOf("GET", "/")));
    await Promise.all(streams.map((stream) => client.whole(stream)));
    const order = client.frames
      .filter(({ type }) => type === frameType.data)
      .map(({ streamId }) => streamId);
    const firstEnd = Math.min(...streams.map((stream) => order.lastIndexOf(stream)));
    for (const stream of streams) expect(order.indexOf(stream)).toBeLessThan(firstEnd);
  });

  test("stops a client whose dyno takes nothing, and no other stream of it", async () => {
    using cleanup = new DisposableStack();
    let takes = false;
    await using it = await startHttp2Router();
    const dyno = stopping(
      cleanup,
      startDyno(({ received, socket }) => {
        if (!received.startsWith("POST")) socket.write(ok("served"));
        else if (!takes) socket.pause();
      }),
    );
    await it.route([dyno]);
    using client = await it.open();
    const stuck = client.ask(fieldsOf("POST", "/"), { endStream: false });
    let sent = 0;
    let seen = -1;
    while (seen !== sent) {
      seen = sent;
      for (; client.roomFor(stuck) >= 16_384; sent += 16_384)
        client.data(stuck, Buffer.alloc(16_384));
      await Bun.sleep(100);
    }
    expect(sent).toBeLessThan(24 * 1_024 * 1_024);
    const other = await client.whole(client.ask(fieldsOf("GET", "/other")));
    expect(other.body.toString()).toBe("served");
    takes = true;
    dyno.connections[0]!.socket.resume();
    await client.until("there is room again", () => client.roomFor(stuck) >= 16_384);
  });
});

describe("a tunnel (RFC 8441)", () => {
  const connectFields = (protocol = "websocket"): [string, string][] => [
    [":method", "CONNECT"],
    [":protocol", protocol],
    [":scheme", "https"],
    [":authority", "demo.test"],
    [":path", "/chat"],
    ["sec-websocket-version", "13"],
    ["sec-websocket-key", "the client's"],
  ];
  const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n";
  const ask = (
    client: { ask: Awaited<ReturnType<Http2Router["open"]>>["ask"] },
    protocol?: string,
  ) => client.ask(connectFields(protocol), { endStream: false });

  test("is said to be possible", async () => {
    await using it = await startHttp2Router();
    await it.route([]);
    using client = await it.open();
    await client.until("settings are there", () => client.frames.length > 0);
    const { payload } = client.frames[0]!;
    const pairs = Array.from({ length: payload.length / 6 }, (_, index) => [
      payload.readUInt16BE(6 * index),
      payload.readUInt32BE(6 * index + 2),
    ]);
    expect(pairs).toContainEqual([setting.enableConnectProtocol, 1]);
  });

  test("clause 52: is an upgrade at the dyno, then bytes both ways until both have ended", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const dyno = stopping(
      cleanup,
      startDyno((connection) => {
        const { received, socket } = connection;
        if (received.endsWith("\r\n\r\n"))
          socket.write(`${switching}Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: v1\r\n\r\n`);
        if (received.endsWith("ping")) socket.write("pong");
        if (received.endsWith("bye")) socket.end("ciao");
      }),
    );
    await it.route([dyno]);
    using client = await it.open();
    const stream = ask(client);
    const answer = client.answer(stream);
    await client.until("it is open", () => answer.blocks.length === 1);
    expect(answer.blocks[0]).toEqual({
      ":status": "200",
      "sec-websocket-protocol": "v1",
      via: "1.1 stator-router",
    });
    const { received } = dyno.connections[0]!;
    expect(received).toStartWith("GET /chat HTTP/1.1\r\nHost: demo.test\r\n");
    expect(received).toContain("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
    expect(received).toMatch(/\r\nSec-WebSocket-Key: [A-Za-z0-9+/]{22}==\r\n/);
    expect(received).not.toContain("the client's");
    client.data(stream, "ping");
    await client.until("the dyno answers", () => answer.body.toString() === "pong");
    client.data(stream, "bye", { endStream: true });
    expect(await client.whole(stream)).toMatchObject({ ended: true });
    expect(answer.body.toString()).toBe("pongciao");
    const [line] = await it.router.logLines(1);
    expect(line).toMatch(/method=GET path="\/chat" .*status=101 bytes=8 protocol=http2\.0/);
  });

  test("ends with a reset on either side", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const dyno = stopping(
      cleanup,
      startDyno(({ received, socket }) => {
        if (received.endsWith("\r\n\r\n")) socket.write(`${switching}\r\n`);
        if (received.endsWith("die")) socket.terminate();
      }),
    );
    await it.route([dyno]);
    using client = await it.open();
    const [one, two] = [ask(client), ask(client, "something-else")];
    await client.until("both are open", () => client.answer(two).blocks.length === 1);
    await client.until("both are open", () => client.answer(one).blocks.length === 1);
    client.data(one, "die");
    expect((await client.whole(one)).reset).toBe(errorCode.cancel);
    client.reset(two);
    await (
      await heard(dyno, /something-else/)
    ).closed;
    await it.router.logLines(2);
  });

  test("that the dyno refuses is its answer; a 200 would be taken for a tunnel", async () => {
    using cleanup = new DisposableStack();
    await using it = await startHttp2Router();
    const refusing = stopping(
      cleanup,
      dynoThatAnswers(ok("no").replace("200 OK", "403 Forbidden")),
    );
    const confused = stopping(cleanup, dynoThatAnswers(ok("<html>")));
    await it.route([refusing]);
    using client = await it.open();
    const refused = await client.whole(ask(client));
    expect(refused.blocks[0]).toMatchObject({ ":status": "403" });
    expect(refused.body.toString()).toBe("no");
    await client.until("the rest is not wanted", () => refused.reset === errorCode.none);
    await it.route([confused]);
    expect((await client.whole(ask(client))).blocks[0]).toMatchObject({ ":status": "503" });
    expect((await it.router.logLines(2))[1]).toContain("code=H17");
  });
});

test("a router that stops says so first, serves what is on its way, then says what it has served", async () => {
  using cleanup = new DisposableStack();
  await using it = await startHttp2Router({ limits: { stopMs: 3_000 } });
  const dyno = stopping(
    cleanup,
    startDyno(({ received, socket }) => {
      if (received.includes("/quick")) socket.write(ok("quick"));
    }),
  );
  await it.route([dyno]);
  using client = await it.open();
  const slow = client.ask(fieldsOf("GET", "/slow"));
  const connection = await heard(dyno, /slow/);
  const stopped = it.router.stop();
  const goAways = () =>
    client.frames
      .filter(({ type }) => type === frameType.goAway)
      .map(({ payload }) => [payload.readUInt32BE(0), payload.readUInt32BE(4)]);
  await client.until("it says that it stops", () => goAways().length === 1);
  const crossing = client.ask(fieldsOf("GET", "/quick"));
  expect((await client.whole(crossing)).body.toString()).toBe("quick");
  connection.socket.write(ok("slow"));
  expect((await client.whole(slow)).body.toString()).toBe("slow");
  await stopped;
  await client.until("the connection ends", () => client.closed);
  expect(goAways()).toEqual([
    [2 ** 31 - 1, errorCode.none],
    [crossing, errorCode.none],
  ]);
});

test("H24: a stream that outlasts the router's patience at its end is broken off, and logged", async () => {
  using cleanup = new DisposableStack();
  await using it = await startHttp2Router({ limits: { stopMs: 50 } });
  const dyno = stopping(cleanup, silentDyno());
  await it.route([dyno]);
  using client = await it.open();
  client.ask(fieldsOf("GET", "/"));
  await heard(dyno, /GET/);
  await it.router.stop();
  expect((await it.router.logLines(1))[0]).toContain('code=H24 desc="Forced close"');
  expect(await client.goneWith()).toBe(errorCode.none);
});

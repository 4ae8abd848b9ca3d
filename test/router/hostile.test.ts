import { describe, expect, test } from "bun:test";
import {
  type DynoConnection,
  get,
  ok,
  openClient,
  startDyno,
  startTestRouter,
} from "./router-fixture.ts";

const post = "POST / HTTP/1.1\r\nHost: demo.test\r\n";
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: demo.test\r\n\r\n";

/** A dyno that keeps its connections and answers each head that it sees, as a real server does. */
function keepingDyno() {
  return startDyno((connection) => {
    const heads = connection.received.split("\r\n\r\n").length - 1;
    for (; answeredOf(connection) < heads; answered.set(connection, answeredOf(connection) + 1))
      connection.socket.write(ok("answer"));
  });
}
const answered = new WeakMap<DynoConnection, number>();
const answeredOf = (connection: DynoConnection) => answered.get(connection) ?? 0;

describe("no request is smuggled past the router in the body of another", () => {
  const attempts: Record<string, string> = {
    "CL.TE": `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    "TE.CL": `${post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`,
    "a length that covers it": `${post}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    "a chunk that covers it": `${post}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
    "a body of a GET": `GET / HTTP/1.1\r\nHost: demo.test\r\nConnection: close\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    "a chunk size that overflows": `${post}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n${smuggled}`,
    "a chunk size with a sign": `${post}Transfer-Encoding: chunked\r\n\r\n+5\r\n${smuggled}`,
    "a bare line feed after a chunk size": `${post}Transfer-Encoding: chunked\r\n\r\n0\n\n${smuggled}`,
    "a line feed in a chunk extension": `${post}Transfer-Encoding: chunked\r\n\r\n5;a\nb\r\n${smuggled}`,
    "a carriage return in a chunk extension": `${post}Transfer-Encoding: chunked\r\n\r\n5;a\rb\r\n${smuggled}`,
    "a chunk longer than it says": `${post}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n${smuggled}`,
    "a request in a trailer": `${post}Transfer-Encoding: chunked\r\n\r\n0\r\nGET /smuggled HTTP/1.1\r\nHost: demo.test\r\n\r\n`,
    "an upgrade that nobody grants": `GET / HTTP/1.1\r\nHost: demo.test\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n`,
  };
  for (const [what, bytes] of Object.entries(attempts))
    test(what, async () => {
      using cleanup = new DisposableStack();
      await using router = await startTestRouter({ limits: { reuseMs: 500, idleMs: 300 } });
      const dyno = cleanup.adopt(keepingDyno(), (it) => it.stop());
      await router.route([dyno]);
      const client = await openClient(router.port);
      client.send(bytes);
      await Bun.sleep(30);
      client.leave();
      const lines = await router.logLines(1);
      expect(lines.filter((line) => line.includes("/smuggled"))).toEqual([]);
      // Bytes that were a body stay one: whatever follows on a dyno's connection is a request of ours.
      for (const { received } of dyno.connections) {
        const start = received.indexOf("\r\n\r\n") + 4;
        expect(received.slice(start)).not.toMatch(/^GET \/smuggled[^]*Via: /m);
        expect(received.slice(0, start)).not.toContain("smuggled");
      }
      const later = await openClient(router.port);
      later.send(get);
      expect(await later.until("answer")).toContain("200 OK");
    });
});

describe("a hostile dyno harms nobody but itself", () => {
  const broken: Record<string, [response: string, expected: RegExp, code: string]> = {
    "a status of two digits": ["HTTP/1.1 20 OK\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "a status of four digits": ["HTTP/1.1 2000 OK\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "a status with a sign": ["HTTP/1.1 +20 OK\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "another version": ["HTTP/2.0 200 OK\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "no HTTP": ["SSH-2.0-OpenSSH_9.2\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "bare line feeds": ["HTTP/1.1 200 OK\nX: 1\n\n", /^HTTP\/1.1 503 /, "H17"],
    "a header without a name": ["HTTP/1.1 200 OK\r\n: 1\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "a carriage return in a header": [
      "HTTP/1.1 200 OK\r\nX: 1\rSet-Cookie: stolen\r\n\r\n",
      /^HTTP\/1.1 503 /,
      "H17",
    ],
    "no status": ["HTTP/1.1 OK\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "a status without a reason's blank": ["HTTP/1.1 200\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "a status below 100": ["HTTP/1.1 099 X\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "a status of letters": ["HTTP/1.1 2xx OK\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "a reason with a carriage return": ["HTTP/1.1 200 O\rK\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "an empty line first": ["\r\nHTTP/1.1 200 OK\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "a blank before a colon": ["HTTP/1.1 200 OK\r\nX : 1\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "a folded header": ["HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "a line feed in a header": [
      "HTTP/1.1 200 OK\r\nX: 1\nSet-Cookie: stolen\r\n\r\n",
      /^HTTP\/1.1 503 /,
      "H17",
    ],
    "a length with a sign": [
      "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
      /^HTTP\/1.1 502 /,
      "H25",
    ],
    "a length below zero": [
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
      /^HTTP\/1.1 502 /,
      "H25",
    ],
    "two codings": [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
      /^HTTP\/1.1 503 /,
      "H17",
    ],
    "a status line that is too long": [
      `HTTP/1.1 200 ${"x".repeat(9_000)}\r\n\r\n`,
      /^HTTP\/1.1 502 /,
      "H25",
    ],
    "a header that is too long": [
      `HTTP/1.1 200 OK\r\nX: ${"x".repeat(600_000)}\r\n\r\n`,
      /^HTTP\/1.1 502 /,
      "H25",
    ],
    "a chunked body that is too short": [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
      /\r\n\r\n3\r\nhel\r\n$/,
      "H18",
    ],
    "a chunk longer than it says": [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
      /200 OK[^]*\r\n\r\n$/,
      "H17",
    ],
    "a zero byte in a header": ["HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "a coding that nobody knows": [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
      /^HTTP\/1.1 503 /,
      "H17",
    ],
    "an upgrade that nobody asked for": ["HTTP/1.1 101 X\r\n\r\n", /^HTTP\/1.1 503 /, "H17"],
    "hints without end": ["HTTP/1.1 103 Early\r\n\r\n".repeat(100), /503 Service/, "H17"],
    "two lengths": [
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
      /^HTTP\/1.1 502 /,
      "H25",
    ],
    "a body that is too short": [
      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nshort",
      /\r\n\r\nshort$/,
      "H18",
    ],
    "a chunk size that overflows": [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx",
      /200 OK[^]*\r\n\r\n$/,
      "H17",
    ],
  };
  for (const [what, [response, expected, code]] of Object.entries(broken))
    test(what, async () => {
      using cleanup = new DisposableStack();
      await using router = await startTestRouter({ limits: { reuseMs: 500 } });
      const dyno = cleanup.adopt(
        startDyno(({ socket }) => {
          socket.write(Buffer.from(response, "latin1"));
          if (code === "H18") socket.end();
        }),
        (it) => it.stop(),
      );
      await router.route([dyno]);
      expect(await router.ask(get)).toMatch(expected);
      expect((await router.logLines(1))[0]).toContain(`code=${code} `);
    });

  test("a body longer than it says ends where it says, and no other request gets the rest", async () => {
    using cleanup = new DisposableStack();
    await using router = await startTestRouter({ limits: { reuseMs: 500 } });
    const dyno = cleanup.adopt(
      startDyno(({ socket }) => void socket.write(`${ok("right")}${ok("forged")}`)),
      (it) => it.stop(),
    );
    await router.route([dyno]);
    for (let index = 0; index < 3; index++) expect(await router.ask(get)).toEndWith("right");
  });

  test("both framings: chunked counts, and the connection is not used again", async () => {
    using cleanup = new DisposableStack();
    await using router = await startTestRouter({ limits: { reuseMs: 500 } });
    const dyno = cleanup.adopt(
      startDyno(
        ({ socket }) =>
          void socket.write(
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
          ),
      ),
      (it) => it.stop(),
    );
    await router.route([dyno]);
    for (let index = 0; index < 2; index++) {
      const answer = await router.ask(get);
      expect(answer).toEndWith("2\r\nok\r\n0\r\n\r\n");
      expect(answer).not.toContain("Content-Length");
    }
    expect(dyno.connections).toHaveLength(2);
  });
});

for (const [what, begins] of Object.entries({
  "in the middle of a response": "GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n",
  "in the middle of an upload": `${post}Content-Length: 1000\r\n\r\nhalf`,
  "in the middle of a chunk": `${post}Transfer-Encoding: chunked\r\n\r\nff\r\nhalf`,
}))
  test(`clause 49: a client that leaves ${what} ends the dyno's connection at once: H27`, async () => {
    using cleanup = new DisposableStack();
    await using router = await startTestRouter();
    const dyno = cleanup.adopt(
      startDyno(({ socket, received }) => {
        if (received.startsWith("GET"))
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf");
      }),
      (it) => it.stop(),
    );
    await router.route([dyno]);
    const client = await router.open();
    client.send(begins);
    if (begins.startsWith("GET")) await client.until("half");
    while (!(dyno.connections[0]?.received ?? "").includes("\r\n\r\n")) await Bun.sleep(1);
    client.leave();
    await dyno.connections[0]!.closed;
    expect((await router.logLines(1))[0]).toMatch(
      /^at=warning code=H27 desc="Client Request Interrupted" sock=client .* status=499 /,
    );
  });

test("the API's host is found by its exact name only", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const unix = `${router.dir}/api.sock`;
  const api = Bun.serve({ unix, fetch: () => new Response("the API") });
  cleanup.defer(() => void api.stop(true));
  await router.put({ hosts: { "api.test": { socket: unix } } });
  const askFor = (host: string) =>
    router.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  for (const host of ["api.test", "API.test", "api.test.", "api.test:8080"])
    expect(await askFor(host)).toEndWith("the API");
  for (const host of [
    "x.api.test",
    "api.test.evil",
    "xapi.test",
    "test",
    "api",
    "127.0.0.1",
    "[::1]",
  ])
    expect(await askFor(host)).toStartWith("HTTP/1.1 404 ");
});

test("103 Early Hints go on to clients that know them, without what is said about the connection", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno(
      ({ socket }) =>
        void socket.write(
          `HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: close\r\n\r\n${ok("end")}`,
        ),
    ),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  expect(await router.ask(get)).toMatch(
    /^HTTP\/1.1 103 Early Hints\r\nLink: <\/a.css>\r\n\r\nHTTP\/1.1 200 OK\r\n/,
  );
  expect(await router.ask("GET / HTTP/1.0\r\nHost: demo.test\r\n\r\n")).toStartWith(
    "HTTP/1.1 200 OK\r\n",
  );
});

test("heads that come byte by byte are read in time that grows with their length only", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const header = `X-Long: ${"x".repeat(8_000)}\r\n`;
  const dyno = cleanup.adopt(
    startDyno((connection) => {
      if (!connection.received.includes("\r\n\r\n")) return;
      const response = `HTTP/1.1 200 OK\r\n${header}Content-Length: 2\r\n\r\nok`;
      for (const byte of response) connection.socket.write(byte);
    }),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await openClient(router.port);
  for (const byte of `GET / HTTP/1.1\r\nHost: demo.test\r\n${header}Connection: close\r\n\r\n`)
    client.socket.write(byte);
  expect(await client.toEnd()).toEndWith("\r\n\r\nok");
  expect(dyno.connections[0]!.received).toContain(header);
});

test("clause 96: a wildcard host serves all names below it that have no record of their own", async () => {
  await using router = await startTestRouter();
  const app = {
    name: "x",
    deployed: false,
    maintenance: false,
    webQuantity: 1,
    crashed: false,
    starting: false,
    dynos: [],
  };
  await router.put({
    hosts: {
      "*.wild.test": { app: "wild" },
      "own.wild.test": { app: "own" },
      "*.deep.wild.test": { app: "deep" },
    },
    apps: { wild: app, own: { ...app, maintenance: true }, deep: { ...app, webQuantity: 0 } },
  });
  const statusOf = async (host: string) =>
    (await router.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).slice(9, 12);
  expect(await statusOf("own.wild.test")).toBe("503");
  expect(await statusOf("any.wild.test")).toBe("502");
  expect(await statusOf("a.b.wild.test")).toBe("502");
  expect(await statusOf("wild.test")).toBe("404");
  expect(await statusOf("xwild.test")).toBe("404");
  expect(await statusOf("*.wild.test")).toBe("400");
});

test("H22: connections beyond the limit are answered and closed, those before go on", async () => {
  await using router = await startTestRouter({ limits: { connections: 2 } });
  await router.route([], { maintenance: true });
  const [one, two] = [await router.open(), await router.open()];
  one.send(get);
  await one.until("Offline for maintenance");
  await one.toEnd();
  // The router counts it until it has seen its end.
  await Bun.sleep(50);
  const three = await router.open();
  two.send("GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n");
  await two.until("Offline for maintenance");
  const four = await router.open();
  expect(await four.toEnd()).toStartWith("HTTP/1.1 503 ");
  three.leave();
  two.leave();
});

test("H24: a request that outlasts the router's patience at its end is broken off, and logged as that", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { stopMs: 50 } });
  const dyno = cleanup.adopt(
    startDyno(() => {}),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send(get);
  while (dyno.connections.length === 0) await Bun.sleep(1);
  await router.stop();
  expect((await router.logLines(1))[0]).toContain('code=H24 desc="Forced close"');
});

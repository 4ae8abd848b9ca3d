import { expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { execOk } from "../../src/lib/exec.ts";
import { openLogFile } from "../../src/router/log-file.ts";
import { createRouterClient } from "../../src/router/router-client.ts";
import { startRouter } from "../../src/router/router.ts";
import {
  demoTable,
  dynoThatAnswers,
  get,
  ok,
  openClient,
  startDyno,
  startRouterProcess,
  startTestRouter,
} from "./router-fixture.ts";

test("the last table is on disk, and a router that starts alone serves from it", async () => {
  using cleanup = new DisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "stator-router-"));
  cleanup.defer(() => void rm(dir, { recursive: true }));
  const dyno = cleanup.adopt(dynoThatAnswers(ok("alone")), (it) => it.stop());
  const settings = { dir, http: 0, https: null, host: "127.0.0.1" };
  const first = await startRouter(settings);
  await createRouterClient(dir).putTable(demoTable([dyno]));
  await first.stop();

  // One record goes bad; the others must not go with it.
  const path = join(dir, "routes.json");
  const table = JSON.parse(await readFile(path, "utf8"));
  table.apps.broken = { name: 5 };
  table.hosts["broken.test"] = { app: "broken" };
  table.certificates = [{ hosts: ["x.test"], certificatePath: "/nowhere", privateKeyPath: "/no" }];
  await writeFile(path, JSON.stringify(table));

  const second = await startRouter(settings);
  const client = await openClient(second.httpPort);
  client.send(get);
  expect(await client.toEnd()).toEndWith("alone");
  const { setAside } = await createRouterClient(dir).status();
  expect(setAside.map((sentence) => sentence.split(":")[0])).toEqual([
    'app "broken"',
    'host "broken.test"',
    "certificate of x.test",
  ]);
  await second.stop();
});

test("a router whose table is no JSON starts with none and says so", async () => {
  using cleanup = new DisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "stator-router-"));
  cleanup.defer(() => void rm(dir, { recursive: true }));
  await writeFile(join(dir, "routes.json"), "{");
  const router = await startRouter({ dir, http: 0, https: null, host: "127.0.0.1" });
  expect((await createRouterClient(dir).status()).setAside[0]).toStartWith("routes.json: ");
  await router.stop();
});

test("status tells the process, the ports and the table; what is no table is refused", async () => {
  await using router = await startTestRouter();
  await router.put({ version: 7 });
  expect(await router.client.status()).toEqual({
    pid: process.pid,
    version: "test",
    httpPort: router.port,
    httpsPort: null,
    tableVersion: 7,
    inFlight: {},
    setAside: [],
    workers: [process.pid],
  });
  expect(router.client.putTable({ version: 8 } as never)).rejects.toThrow("refused PUT /table");
  expect((await router.client.status()).tableVersion).toBe(7);
  for (const [name, mode] of [
    ["", 0o700],
    ["router.sock", 0o600],
    ["routes.json", 0o600],
  ] as const)
    expect((await stat(join(router.dir, name))).mode & 0o777).toBe(mode);
});

test("a drain answers when the last request on the dyno has ended, or at its time", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno(() => {}),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send(get);
  while (dyno.connections.length === 0) await Bun.sleep(1);
  expect((await router.client.status()).inFlight).toEqual({ "dyno-1": 1 });
  expect(await router.client.drain("dyno-1", { timeoutMs: 20 })).toEqual({ inFlight: 1 });
  const drained = router.client.drain("dyno-1", { timeoutMs: 3_000 });
  await Bun.sleep(20);
  dyno.connections[0]!.socket.write(ok("last"));
  expect(await client.toEnd()).toEndWith("last");
  expect(await drained).toEqual({ inFlight: 0 });
});

test("a router told to stop takes no more connections and finishes what it has", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ limits: { stopMs: 3_000 } });
  const dyno = cleanup.adopt(
    startDyno(() => {}),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send("GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n");
  while (dyno.connections.length === 0) await Bun.sleep(1);
  await router.client.stop();
  expect(openClient(router.port)).rejects.toThrow();
  await Bun.sleep(30);
  dyno.connections[0]!.socket.write(ok("finished"));
  expect(await client.toEnd()).toMatch(/Connection: close\r\n\r\nfinished$/);
  await router.stop();
  expect(await readFile(join(router.dir, "router.log"), "utf8")).toContain("status=200");
});

test("a successor takes over the ports and the control socket while its predecessor still serves", async () => {
  using cleanup = new DisposableStack();
  await using first = await startTestRouter({ limits: { stopMs: 60_000 } });
  const dyno = cleanup.adopt(
    startDyno(
      ({ socket, received }) => void (received.startsWith("GET / ") && socket.write(ok("new"))),
    ),
    (it) => it.stop(),
  );
  await first.route([dyno]);
  const client = await first.open();
  client.send("GET /slow HTTP/1.1\r\nHost: demo.test\r\nConnection: close\r\n\r\n");
  while (dyno.connections.length === 0) await Bun.sleep(1);
  const settings = { dir: first.dir, http: first.port, https: null, host: "127.0.0.1" };
  const second = await startRouter({ ...settings, version: "second" });
  const stopped = first.stop();
  await Bun.sleep(50);
  for (let index = 0; index < 5; index++) expect(await first.ask(get)).toEndWith("new");
  dyno.connections[0]!.socket.write(ok("old"));
  expect(await client.toEnd()).toEndWith("old");
  await stopped;
  expect((await first.client.status()).version).toBe("second");
  await second.stop();
  expect((await readdir(first.dir)).sort()).toEqual(["router.log", "routes.json"]);
});

test("a router that stops gives its socket up at once, also while it finishes requests", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(
    startDyno(() => {}),
    (it) => it.stop(),
  );
  await router.route([dyno]);
  const client = await router.open();
  client.send(get);
  while (dyno.connections.length === 0) await Bun.sleep(1);
  await router.client.stop();
  expect(router.client.status()).rejects.toThrow();
  client.leave();
});

test("a port that someone else has is refused, not shared", async () => {
  await using router = await startTestRouter();
  const dir = await mkdtemp(join(tmpdir(), "stator-router-"));
  const settings = { dir, http: router.port, https: null, host: "127.0.0.1" };
  expect(startRouter(settings)).rejects.toThrow("Failed to listen");
  await Bun.sleep(20);
  await rm(dir, { recursive: true });
});

test("the platform's own hosts go to a unix socket, without the 30 s rule and without a log line", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({
    limits: { firstByteMs: 20, idleMs: 20, connectMs: 100 },
  });
  const unix = join(router.dir, "api.sock");
  const api = Bun.serve({
    unix,
    async fetch(request) {
      await Bun.sleep(100);
      const bytes = (await request.arrayBuffer()).byteLength;
      return new Response(`${request.headers.get("host")} ${bytes}`);
    },
  });
  cleanup.defer(() => void api.stop(true));
  await router.put({
    hosts: { "api.test": { socket: unix }, "gone.test": { socket: "/nowhere" } },
  });
  const client = await router.open();
  const head = "POST /x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3000000\r\n\r\n";
  client.send(head + "x".repeat(3_000_000));
  await client.until("api.test 3000000");
  client.leave();
  // H99, which no app's log could have.
  expect(
    await router.ask("GET / HTTP/1.1\r\nHost: gone.test\r\nConnection: close\r\n\r\n"),
  ).toStartWith("HTTP/1.1 503 ");
  expect(await readFile(join(router.dir, "router.log"), "utf8").catch(() => "")).toBe("");
});

test("a request to the platform waits while it starts, and when its queue is full", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const unix = join(router.dir, "api.sock");
  await router.put({ hosts: { "api.test": { socket: unix } } });
  const ask = () => router.ask("GET / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n");
  const early = ask();
  await Bun.sleep(50);
  const api = Bun.serve({ unix, fetch: () => new Response("the API") });
  cleanup.defer(() => void api.stop(true));
  expect(await early).toStartWith("HTTP/1.1 200 ");
  const answers = Promise.all(Array.from({ length: 1500 }, ask));
  // All that come while the platform is busy stand in its queue, which holds 512.
  await Bun.sleep(20);
  Bun.sleepSync(300);
  expect((await answers).filter((answer) => !answer.startsWith("HTTP/1.1 200 "))).toEqual([]);
});

async function makeCertificate(dir: string, name: string, host: string) {
  const certificatePath = join(dir, `${name}.crt`);
  const privateKeyPath = join(dir, `${name}.key`);
  const command =
    `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 ` +
    `-subj /CN=${name} -addext subjectAltName=DNS:${host} -keyout ${privateKeyPath} -out ${certificatePath}`;
  const [program = "", ...args] = command.split(" ");
  await execOk([program, ...args]);
  return { hosts: [host], certificatePath, privateKeyPath };
}

/** The name on the certificate that the router shows for a server name, and the answer to a request. */
function askOverTls(port: number, servername: string): Promise<{ name: string; answer: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ name: string; answer: string }>();
  let answer = "";
  let name = "";
  const socket: TLSSocket = connect(
    { port, host: "127.0.0.1", servername, rejectUnauthorized: false },
    () => {
      name = String(socket.getPeerCertificate().subject.CN);
      socket.write(get);
    },
  );
  socket.on("data", (bytes: Buffer) => (answer += bytes.toString()));
  socket.on("error", reject);
  socket.on("end", () => {
    socket.destroy();
    resolve({ name, answer });
  });
  return promise;
}

test("clause 46: certificates come from the table by name, new ones without a restart", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter({ https: true });
  const dyno = cleanup.adopt(dynoThatAnswers(ok("secret")), (it) => it.stop());
  const [one, wild, renewed] = await Promise.all([
    makeCertificate(router.dir, "one", "demo.test"),
    makeCertificate(router.dir, "wild", "*.test"),
    makeCertificate(router.dir, "renewed", "demo.test"),
  ]);
  const port = router.httpsPort!;
  await router.put({ ...demoTable([dyno]), certificates: [one, wild] });
  const { name, answer } = await askOverTls(port, "demo.test");
  expect(name).toBe("one");
  expect(answer).toEndWith("secret");
  expect(dyno.connections[0]!.received).toMatch(
    /X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n/,
  );
  expect((await askOverTls(port, "other.test")).name).toBe("wild");
  expect(askOverTls(port, "a.b.test")).rejects.toThrow();
  await router.put({ ...demoTable([dyno]), certificates: [renewed] });
  expect((await askOverTls(port, "demo.test")).name).toBe("renewed");
  expect((await router.logLines(1))[0]).toEndWith("protocol=http1.1 tls=true tls_version=tls1.3");
});

test("the log is turned over when it is full, and nothing is lost", async () => {
  const dir = await mkdtemp(join(tmpdir(), "stator-router-"));
  const path = join(dir, "router.log");
  const log = openLogFile(path, { maxBytes: 100, delayMs: 1 });
  for (let index = 0; index < 2; index++) {
    log.write({ app: "a", at: "now", line: "x".repeat(100) });
    await log.flush();
  }
  expect((await readFile(path, "utf8")).split("\n")).toHaveLength(2);
  expect((await readFile(`${path}.1`, "utf8")).split("\n")).toHaveLength(2);
  await rm(dir, { recursive: true });
});

const megabyte = 1_024 * 1_024;

for (const direction of ["to the dyno", "to the client"] as const)
  test(`a body of 500 MB goes ${direction}, however slow the receiver, in constant memory`, async () => {
    using cleanup = new DisposableStack();
    await using router = await startRouterProcess();
    const total = 500 * megabyte;
    const transfer = cleanup.adopt(startTransfer(total), (it) => it.stop());
    await router.client.putTable(demoTable([{ port: transfer.port, connections: [], stop() {} }]));
    const before = await router.residentBytes();
    let peak = 0;
    const sampler = setInterval(
      () => void router.residentBytes().then((bytes) => (peak = Math.max(peak, bytes))),
      25,
    );
    cleanup.defer(() => clearInterval(sampler));
    const received = await transfer.run(direction, router.port);
    clearInterval(sampler);
    expect(received).toBe(total);
    expect(peak - before).toBeLessThan(64 * megabyte);
    expect(await router.stop()).toBe(0);
  });

/** A dyno and a client of which the one sends as fast as it can and the other stops now and then. */
function startTransfer(total: number) {
  const part = Buffer.alloc(megabyte / 4);
  let direction: "to the dyno" | "to the client" = "to the dyno";
  let received = 0;
  const { promise: done, resolve: tellDone } = Promise.withResolvers<void>();

  interface Side {
    left: number;
    head: boolean;
  }
  const pump = (socket: Bun.Socket<Side>) => {
    while (socket.data.left > 0) {
      const sent = socket.write(part, 0, Math.min(part.length, socket.data.left));
      if (sent <= 0) return;
      socket.data.left -= sent;
    }
  };
  const take = (socket: Bun.Socket<Side>, bytes: Buffer) => {
    let payload = bytes.length;
    if (!socket.data.head) {
      const end = bytes.indexOf("\r\n\r\n");
      if (end === -1) return;
      socket.data.head = true;
      payload -= end + 4;
    }
    const before = Math.floor(received / (50 * megabyte));
    received += payload;
    // A pause every 50 MB, far longer than the sender needs to fill all buffers.
    if (Math.floor(received / (50 * megabyte)) > before) {
      socket.pause();
      setTimeout(() => socket.resume(), 150);
    }
    if (received >= total) tellDone();
  };
  const listener = Bun.listen<Side>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => void (socket.data = { left: 0, head: false }),
      data(socket, bytes) {
        if (direction === "to the dyno") return take(socket, bytes);
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
        socket.data.left = total;
        pump(socket);
      },
      drain: (socket) => pump(socket),
    },
  });
  return {
    port: listener.port,
    stop: () => listener.stop(true),
    async run(way: typeof direction, port: number): Promise<number> {
      direction = way;
      const client = await Bun.connect<Side>({
        hostname: "127.0.0.1",
        port,
        data: { left: 0, head: false },
        socket: { data: take, drain: (socket) => pump(socket) },
      });
      const upload = direction === "to the dyno";
      client.write(
        `POST / HTTP/1.1\r\nHost: demo.test\r\nContent-Length: ${upload ? total : 0}\r\n\r\n`,
      );
      if (upload) client.data.left = total;
      pump(client);
      await done;
      client.terminate();
      return received;
    },
  };
}

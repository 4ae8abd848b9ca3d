import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { secretWord } from "../../src/lib/secret-line.ts";
import { addActivity, findWorkers } from "../../src/router/crew.ts";
import { createRouterClient } from "../../src/router/router-client.ts";
import { demoTable, dynoAt, get, openClient, startRouterProcess } from "./router-fixture.ts";
import { certificateIn, openNameless } from "./tls-fixture.ts";

const startApp = () =>
  Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      if (new URL(request.url).pathname === "/slow") await Bun.sleep(2000);
      return new Response("served");
    },
  });

async function until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  const untilMs = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > untilMs) throw new Error(`Waited in vain until ${what}`);
    await Bun.sleep(10);
  }
}

async function ask(port: number, request = get): Promise<string> {
  const client = await openClient(port);
  client.send(request);
  return client.toEnd();
}

/** New connections all the time, from many sides; what went wrong, at the end. */
function constantConnections(port: number) {
  let isOn = true;
  let count = 0;
  const failures: string[] = [];
  const loop = async () => {
    while (isOn) {
      const answer = await ask(port).catch(String);
      count++;
      if (!answer.endsWith("served")) failures.push(answer.slice(0, 200));
    }
  };
  const loops = Array.from({ length: 20 }, loop);
  return {
    get count() {
      return count;
    },
    async stop() {
      isOn = false;
      await Promise.all(loops);
      return { count, failures };
    },
  };
}

test("workers share the port, the table and the log, and are one for the server", async () => {
  using app = startApp();
  await using router = await startRouterProcess({ workers: 2 });
  await router.client.putTable(demoTable([dynoAt(app.port!)]));
  for (let index = 0; index < 40; index++) expect(await ask(router.port)).toEndWith("served");
  const { workers, pid } = await router.client.status();
  expect(workers).toHaveLength(2);
  expect(workers).not.toContain(pid);

  const slow = Array.from({ length: 40 }, () =>
    ask(router.port, get.replace("GET /", "GET /slow")),
  );
  await until("all are under way", async () => {
    const { inFlight } = await router.client.status();
    return inFlight["dyno-1"] === 40;
  });
  expect((await router.client.activity()).apps["app-1"]).toMatchObject({ requests: 40 });
  const counts = await Promise.all(
    (await findWorkers(router.dir)).map(async (worker) => (await worker.status()).inFlight),
  );
  expect(counts.filter((inFlight) => (inFlight["dyno-1"] ?? 0) > 0)).toHaveLength(2);
  await router.client.putTable(demoTable([]));
  expect(await router.client.drain("dyno-1", { timeoutMs: 5_000 })).toEqual({ inFlight: 0 });
  for (const answer of await Promise.all(slow)) expect(answer).toEndWith("served");
  await until("all is logged", async () => {
    const text = await readFile(join(router.dir, "router.log"), "utf8").catch(() => "");
    return text.split("\n").length === 81;
  });
  for (const line of (await readFile(join(router.dir, "router.log"), "utf8")).trim().split("\n"))
    expect(JSON.parse(line).line).toContain("status=200");
  expect((await stat(join(router.dir, "router.log"))).mode & 0o777).toBe(0o600);
  expect(await router.stop()).toBe(0);
  expect((await readdir(router.dir)).sort()).toEqual(["router.log", "routes.json"]);
});

test("the server hears once of a sleeping app, whichever workers its requests came to", async () => {
  using app = startApp();
  await using router = await startRouterProcess({ workers: 2 });
  await router.client.putTable(demoTable([], { sleeping: true }));
  const heard: string[] = [];
  const events = router.client.events(({ wake }) => heard.push(wake));
  const answers = Array.from({ length: 12 }, () => ask(router.port));
  await until("the server has heard", () => heard.length > 0);
  await Bun.sleep(100);
  expect(heard).toEqual(["app-1"]);
  const again: string[] = [];
  const returned = router.client.events(({ wake }) => again.push(wake));
  await until("a server that comes back has heard", () => again.length > 0);
  await router.client.putTable(demoTable([dynoAt(app.port!)]));
  for (const answer of await Promise.all(answers)) expect(answer).toEndWith("served");
  await router.client.putTable(demoTable([], { sleeping: true }));
  const waiting = ask(router.port).catch(() => "");
  await until("the server has heard again", () => heard.length === 2);
  expect(again).toEqual(["app-1", "app-1"]);
  events.close();
  returned.close();
  await router.client.putTable(demoTable([dynoAt(app.port!)]));
  await waiting;
});

test("events reach the server over one stream, however long nothing happens", async () => {
  await using router = await startRouterProcess({ workers: 2 });
  const stream = await fetch("http://router/events", {
    ...{ unix: join(router.dir, "router.sock"), keepalive: false },
  });
  // Bun's own patience with a silent connection is 10 s.
  const silence = Bun.sleep(20_000).then(() => "silent");
  const reader = stream.body!.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("\n");
  expect(await Promise.race([reader.read(), silence])).toBe("silent");
  await reader.cancel();
});

test("a worker that crashes is replaced at once, with the newest table", async () => {
  using app = startApp();
  await using router = await startRouterProcess({ workers: 2 });
  await router.client.putTable(demoTable([dynoAt(app.port!)]));
  const before = (await router.client.status()).workers;
  for (const pid of before) process.kill(pid, "SIGKILL");
  await until("two others serve", async () => {
    const { workers } = await router.client.status();
    return workers.length === 2 && workers.every((pid) => !before.includes(pid));
  });
  for (let index = 0; index < 20; index++) expect(await ask(router.port)).toEndWith("served");
});

test("with their master dead workers go on serving, and the next master relieves them", async () => {
  using app = startApp();
  await using first = await startRouterProcess({ workers: 2 });
  await first.client.putTable(demoTable([dynoAt(app.port!)]));
  const before = (await first.client.status()).workers;
  process.kill(first.pid, "SIGKILL");
  await until("it is dead", () =>
    first.client.status().then(
      () => false,
      () => true,
    ),
  );
  const connections = constantConnections(first.port);
  await Bun.sleep(200);
  await using second = await startRouterProcess({
    workers: 2,
    dir: first.dir,
    port: first.port,
  });
  await until("the old ones are gone", () => before.every((pid) => !existsSync(`/proc/${pid}`)));
  await Bun.sleep(100);
  const { count, failures } = await connections.stop();
  expect(failures).toEqual([]);
  expect(count).toBeGreaterThan(50);
  expect((await second.client.status()).workers).toHaveLength(2);
});

test("replacing the workers drops no connection, new or under way", async () => {
  using app = startApp();
  await using cleanup = new AsyncDisposableStack();
  const first = cleanup.use(await startRouterProcess({ workers: 2 }));
  await first.client.putTable(demoTable([dynoAt(app.port!)]));
  const connections = constantConnections(first.port);
  const settings = { workers: 2, dir: first.dir, port: first.port };
  const slow: Promise<string>[] = [];
  const masters = [first.pid];
  for (let round = 0; round < 3; round++) {
    slow.push(ask(first.port, get.replace("GET /", "GET /slow")));
    await Bun.sleep(50);
    const next = cleanup.use(await startRouterProcess(settings));
    masters.push(next.pid);
  }
  await until("one master is left", () =>
    masters.slice(0, -1).every((pid) => !existsSync(`/proc/${pid}`)),
  );
  const { count, failures } = await connections.stop();
  expect(failures).toEqual([]);
  expect(count).toBeGreaterThan(100);
  for (const answer of await Promise.all(slow)) expect(answer).toEndWith("served");
  expect(await findWorkers(first.dir)).toHaveLength(2);
  await createRouterClient(first.dir).stop();
  await until("the last is gone", () => !existsSync(`/proc/${masters.at(-1)}`));
});

test("while the workers are replaced kept connections lose no request, and a tunnel lives on", async () => {
  using app = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, server) {
      if (server.upgrade(request)) return undefined;
      return new Response("served");
    },
    websocket: { message: (socket, text) => void socket.send(`${text.toString()} again`) },
  });
  await using cleanup = new AsyncDisposableStack();
  const first = cleanup.use(await startRouterProcess({ workers: 2 }));
  await first.client.putTable(demoTable([dynoAt(app.port!)]));
  const tunnel = await openClient(first.port);
  tunnel.send(
    "GET /ws HTTP/1.1\r\nHost: demo.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await tunnel.until("101 Switching Protocols");

  let [isOn, count, reopened] = [true, 0, 0];
  const loop = async () => {
    let client = await openClient(first.port);
    while (isOn) {
      client.send("GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n");
      const answer = await client.until(/served$/);
      count++;
      await Bun.sleep(5);
      if (!answer.includes("Connection: close\r\n")) continue;
      reopened++;
      client.leave();
      client = await openClient(first.port);
    }
    client.leave();
  };
  const loops = Array.from({ length: 10 }, loop);
  const before = (await first.client.status()).workers;
  const second = cleanup.use(
    await startRouterProcess({ workers: 2, dir: first.dir, port: first.port }),
  );
  await until("the new workers alone listen", async () => {
    const { workers } = await second.client.status();
    return workers.length === 2 && workers.every((pid) => !before.includes(pid));
  });
  await until("every client has moved", () => reopened >= loops.length);
  // A masked text of two bytes under a key of zeros.
  tunnel.send("\x81\x82\0\0\0\0hi");
  expect(await tunnel.until("again")).toEndWith("hi again");
  isOn = false;
  await Promise.all(loops);
  expect(count).toBeGreaterThan(loops.length);
  tunnel.leave();
  await until("the old ones are gone", () => before.every((pid) => !existsSync(`/proc/${pid}`)));
});

test("while the workers are replaced an attached session lives on, and new ones come to the new", async () => {
  const dir = await mkdtemp(join(tmpdir(), "stator-router-"));
  const socketPath = join(dir, "rendezvous.sock");
  using platform = Bun.listen({
    unix: socketPath,
    socket: { data: (socket, bytes) => void socket.write(bytes) },
  });
  expect(platform.unix).toBe(socketPath);
  await using cleanup = new AsyncDisposableStack();
  const options = { workers: 2, dir, https: true };
  const first = cleanup.use(await startRouterProcess(options));
  await first.client.putTable({
    ...{ ...demoTable([]), certificates: [certificateIn(dir)] },
    rendezvous: { host: "demo.test", socket: socketPath },
  });
  const httpsPort = first.httpsPort!;
  const attach = async () => {
    const socket = await openNameless(httpsPort);
    let heard = "";
    socket.on("data", (bytes: Buffer) => (heard += bytes.toString()));
    socket.write(`${secretWord(randomBytes(32).toString("base64url"))}\r\n`);
    await until("it is attached", () => heard.includes("\n"));
    return {
      socket,
      async says(word: string) {
        socket.write(word);
        await until(`${word} comes back`, () => heard.includes(word));
      },
    };
  };
  const sessions = await Promise.all(Array.from({ length: 8 }, attach));
  const before = (await first.client.status()).workers;
  const second = cleanup.use(await startRouterProcess({ ...options, port: first.port, httpsPort }));
  await until("the new workers alone listen", async () => {
    const { workers } = await second.client.status();
    return workers.length === 2 && workers.every((pid) => !before.includes(pid));
  });
  sessions.push(await attach());
  await Bun.sleep(2_000);
  expect(before.some((pid) => existsSync(`/proc/${pid}`))).toBe(true);
  for (const [index, session] of sessions.entries()) {
    await session.says(`still here ${index}`);
    session.socket.destroy();
  }
  await until("the old ones are gone", () => before.every((pid) => !existsSync(`/proc/${pid}`)));
});

test("a port that someone else has is refused, not shared", async () => {
  using app = startApp();
  expect(startRouterProcess({ port: app.port! })).rejects.toThrow("The router ended with 1");
});

test("a socket that a killed worker left is taken away", async () => {
  const dir = await mkdtemp(join(tmpdir(), "stator-router-"));
  await writeFile(join(dir, "worker-00000000"), "");
  expect(await findWorkers(dir)).toEqual([]);
  expect(await readdir(dir)).toEqual([]);
  await rm(dir, { recursive: true });
});

test("what workers saw is added up, and never is more idle than the youngest has looked", () => {
  const one = {
    observedMs: 5_000,
    apps: {
      a: { asked: 7, requests: 1, tunnels: 0, idleMs: 100 },
      b: { asked: 2, requests: 0, tunnels: 0, idleMs: 4_000 },
    },
  };
  const two = { observedMs: 900, apps: { a: { asked: 5, requests: 2, tunnels: 3, idleMs: 50 } } };
  expect(addActivity([one, two])).toEqual({
    observedMs: 900,
    apps: {
      a: { asked: 12, requests: 3, tunnels: 3, idleMs: 50 },
      b: { asked: 2, requests: 0, tunnels: 0, idleMs: 900 },
    },
  });
});

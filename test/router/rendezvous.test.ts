import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { type TLSSocket } from "node:tls";
import { openCertificateFolder } from "../../src/certs/certificate-files.ts";
import type { RouterLimits } from "../../src/router/limits.ts";
import { secretWord } from "../../src/lib/secret-line.ts";
import { makeCertificate } from "../certs/make-certificate.ts";
import { demoTable, dynoThatAnswers, get, ok } from "./router-fixture.ts";
import { openNameless, openTls, startTlsRouter, textToEnd } from "./tls-fixture.ts";

const line = `${secretWord(randomBytes(32).toString("base64url"))}\r\n`;
const [first, second] = await Promise.all([
  makeCertificate(["api.test", "*.test"]),
  makeCertificate(["api.test"]),
]);
const nobodyElse = { rejectUnauthorized: true, checkServerIdentity: () => undefined };

/** A router with a rendezvous, and the platform's end of it; `demo.test` has another certificate. */
async function startRendezvous(meet: (socket: Socket) => void, limits: Partial<RouterLimits> = {}) {
  const { router, certificate } = await startTlsRouter({ limits });
  const socketPath = join(router.dir, "rendezvous.sock");
  const table = demoTable([]);
  const put = (made: { certificate: string; privateKey: string }, hosts: string[]) => {
    const content = { hosts, certificateChain: made.certificate };
    const api = openCertificateFolder(join(router.dir, "certificates")).put({
      ...{ ...content, privateKey: () => made.privateKey },
    });
    const rendezvous = { host: "api.test", socket: socketPath };
    return router.put({ ...table, certificates: [certificate, api], rendezvous });
  };
  const sockets = new Set<Socket>();
  let platform: Server | undefined;
  const start = async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
      meet(socket);
    });
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    platform = server;
  };
  const stop = () => {
    for (const socket of sockets) socket.destroy();
    platform?.close();
  };
  await start();
  expect((await put(first, ["*.test"])).setAside).toEqual([]);
  return {
    ...{ router, table, certificate, put, start, stop, sockets },
    port: router.httpsPort!,
    async [Symbol.asyncDispose]() {
      stop();
      await router[Symbol.asyncDispose]();
    },
  };
}

const echo = (socket: Socket) => void socket.pipe(socket);

function hears(socket: TLSSocket, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = "";
    socket.on("data", (bytes: Buffer) => {
      heard += bytes.toString("latin1");
      if (heard.includes(text)) resolve(heard);
    });
    socket.on("close", () => reject(new Error(`no ${text} in ${JSON.stringify(heard)}`)));
  });
}

describe("a client that names no server", () => {
  test("gets the certificate of the rendezvous' host, also a new one; one that does gets its own", async () => {
    await using here = await startRendezvous(echo);
    const subjectOf = async (open: Promise<TLSSocket>) => {
      const socket = await open;
      const { subjectaltname } = socket.getPeerCertificate();
      socket.destroy();
      return subjectaltname;
    };
    const nameless = (ca: string) => openNameless(here.port, { ...nobodyElse, ca });
    expect(await subjectOf(nameless(first.certificate))).toBe("DNS:api.test, DNS:*.test");
    expect(nameless(second.certificate)).rejects.toThrow();
    await here.put(second, ["api.test"]);
    expect(await subjectOf(nameless(second.certificate))).toBe("DNS:api.test");
    const named = (servername: string) => subjectOf(openTls(here.port, { servername }));
    expect(await named("demo.test")).toBe("DNS:demo.test, DNS:other.test");
    expect(await named("api.test")).toBe("DNS:api.test");
    expect(named("unknown.test")).rejects.toThrow();
    expect(named("unknown.example")).rejects.toThrow();
  });

  test("gets it from a router that starts again alone, too", async () => {
    await using here = await startRendezvous(echo);
    const { startRouter } = await import("../../src/router/router.ts");
    const { dir } = here.router;
    await here.router.stop();
    const again = await startRouter(
      { dir, http: null, https: 0, host: "127.0.0.1" },
      { stopMs: 300, lastWordMs: 100, quietMs: 50 },
    );
    const client = await openNameless(again.httpsPort!, { ...nobodyElse, ca: first.certificate });
    client.write(`${line}hello`);
    expect(await hears(client, "hello")).toBe(`${line}hello`);
    client.destroy();
    await again.stop();
  });

  test("is served by the Host of its requests, whatever pieces they come in", async () => {
    await using here = await startRendezvous(echo);
    using cleanup = new DisposableStack();
    const dyno = cleanup.adopt(dynoThatAnswers(ok("served")), (it) => it.stop());
    await here.router.put({
      ...{ ...demoTable([dyno]), certificates: [here.certificate] },
      rendezvous: { host: "demo.test", socket: "/nowhere" },
    });
    const whole = await openNameless(here.port);
    whole.write(get);
    expect(await textToEnd(whole)).toEndWith("\r\n\r\nserved");
    for (const request of [get, get.replace("GET", "attach")]) {
      const slow = await openNameless(here.port);
      const answer = textToEnd(slow);
      for (const piece of [request.slice(0, 1), request.slice(1, 5), request.slice(5)]) {
        slow.write(piece);
        await Bun.sleep(20);
      }
      expect(await answer).toEndWith("\r\n\r\nserved");
    }
    const http2 = await openNameless(here.port, { ALPNProtocols: ["h2"] });
    http2.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    expect(http2.alpnProtocol).toBe("h2");
    expect(await hears(http2, "\x04")).not.toContain("HTTP/1.1");
    http2.destroy();
  });

  test("is told 400 or 408 for what is neither a request nor like a secret", async () => {
    await using here = await startRendezvous(echo, { headMs: 1_000 });
    for (const [said, status] of [
      ["nonsense\r\n\r\n", "400"],
      ["GET / HT", "408"],
    ] as const) {
      const client = await openNameless(here.port);
      client.write(said);
      expect(await textToEnd(client)).toStartWith(`HTTP/1.1 ${status} `);
    }
  });
});

describe("a secret's line", () => {
  test("makes a tunnel to the platform, with the bytes that came along, in whatever pieces", async () => {
    await using here = await startRendezvous(echo);
    const whole = await openNameless(here.port);
    whole.write(`${line}early`);
    expect(await hears(whole, "early")).toBe(`${line}early`);
    whole.write("later");
    await hears(whole, "later");
    whole.destroy();
    const slow = await openNameless(here.port);
    const heard = hears(slow, "\n");
    for (const piece of [line.slice(0, 3), line.slice(3, 20), line.slice(20, 51), line.slice(51)]) {
      slow.write(piece);
      await Bun.sleep(10);
    }
    expect(await heard).toBe(line);
    slow.destroy();
  });

  test("is nothing on a connection that names a server, and nothing over plain HTTP", async () => {
    await using here = await startRendezvous(echo, { headMs: 100 });
    const named = await openTls(here.port);
    named.write(`${line}\r\n`);
    expect(await textToEnd(named)).toStartWith("HTTP/1.1 400 ");
    expect(await here.router.ask(`${line}\r\n`)).toStartWith("HTTP/1.1 400 ");
    expect(here.sockets.size).toBe(0);
  });

  test("that does not come to its end is cut off as a slow head is, a silent client as an idle one", async () => {
    await using here = await startRendezvous(echo, { headMs: 150, keepAliveMs: 150, lingerMs: 50 });
    const silent = await openNameless(here.port);
    expect(await textToEnd(silent)).toBe("");
    const trickling = await openNameless(here.port);
    const said = textToEnd(trickling);
    let at = 0;
    const timer = setInterval(() => {
      if (at < line.length - 2) trickling.write(line[at++]!);
    }, 20);
    expect(await said).toBe("");
    clearInterval(timer);
    expect(at).toBeLessThan(line.length - 2);
    expect(here.sockets.size).toBe(0);
  });

  test("of another form, or one that the platform does not know, is closed without a word", async () => {
    let met = 0;
    await using here = await startRendezvous((socket) => {
      met++;
      socket.once("data", () => socket.destroy());
    });
    for (const bad of ["attach:guess\r\n", `${secretWord("x".repeat(5_000))}\r\n`]) {
      const client = await openNameless(here.port);
      client.write(bad);
      expect(await textToEnd(client)).toBe("");
    }
    expect(met).toBe(0);
    const wrong = await openNameless(here.port);
    wrong.write(line);
    expect(await textToEnd(wrong)).toBe("");
    expect(met).toBe(1);
  });

  test("is closed while the server is away, or has no rendezvous, and opens when it is back", async () => {
    await using here = await startRendezvous(echo, { connectMs: 200 });
    here.stop();
    const away = await openNameless(here.port);
    away.write(line);
    expect(await textToEnd(away)).toBe("");
    await here.start();
    const back = await openNameless(here.port);
    back.write(line);
    expect(await hears(back, "\n")).toBe(line);
    const cut = textToEnd(back);
    here.stop();
    expect(await cut).toBe("");
    await here.router.put({ ...here.table, certificates: [here.certificate] });
    const none = await openNameless(here.port);
    none.write(line);
    expect(await textToEnd(none)).toBe("");
  });
});

describe("its tunnel", () => {
  test("passes on the end of either side, and what the other still has to say", async () => {
    await using here = await startRendezvous((socket) => {
      socket.resume();
      socket.on("end", () => setTimeout(() => socket.end("last words"), 50));
    });
    const client = await openNameless(here.port, { allowHalfOpen: true } as never);
    const heard = textToEnd(client);
    client.end(line);
    expect(await heard).toBe("last words");
  });

  test("ends at the platform when the client breaks off", async () => {
    await using here = await startRendezvous(echo);
    const client = await openNameless(here.port);
    client.write(line);
    await hears(client, "\n");
    client.destroy();
    while (here.sockets.size > 0) {
      for (const socket of here.sockets) if (socket.readableEnded) socket.end();
      await Bun.sleep(5);
    }
  });

  test("takes from neither side more than the other takes", async () => {
    const bytes = 64 * 1024 * 1024;
    let sent = 0;
    let received = 0;
    let isReading = false;
    await using here = await startRendezvous((socket) => {
      const piece = Buffer.alloc(64 * 1024, "x");
      const fill = () => {
        while (sent < bytes) {
          sent += piece.length;
          if (!socket.write(piece)) return;
        }
        socket.end();
      };
      socket.on("drain", fill);
      socket.once("data", fill);
      socket.on("data", (part: Buffer) => (received += part.length));
      const timer = setInterval(() => (isReading ? socket.resume() : socket.pause()), 5);
      socket.on("close", () => clearInterval(timer));
    });
    const client = await openNameless(here.port);
    client.pause();
    client.write(line);
    const piece = Buffer.alloc(64 * 1024, "y");
    let given = 0;
    const give = () => {
      while (given < bytes) {
        given += piece.length;
        if (!client.write(piece)) return;
      }
    };
    client.on("drain", give);
    await Bun.sleep(100);
    give();
    await Bun.sleep(500);
    const held = { down: sent, up: given };
    await Bun.sleep(300);
    expect({ down: sent, up: given }).toEqual(held);
    expect(sent).toBeLessThan(bytes / 2);
    expect(given).toBeLessThan(bytes / 2);
    isReading = true;
    let heard = 0;
    client.on("data", (part: Buffer) => (heard += part.length));
    client.resume();
    while (heard < bytes || received < line.length + bytes) await Bun.sleep(10);
    expect([heard, received]).toEqual([bytes, line.length + bytes]);
    client.destroy();
  });
});

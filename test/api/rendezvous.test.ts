import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import {
  type Rendezvous,
  rendezvousBehindRouter,
  rendezvousOnLoopback,
} from "../../src/api/rendezvous.ts";
import { waitingDynos } from "../../src/api/resources/dynos.ts";
import { selfSignedCertificate } from "../../src/certs/self-signed.ts";
import { secretWord } from "../../src/lib/secret-line.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";
import { startTlsRouter } from "../router/tls-fixture.ts";

type Take = Parameters<typeof rendezvousOnLoopback>[0]["take"];
interface Place {
  open: (take: Take) => Rendezvous;
  close: () => PromiseLike<void>;
}

/** Both ways in, with the same certificate; the second one has a real router before it. */
const ways: Record<string, (folder: string) => Promise<Place>> = {
  "on the loopback": async (folder) => ({
    open: (take) =>
      rendezvousOnLoopback({
        ...{ hostname: "api.localhost", take },
        certificate: () => selfSignedCertificate(folder, "localhost"),
      }),
    close: () => Promise.resolve(),
  }),
  async "behind the router"(folder) {
    const { router } = await startTlsRouter();
    const socketPath = join(folder, "rendezvous.sock");
    // As if left by a server that was killed.
    writeFileSync(socketPath, "");
    await router.put({
      certificates: [await selfSignedCertificate(folder, "localhost")],
      rendezvous: { host: "api.localhost", socket: socketPath },
    });
    return {
      open: (take) =>
        rendezvousBehindRouter({
          ...{ socketPath, hostname: "api.localhost", port: router.httpsPort!, take },
        }),
      close: () => router[Symbol.asyncDispose](),
    };
  },
};

async function start(way: keyof typeof ways) {
  const folder = mkdtempSync(join(tmpdir(), "stator-rendezvous-"));
  const place = await ways[way]!(folder);
  let rendezvous: Rendezvous | undefined;
  const served = serveLocalPlatform({}, (platform) => {
    const waiting = waitingDynos(platform);
    rendezvous = place.open((secret) => waiting.take(secret));
    return { places: { waiting, rendezvousOf: rendezvous.addressOf } };
  });
  const app = await served.platform.createApp({ name: "shop", user: served.account });
  return {
    ...{ served, app, folder },
    rendezvous: rendezvous!,
    ca: () => readFileSync(join(folder, "localhost.pem"), "utf8"),
    /** What Heroku's command line asks for. */
    async order(command: string, more: Record<string, unknown> = {}) {
      const body = JSON.stringify({ command, attach: true, ...more });
      const response = await served.ask("/apps/shop/dynos", { method: "POST", body });
      const answer = (await response.json()) as { attach_url: string; id: string };
      return { status: response.status, ...answer, url: URL.parse(answer.attach_url ?? "") };
    },
    async stop() {
      rendezvous?.close();
      await place.close();
      await served.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** As its client does it: no SNI, the first piece is thrown away. */
function attachTo(url: URL | null, ca: string, input: (string | Uint8Array)[] = []) {
  const socket: TLSSocket = connect(
    { host: "127.0.0.1", port: Number(url?.port), ca, checkServerIdentity: () => undefined },
    () => {
      socket.write(`${url?.pathname.slice(1)}${url?.search}\r\n`);
      for (const one of input) socket.write(one);
    },
  );
  const pieces: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => pieces.push(bytes));
  socket.on("error", () => {});
  const output = () => Buffer.concat(pieces.slice(1));
  return {
    socket,
    output,
    ended: new Promise<Buffer>((resolve) => socket.on("close", () => resolve(output()))),
    first: async () => {
      while (pieces.length === 0) await Bun.sleep(5);
      return pieces[0]?.toString();
    },
    heard: async (text: string) => {
      while (!output().toString().includes(text)) await Bun.sleep(5);
    },
  };
}

describe.each(Object.keys(ways))("%s", (way) => {
  let here: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    here = await start(way);
    await here.rendezvous.ensure();
    await here.rendezvous.ensure();
  });
  afterAll(() => here.stop());
  const order: (typeof here)["order"] = (...order) => here.order(...order);
  const attach = (url: URL | null, input: (string | Uint8Array)[] = []) =>
    attachTo(url, here.ca(), input);

  test("before anybody listens, an attached dyno is refused with the way out", async () => {
    const early = await start(way);
    const refused = (await early.order("true")) as unknown as { status: number; message: string };
    expect(refused.status).toBe(503);
    expect(refused.message).toContain("--https PORT");
    expect(early.served.platform.listDynos(early.app)).toEqual([]);
    await early.stop();
  });

  test("the address is TLS with the certificate of its name, and the greeting comes alone", async () => {
    const { status, attach_url: address, url } = await order("echo hello; exit 3");
    expect(status).toBe(201);
    expect(address).toMatch(/^rendezvous:\/\/api\.localhost:\d+\/attach:[\w-]{43}$/);
    const client = attach(url);
    expect(await client.first()).toBe("rendezvous\r\n");
    expect(client.socket.authorized).toBe(true);
    expect(client.socket.getPeerCertificate().subjectaltname).toContain("DNS:api.localhost");
    expect((await client.ended).toString().trim()).toBe("hello");
  });

  test("input that comes before the program runs is not lost, and a terminal knows its end", async () => {
    const { url } = await order("cat; echo end", { env: { COLUMNS: "81", LINES: "25" } });
    const client = attach(url, ["early words\r", "\u0004"]);
    const text = (await client.ended).toString();
    expect(text).toContain("early words");
    expect(text).toContain("end");
  });

  test("a terminal has the size of the variables", async () => {
    const { url } = await order("stty size", { env: { COLUMNS: "101", LINES: "33" } });
    expect((await attach(url).ended).toString()).toContain("33 101");
  });

  test("without a terminal bytes go as they are, the byte of the end within them too, and at last it ends", async () => {
    const { url } = await order("od -An -tx1; echo done", { force_no_tty: true });
    const client = attach(url, [Buffer.of(0, 4, 255, 4, 13, 10), Buffer.of(4)]);
    await Bun.sleep(600);
    client.socket.write(Buffer.of(4));
    expect((await client.ended).toString()).toBe(" 00 04 ff 04 0d 0a\ndone\n");
  });

  test("60 MB arrive whole", async () => {
    const { url } = await order("head -c 60000000 /dev/zero", { force_no_tty: true });
    expect((await attach(url).ended).length).toBe(60_000_000);
  });

  test("a secret opens once, a wrong one never, and noise gets nothing", async () => {
    const { url } = await order("sleep 5", { force_no_tty: true });
    const first = attach(url);
    expect(await first.first()).toBe("rendezvous\r\n");
    expect((await attach(url).ended).length).toBe(0);
    const unknown = randomBytes(32).toString("base64url");
    for (const wrong of [secretWord(unknown), secretWord("guess"), secretWord("x".repeat(5000))])
      expect((await attach(new URL(`/${wrong}`, url ?? "")).ended).length).toBe(0);
    first.socket.destroy();
  });

  test("a client that leaves takes the program with it", async () => {
    const { url, id } = await order("sleep 30", { force_no_tty: true });
    const client = attach(url);
    await client.first();
    await Bun.sleep(400);
    client.socket.destroy();
    const isThere = () => here.served.platform.listDynos(here.app).some((dyno) => dyno.id === id);
    for (let tries = 0; tries < 100 && isThere(); tries++) await Bun.sleep(20);
    expect(isThere()).toBe(false);
  });

  test("a client gives no more than its program takes, and all of it in the end", async () => {
    const [go, bytes] = [join(here.folder, "go"), 100 * 1024 * 1024];
    // Not for ever, so that it is gone also when this fails.
    const command = `for turn in $(seq 300); do test -e ${go} && break; sleep 0.05; done; wc -c`;
    const { url } = await order(command, { force_no_tty: true });
    const client = attach(url);
    await client.first();
    const piece = Buffer.alloc(256 * 1024, "x");
    let given = 0;
    const give = async () => {
      for (; given < bytes; given += piece.length)
        if (!client.socket.write(piece))
          await new Promise((resolve) => client.socket.once("drain", resolve));
      client.socket.write(Buffer.of(4));
    };
    const giving = give();
    for (let before = -1; before < given; await Bun.sleep(500)) before = given;
    const givenBefore = given;
    writeFileSync(go, "");
    expect(givenBefore).toBeLessThan(bytes / 2);
    await giving;
    expect((await client.ended).toString().trim()).toBe(String(bytes));
  });
});

test("the socket that the router comes to is for its own user alone, and gone after the server", async () => {
  const here = await start("behind the router");
  await here.rendezvous.ensure();
  const path = join(here.folder, "rendezvous.sock");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await here.stop();
  expect(() => statSync(path)).toThrow();
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { type Rendezvous, rendezvousOnLoopback } from "../../src/api/rendezvous.ts";
import { waitingDynos } from "../../src/api/resources/dynos.ts";
import { selfSignedCertificate } from "../../src/certs/self-signed.ts";
import type { App } from "../../src/model/app.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
let rendezvous: Rendezvous;
let app: App;
let folder = "";
let ca = "";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stator-rendezvous-"));
  served = serveLocalPlatform({}, (platform) => {
    const waiting = waitingDynos(platform);
    rendezvous = rendezvousOnLoopback({
      hostname: "api.localhost",
      certificate: () => selfSignedCertificate(folder, "localhost"),
      take: (secret) => waiting.take(secret),
    });
    return { places: { waiting, rendezvousOf: rendezvous.addressOf } };
  });
  app = await served.platform.createApp({ name: "shop", user: served.account });
});
afterAll(async () => {
  rendezvous.close();
  await served.stop();
  rmSync(folder, { recursive: true });
});

/** What Heroku's command line asks for. */
async function order(command: string, more: Record<string, unknown> = {}) {
  const body = JSON.stringify({ command, attach: true, ...more });
  const response = await served.ask("/apps/shop/dynos", { method: "POST", body });
  const answer = (await response.json()) as { attach_url: string; id: string };
  return { status: response.status, ...answer, url: URL.parse(answer.attach_url ?? "") };
}

/** As its client does it: no SNI, the first piece is thrown away. */
function attach(url: URL | null, input: (string | Uint8Array)[] = []) {
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

test("before anybody listens, an attached dyno is refused with the way out", async () => {
  const refused = (await order("true")) as unknown as { status: number; message: string };
  expect(refused.status).toBe(503);
  expect(refused.message).toContain("--https PORT");
  expect(served.platform.listDynos(app)).toEqual([]);
});

test("the address is TLS with the certificate of its name, and the greeting comes alone", async () => {
  await rendezvous.ensure();
  await rendezvous.ensure();
  ca = readFileSync(join(folder, "localhost.pem"), "utf8");
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
}, 30_000);

test("a secret opens once, a wrong one never, and noise gets nothing", async () => {
  const { url } = await order("sleep 5", { force_no_tty: true });
  const first = attach(url);
  expect(await first.first()).toBe("rendezvous\r\n");
  expect((await attach(url).ended).length).toBe(0);
  const wrong = new URL(url?.href ?? "");
  wrong.pathname = "/guess";
  expect((await attach(wrong).ended).length).toBe(0);
  const long = new URL(url?.href ?? "");
  long.pathname = `/${"x".repeat(5000)}`;
  expect((await attach(long).ended).length).toBe(0);
  first.socket.destroy();
});

test("a client that leaves takes the program with it", async () => {
  const { url, id } = await order("sleep 30", { force_no_tty: true });
  const client = attach(url);
  await client.first();
  await Bun.sleep(400);
  client.socket.destroy();
  const isThere = () => served.platform.listDynos(app).some((dyno) => dyno.id === id);
  for (let tries = 0; tries < 100 && isThere(); tries++) await Bun.sleep(20);
  expect(isThere()).toBe(false);
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { reach } from "../../src/api/client.ts";
import type { App } from "../../src/model/app.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
let app: App;
beforeAll(async () => {
  served = serveLocalPlatform();
  app = await served.platform.createApp({ name: "shop", user: served.account });
});
afterAll(() => served.stop());

async function order(
  command: string,
  more: Record<string, unknown> = {},
  at: Pick<typeof served, "ask" | "apiUrl"> = served,
): Promise<string> {
  const body = JSON.stringify({ command, attach: true, force_no_tty: true, ...more });
  const headers = { Accept: "application/vnd.heroku+json; version=3.stator" };
  const response = await at.ask("/apps/shop/dynos", { method: "POST", body, headers });
  expect(response.status).toBe(201);
  const { attach_url: url } = (await response.json()) as { attach_url: string };
  expect(url).toStartWith(`${at.apiUrl.replace("http", "ws")}/attach/`);
  return url;
}

function attach(address: string, authorization = `Bearer ${served.token}`) {
  const { url, headers } = reach(address);
  const socket = new WebSocket(url, {
    headers: { ...headers, Authorization: authorization },
  } as never);
  socket.binaryType = "arraybuffer";
  const chunks: Uint8Array[] = [];
  const controls: unknown[] = [];
  socket.addEventListener("message", ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (typeof data === "string") controls.push(JSON.parse(data));
    else chunks.push(new Uint8Array(data));
  });
  return {
    socket,
    opened: new Promise<boolean>((resolve) => {
      socket.addEventListener("open", () => resolve(true));
      socket.addEventListener("close", () => resolve(false));
    }),
    heard: async (text: string) => {
      while (!Buffer.concat(chunks).toString().includes(text)) await Bun.sleep(5);
    },
    ended: new Promise<{ output: Buffer; controls: unknown[] }>((resolve) =>
      socket.addEventListener("close", () => resolve({ output: Buffer.concat(chunks), controls })),
    ),
  };
}

test("bytes go both ways, the end of input too, and the exit status comes last", async () => {
  const { socket, opened, ended } = attach(await order("cat; exit 7"));
  expect(await opened).toBe(true);
  socket.send(Buffer.from([0, 1, 2, 255]));
  socket.send(JSON.stringify({ nonsense: true }));
  socket.send("no json");
  socket.send(JSON.stringify({ eof: true }));
  const { output, controls } = await ended;
  expect([...output]).toEqual([0, 1, 2, 255]);
  expect(controls).toEqual([{ exit: 7 }]);
});

test("output that no socket buffer holds arrives whole", async () => {
  const { ended } = attach(await order("head -c 60000000 /dev/zero"));
  expect((await ended).output.length).toBe(60_000_000);
});

test("a terminal has the size that the client says, then and later", async () => {
  const env = { COLUMNS: "101", LINES: "33" };
  const address = await order("stty size; read line; stty size", { force_no_tty: false, env });
  const { socket, opened, ended, heard } = attach(address);
  await opened;
  await heard("33 101");
  socket.send(JSON.stringify({ resize: { columns: 77, lines: 22 } }));
  socket.send(Buffer.from("\r"));
  expect((await ended).output.toString()).toContain("22 77");
});

test("an address opens once, and only with a token", async () => {
  const address = await order("sleep 5");
  expect(await attach(address, "Bearer wrong").opened).toBe(false);
  const first = attach(address);
  expect(await first.opened).toBe(true);
  expect(await attach(address).opened).toBe(false);
  const plain = await served.ask(new URL(address).pathname);
  expect(plain.status).toBe(400);
  first.socket.close();
});

test("a client that leaves takes the process with it", async () => {
  const { socket, opened } = attach(await order("sleep 30"));
  await opened;
  const running = () =>
    served.platform.listDynos(app).filter((dyno) => dyno.command === "sleep 30");
  expect(running()).toHaveLength(1);
  socket.close();
  for (let tries = 0; tries < 100 && running().length > 0; tries++) await Bun.sleep(10);
  expect(running()).toHaveLength(0);
});

test("nobody comes: R13 in the log", async () => {
  const impatient = serveLocalPlatform({ attachLimitMs: 300 });
  const { platform, account } = impatient;
  const shop = await platform.createApp({ name: "shop", user: account });
  const address = await order("sleep 5", {}, impatient);
  const said = async () =>
    (await platform.logs.read(shop.id, { lines: 1, source: "heroku" }))[0]?.message ?? "";
  while (!(await said()).startsWith("Error")) await Bun.sleep(20);
  expect(await said()).toBe("Error R13 (Attach error) -> Failed to attach to process");
  expect(await attach(address, `Bearer ${impatient.token}`).opened).toBe(false);
  await impatient.stop();
});

import { afterEach, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { pssMegabytes } from "../bench/processes.ts";
import { serveApp } from "../helpers/serve-app.ts";
import { probeFiles, until } from "../helpers/stator-server.ts";

const tails = 1000;
const { stator, app } = await serveApp(
  probeFiles("1", {
    Procfile:
      'web: node server.js 1\nloud: node -e \'const fill = "x".repeat(900); let n = 0; setInterval(() => { for (let i = 0; i < 40; i++) console.log("line " + ++n + " " + fill) }, 20)\'\n',
  }),
);
const memory = () => Math.round(pssMegabytes(stator.pid));

async function openSession(): Promise<string> {
  const { logplex_url: url } = await app.api<{ logplex_url: string }>("POST", "/log-sessions", {
    ...{ tail: true, lines: 1, source: "app" },
  });
  return new URL(url).pathname;
}

/** A reader of a log session by a bare socket, which can stop to read. */
function openTail(path: string): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect(stator.port, "127.0.0.1", () => {
    socket.write(`GET ${path} HTTP/1.1\r\nHost: api.localhost:${stator.port}\r\n\r\n`);
    resolve(socket);
  });
  socket.once("error", reject);
  opened.push(socket);
  return promise;
}

const opened: Socket[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
});

test("1,000 tails at once hear every line; all are let go", async () => {
  const before = memory();
  const heard = new Map<Socket, string>();
  const paths: string[] = [];
  while (paths.length < tails)
    paths.push(...(await Promise.all(Array.from({ length: 50 }, openSession))));
  for (const path of paths) {
    const socket = await openTail(path);
    heard.set(socket, "");
    socket.on("data", (bytes) => heard.set(socket, heard.get(socket) + String(bytes)));
  }
  const count = (text: string) => [...heard.values()].filter((all) => all.includes(text)).length;
  await until("all are open", () =>
    [...heard.values()].every((all) => all.startsWith("HTTP/1.1 200")),
  );
  const lines = Array.from({ length: 20 }, (_, index) => `news-${index}-end`);
  for (const line of lines) await app.get(`/log/${line}`);
  await until("all have heard the last", () => count(lines.at(-1) ?? "") === tails);
  for (const line of lines) expect(count(line)).toBe(tails);
  const during = memory();
  for (const socket of heard.keys()) socket.destroy();
  const answer = await app.get("/log/after");
  expect(answer.status).toBe(200);
  process.stdout.write(
    `memory of the server: ${before} MB, with ${tails} tails ${during} MB, after them ${memory()} MB\n`,
  );
  expect(during - before).toBeLessThan(400);
});

test("L11: a slow reader loses lines and is told of it; the others lose none", async () => {
  const [slow, quick] = await Promise.all(
    [await openSession(), await openSession()].map((path) => openTail(path)),
  );
  if (!slow || !quick) throw new Error("no tails");
  let all = "";
  quick.on("data", (bytes) => (all += String(bytes)));
  slow.pause();
  await app.api("PATCH", "/formation", { updates: [{ type: "loud", quantity: 1 }] });
  const newest = () => Number([...all.matchAll(/line (\d+) x/g)].at(-1)?.[1] ?? 0);
  await until("much was said", () => newest() > 25_000);
  let late = "";
  slow.on("data", (bytes) => (late += String(bytes)));
  slow.resume();
  await until("the slow one is told", () => late.includes("Error L11 (Tail buffer overflow)"));
  await app.api("PATCH", "/formation", { updates: [{ type: "loud", quantity: 0 }] });
  const [, dropped] = /This tail session dropped (\d+) messages since/.exec(late) ?? [];
  expect(Number(dropped)).toBeGreaterThan(1000);
  expect(all).not.toContain("Error L1");
  const numbers = [...all.matchAll(/line (\d+) x/g)].map(([, number]) => Number(number));
  expect(numbers.findIndex((number, index) => number !== (numbers[0] ?? 0) + index)).toBe(-1);
});

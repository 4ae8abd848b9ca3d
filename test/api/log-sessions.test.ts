import { afterAll, beforeAll, expect, test } from "bun:test";
import type { App } from "../../src/model/app.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
let app: App;
const at = "2024-05-01T12:00:00.123456+00:00";
const say = (message: string, dyno = "web.1", source: "app" | "heroku" = "app") =>
  served.platform.logs.write(app.id, { at, source, dyno, message });
beforeAll(async () => {
  served = serveLocalPlatform();
  app = await served.platform.createApp({ name: "shop", user: served.account });
  for (let number = 1; number <= 150; number++) say(`line ${number}`);
  say("Starting process", "worker.1", "heroku");
});
afterAll(() => served.stop());

async function openSession(order: Record<string, unknown>): Promise<string> {
  const body = JSON.stringify(order);
  const response = await served.ask("/apps/shop/log-sessions", { method: "POST", body });
  expect(response.status).toBe(201);
  const { logplex_url: url } = (await response.json()) as { logplex_url: string };
  expect(url).toStartWith(`${served.apiUrl}/log-streams/`);
  return url.replace(served.apiUrl, served.url);
}

const linesOf = async (order: Record<string, unknown>) =>
  (await (await fetch(await openSession(order))).text()).trimEnd().split("\n");

test("100 lines by default, as text, to whoever has the address", async () => {
  const lines = await linesOf({});
  expect(lines).toHaveLength(100);
  expect(lines.slice(-2)).toEqual([
    `${at} app[web.1]: line 150`,
    `${at} heroku[worker.1]: Starting process`,
  ]);
});

test("lines, source and dyno choose; numbers may be strings, and end at 1500", async () => {
  expect(await linesOf({ lines: "2", source: "app" })).toEqual([
    `${at} app[web.1]: line 149`,
    `${at} app[web.1]: line 150`,
  ]);
  expect(await linesOf({ dyno: "worker" })).toEqual([`${at} heroku[worker.1]: Starting process`]);
  expect(await linesOf({ lines: 9999 })).toHaveLength(151);
  const body = JSON.stringify({ source: "me" });
  expect((await served.ask("/apps/shop/log-sessions", { method: "POST", body })).status).toBe(422);
});

test("an EventSource gets events", async () => {
  const headers = { Accept: "text/event-stream" };
  const response = await fetch(await openSession({ lines: 1 }), { headers });
  expect(response.headers.get("Content-Type")).toBe("text/event-stream");
  expect(await response.text()).toBe(`data: ${at} heroku[worker.1]: Starting process\n\n`);
});

test("tail goes on with what is said next, and lets go when the reader leaves", async () => {
  const abort = new AbortController();
  const response = await fetch(await openSession({ lines: 1, tail: true, source: "app" }), {
    signal: abort.signal,
  });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const next = async () => Buffer.from((await reader.read()).value ?? []).toString();
  expect(await next()).toBe(`${at} app[web.1]: line 150\n`);
  say("not this", "web.1", "heroku");
  say("new");
  expect(await next()).toBe(`${at} app[web.1]: new\n`);
  abort.abort();
});

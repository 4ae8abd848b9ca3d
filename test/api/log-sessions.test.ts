import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import type { App } from "../../src/model/app.ts";
import { timeOf } from "../../src/api/resources/log-sessions.ts";
import { logTime } from "../../src/logs/log-line.ts";
import { createAccount } from "../../src/model/account.ts";
import { addCollaborator, removeCollaborator } from "../../src/model/collaborator.ts";
import { createToken, deleteToken, openToken } from "../../src/model/token.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
let app: App;
const json = {
  Accept: "application/vnd.heroku+json; version=3",
  "Content-Type": "application/json",
};
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

test("an address opens nothing once who asked for it is out: the token revoked, or no collaborator any more", async () => {
  const { database } = served.platform;
  const friend = createAccount(database, "friend@example.com");
  addCollaborator(database, app, friend);
  const opened = async (change: (tokenId: string) => void) => {
    const token = createToken(database, { account: friend, description: "" });
    const headers = { ...json, Authorization: `Bearer ${token}` };
    const ask = { method: "POST", body: "{}", headers };
    const session = await fetch(`${served.url}/apps/shop/log-sessions`, ask);
    const { logplex_url: url } = (await session.json()) as { logplex_url: string };
    const here = url.replace(served.apiUrl, served.url);
    const before = (await fetch(here)).status;
    change(openToken(database, token)?.token.id ?? "");
    return [before, (await fetch(here)).status];
  };
  expect(await opened(() => {})).toEqual([200, 200]);
  expect(await opened((id) => deleteToken(database, { id }))).toEqual([200, 404]);
  expect(await opened(() => removeCollaborator(database, app, friend.id))).toEqual([200, 404]);
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

test("since, grep and ignore_case choose; what cannot be understood is refused with the way out", async () => {
  const now = logTime();
  served.platform.logs.write(app.id, { at: now, source: "app", dyno: "web.1", message: "Timeout" });
  expect(await linesOf({ since: "10m" })).toEqual([`${now} app[web.1]: Timeout`]);
  expect(await linesOf({ since: now })).toHaveLength(1);
  expect(await linesOf({ since: "2024-05-01" })).toHaveLength(152);
  expect(await linesOf({ grep: "line 15" })).toEqual([
    `${at} app[web.1]: line 15`,
    `${at} app[web.1]: line 150`,
  ]);
  expect(await linesOf({ grep: "timeout", ignore_case: true })).toHaveLength(1);
  for (const [wrong, message] of [
    [{ since: "soon" }, "since: must be a time as 10m, 2h, 3d or 2026-05-01T12:00:00Z"],
    [{ since: "2026-13-45" }, "since: must be a time as 10m, 2h, 3d or 2026-05-01T12:00:00Z"],
    [{ grep: "" }, "grep: must not be empty"],
    [{ grep: "a\nb" }, "grep: must be one line"],
    [{ format: "xml" }, "format: must be text or json"],
  ] as const) {
    const body = JSON.stringify(wrong);
    const refused = await served.ask("/apps/shop/log-sessions", { method: "POST", body });
    expect(refused.status).toBe(422);
    expect(await refused.json()).toEqual({ id: "invalid_params", message });
  }
});

test("times before now, and ISO times", () => {
  const now = Date.parse("2026-05-10T12:00:00Z");
  const iso = (text: string) => timeOf(text, now)?.toISOString();
  expect(iso("90s")).toBe("2026-05-10T11:58:30.000Z");
  expect(iso("2h")).toBe("2026-05-10T10:00:00.000Z");
  expect(iso("1w")).toBe("2026-05-03T12:00:00.000Z");
  expect(iso("2026-05-01")).toBe("2026-05-01T00:00:00.000Z");
  expect(iso("2026-05-01T12:30")).toBe("2026-05-01T12:30:00.000Z");
  expect(iso("2026-05-01T12:30:00.5+02:00")).toBe("2026-05-01T10:30:00.500Z");
  for (const text of ["", "10", "m", "-1h", "yesterday", "2026-05-01T99:00Z"])
    expect(timeOf(text, now)).toBeUndefined();
});

test("JSON lines tell the stream", async () => {
  served.platform.logs.write(app.id, {
    at,
    source: "app",
    dyno: "x.1",
    stream: "stderr",
    message: "e",
  });
  const [line = ""] = await linesOf({ dyno: "x", format: "json" });
  expect(JSON.parse(line)).toEqual({
    at,
    source: "app",
    dyno: "x.1",
    stream: "stderr",
    message: "e",
  });
});

test("a reader who comes back with the id of its last line goes on there", async () => {
  const url = await openSession({ lines: 2, source: "app", dyno: "web" });
  const events = { Accept: "text/event-stream" };
  const [first = ""] = (await (await fetch(url, { headers: events })).text()).split("\n\n");
  const [, id = ""] = /^id: (.*)$/m.exec(first) ?? [];
  for (let number = 0; number < 2000; number++) say(`more ${number}`);
  const again = await fetch(url, { headers: { ...events, "Last-Event-ID": id } });
  const lines = (await again.text()).match(/^data: .*$/gm) ?? [];
  expect(lines).toHaveLength(2001);
  expect(lines[0]).toEndWith("Timeout");
  expect(lines[2000]).toEndWith("more 1999");
});

test("an EventSource gets events", async () => {
  const headers = { Accept: "text/event-stream" };
  const response = await fetch(await openSession({ lines: 1, source: "heroku" }), {
    headers,
  });
  expect(response.headers.get("Content-Type")).toBe("text/event-stream");
  expect(await response.text()).toMatch(
    /^id: \d+\.\d+~[\w-]{43}\ndata: \S+ heroku\[worker\.1\]: Starting process\n\n$/,
  );
});

test("tail goes on with what is said next, and lets go when the reader leaves", async () => {
  const abort = new AbortController();
  say("line 150");
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

const overflow =
  /heroku\[logplex\]: Error L11 \(Tail buffer overflow\) -> This tail session dropped (\d+) messages since \S+\n/g;

test("a reader who is stuck loses lines and is told how many; 199 others miss none", async () => {
  const loud = await served.platform.createApp({ name: "loud", user: served.account });
  const body = JSON.stringify({ lines: 1, tail: true });
  const sessions = await served.ask("/apps/loud/log-sessions", { method: "POST", body });
  const { logplex_url: address } = (await sessions.json()) as { logplex_url: string };
  const url = address.replace(served.apiUrl, served.url);
  const abort = new AbortController();
  const started = Promise.withResolvers<void>();
  const count = 300;
  // All that the 199 get has room in the server, however late they read.
  const speak = (number: number, length = 1000) =>
    served.platform.logs.write(loud.id, {
      at: logTime(),
      source: "app",
      dyno: "web.1",
      message: `${number} ${"x".repeat(length)}`,
    });
  speak(-1);
  let begun = 0;
  const readers = Array.from({ length: 199 }, async () => {
    const response = await fetch(url, { signal: abort.signal });
    const numbers: number[] = [];
    let rest = "";
    for await (const chunk of response.body as ReadableStream<Uint8Array>) {
      const lines = (rest + Buffer.from(chunk).toString()).split("\n");
      rest = lines.pop() ?? "";
      if (numbers.length === 0 && ++begun === 199) started.resolve();
      for (const line of lines) numbers.push(Number(/\]: (-?\d+) x/.exec(line)?.[1]));
      if (numbers.at(-1) === count - 1) break;
    }
    return numbers;
  });
  // A client that asks, and then reads nothing.
  const { hostname, port } = new URL(url);
  let received = "";
  const stuck = connect(Number(port), hostname);
  stuck.write(`GET ${new URL(url).pathname} HTTP/1.1\r\nHost: x\r\n\r\n`);
  stuck.on("data", (bytes) => (received += bytes.toString()));
  await new Promise<void>((resolve) => stuck.once("data", () => resolve()));
  stuck.pause();
  await started.promise;
  for (let number = 0; number < count; number++) {
    speak(number);
    if (number % 10 === 0) await Bun.sleep(30);
  }
  const expected = Array.from({ length: count + 1 }, (_, index) => index - 1);
  for (const numbers of await Promise.all(readers)) expect(numbers).toEqual(expected);
  // It had room for some of it; far more than that must not pile up in the server.
  for (let number = 0; number < 2000; number++) {
    speak(count + number, 9000);
    if (number % 50 === 0) await Bun.sleep(20);
  }
  stuck.resume();
  // Without the lengths of HTTP's chunks, which may stand inside a line.
  const text = () => received.replaceAll(/\r\n[0-9a-f]+\r\n/g, "");
  const got = () => (text().match(/app\[web\.1\]: -?\d+ x/g) ?? []).length;
  const dropped = () =>
    [...text().matchAll(overflow)].reduce((sum, [, number]) => sum + Number(number), 0);
  // Each line was given to it, or counted.
  while (got() + dropped() < count + 2001) await Bun.sleep(200);
  expect(got() + dropped()).toBe(count + 2001);
  expect(dropped()).toBeGreaterThan(0);
  stuck.destroy();
  abort.abort();
});

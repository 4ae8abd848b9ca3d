import { heapStats } from "bun:jsc";
import type { z } from "zod";
import { listRoutes, type Route } from "../../src/api/route-facts.ts";
import { createToken } from "../../src/model/token.ts";
import { brokenText, oddText, type Random, seededRandom, valueOf } from "./fuzz.ts";
import { serveLocalPlatform } from "./local-platform.ts";

/** No answer after so long is none; nothing here takes a second. */
const hangMs = 20_000;
const atATime = 8;
/** So that lists stay short. */
const cleanEvery = 2000;

interface Answer {
  request: string;
  status: number;
  problem?: string;
}

/** Asks every route again and again for what it takes, what it nearly takes, and nonsense. */
export async function fuzzApi({ requests, seed }: { requests: number; seed: number }) {
  const random = seededRandom(seed);
  const served = serveLocalPlatform(
    { attachLimitMs: 50, requestsPerHour: 1e9 },
    // Programs of chance must not run on this machine.
    (platform) => {
      const real = { ...platform };
      const harmless = { command: "true", environment: {} };
      platform.runDetached = (app, order) => real.runDetached(app, { ...order, ...harmless });
      platform.runAttached = (app, order) => real.runAttached(app, { ...order, ...harmless });
      platform.runInside = (app, order) => real.runInside(app, { ...order, ...harmless });
      return {};
    },
  );
  const { platform, account } = served;
  const newToken = () => createToken(platform.database, { account, description: "fuzz" });
  const app = await platform.createApp({ name: "shop", user: account });
  served.deploy(app, { web: "npm start", worker: "node worker.js" });
  served.startDyno(app, { type: "web", number: 1, command: "npm start" });
  const known = ["shop", app.id, "web", "web.1", "worker", "1", "v2", "~", "preboot", "Basic"];
  known.push("owner@example.com", "local", "cedar", "host", account.id);
  const routes = listRoutes(served.api.routes);
  const problems: string[] = [];
  const statuses = new Map<number, number>();
  const asked = new Set<string>();
  let token = newToken();
  let heapEarly = 0;
  const heap = () => {
    Bun.gc(true);
    return heapStats().heapSize;
  };

  try {
    for (let done = 0; done < requests; done += atATime) {
      const answers = await Promise.all(
        Array.from({ length: Math.min(atATime, requests - done) }, (_, index) => {
          const route = routes[done + index] ?? random.pick(routes);
          asked.add(`${route.method} ${route.path}`);
          return ask(served.url, requestFor(random, { route, known, token }), known);
        }),
      );
      for (const { request, status, problem } of answers) {
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (problem) problems.push(`${request}: ${status} ${problem}`);
      }
      // It may have deleted itself, or the app.
      if (answers.some(({ status }) => status === 401)) token = newToken();
      if (done % cleanEvery < atATime) await clean(served);
      if (heapEarly === 0 && done >= requests / 4) heapEarly = heap();
    }
    await clean(served);
    return { problems, statuses, asked, routes, heapGrowth: heap() - heapEarly };
  } finally {
    await served.stop();
  }
}

/** Takes away what was made, so that lists stay short; the app is there again for the next round. */
async function clean(served: ReturnType<typeof serveLocalPlatform>): Promise<void> {
  const { platform, account } = served;
  const { database } = platform;
  for (const table of ["ssh_keys", "oauth_clients", "app_transfers", "password_resets"])
    database.$client.run(
      table === "oauth_clients"
        ? "DELETE FROM tokens WHERE clientId IS NOT NULL; DELETE FROM oauth_clients"
        : `DELETE FROM ${table}`,
    );
  database.$client.run("DELETE FROM tokens WHERE lastUsedAt IS NULL AND description != 'fuzz'");
  const apps = database.$client.query("SELECT id, name FROM apps").all() as {
    id: string;
    name: string;
  }[];
  for (const one of apps) if (one.name !== "shop") await platform.destroyApp(one as never);
  if (!apps.some(({ name }) => name === "shop")) {
    const app = await platform.createApp({ name: "shop", user: account });
    served.deploy(app, { web: "npm start", worker: "node worker.js" });
    served.startDyno(app, { type: "web", number: 1, command: "npm start" });
  }
}

function requestFor(
  random: Random,
  { route, known, token }: { route: Route; known: readonly string[]; token: string },
) {
  const { method, path, body, query: names } = route;
  const part = () => (random.chance(0.85) ? random.pick(known) : oddText(random));
  const filled = path
    .replaceAll(/:app\b/g, () => encode(random.chance(0.8) ? "shop" : part()))
    .replaceAll(/:\w+|\*/g, () => encode(part()));
  const query = names
    ? queryOf(random, names, known)
    : random.chance(0.1)
      ? `?${encode(part())}=${encode(oddText(random))}`
      : "";
  const headers: Record<string, string> = {
    Accept: "application/vnd.heroku+json; version=3",
    Authorization: `Bearer ${token}`,
  };
  if (random.chance(0.3)) headers["Content-Type"] = "application/json";
  if (random.chance(0.1)) headers.Range = rangeOf(random);
  if (random.chance(0.05)) headers["If-None-Match"] = random.pick(["*", '"x"', ",,,"]);
  if (random.chance(0.05)) headers["If-Match"] = random.pick(["*", '"x"', ",,,"]);
  if (random.chance(0.03))
    headers.Accept = random.pick(["*/*", "", "application/vnd.heroku+json; version=3.sdk"]);
  if (random.chance(0.03))
    headers.Authorization = random.pick(["", "Basic Og==", "Bearer x", "Basic %%", "Token token="]);
  if (random.chance(0.03))
    headers["X-HTTP-Method-Override"] = random.pick(["PATCH", "DELETE", "GET", "x"]);
  if (random.chance(0.03)) headers["Heroku-Two-Factor-Code"] = random.pick(["123456", "x"]);
  let text: string | undefined;
  if (method !== "GET") {
    const value = body ? valueOf(random, body, known) : {};
    text = random.chance(0.5) ? JSON.stringify(value) : brokenText(random, value);
    if (random.chance(0.9)) headers["Content-Type"] = "application/json";
  }
  return { method, path: `${filled}${query}`, headers, text };
}

function queryOf(random: Random, schema: z.ZodObject, known: readonly string[]): string {
  const pairs = Object.entries(valueOf(random, schema, known) as Record<string, unknown>).flatMap(
    ([name, value]) => [value].flat().map((one) => `${encode(name)}=${encode(String(one))}`),
  );
  if (random.chance(0.3) && pairs[0] !== undefined) pairs.push(pairs[0]);
  return `?${pairs.join("&")}`;
}

function encode(text: string): string {
  // A half of a letter has no form in an address; what is too long never gets as far as here.
  return encodeURIComponent(text.slice(0, 1000).replaceAll("\uD800", "?")) || "%20";
}

function rangeOf(random: Random): string {
  const field = random.pick(["id", "name", "version", "seq", "", "colour"]);
  const bounds = random.pick(["..", "]x..", "1..2", "..]", "]..[", "a"]);
  return `${field} ${bounds}; ${random.pick(["max=1", "max=0", "max=-1", "order=desc,max=99999", ";;"])}`;
}

async function ask(
  url: string,
  { method, path, headers, text }: ReturnType<typeof requestFor>,
  known: string[],
): Promise<Answer> {
  const request = `${method} ${path.slice(0, 200)} ${(text ?? "").slice(0, 300)}`;
  try {
    const response = await fetch(url + path, {
      ...{ method, headers, redirect: "manual", signal: AbortSignal.timeout(hangMs) },
      ...(text === undefined ? {} : { body: text }),
    });
    const { status } = response;
    const type = response.headers.get("Content-Type") ?? "";
    if (/^text\/(?:plain|event-stream)/.test(type)) {
      await response.body?.cancel();
      return { request, status };
    }
    const answer = await response.text();
    const problem = problemIn(status, type, answer);
    if (!problem) remember(answer, known);
    return { request, status, ...(problem && { problem }) };
  } catch (error) {
    return { request, status: 0, problem: (error as Error).message };
  }
}

function problemIn(status: number, type: string, answer: string): string | undefined {
  if (status >= 500 && status !== 501 && status !== 503) return answer.slice(0, 300);
  if (status === 304 || status === 303 || type.startsWith("text/html")) return undefined;
  try {
    const json = JSON.parse(answer) as { id?: unknown; message?: unknown };
    const isFormed = typeof json.id === "string" && typeof json.message === "string";
    return status < 400 || isFormed ? undefined : `not as errors are: ${answer.slice(0, 300)}`;
  } catch {
    return `no JSON: ${answer.slice(0, 300)}`;
  }
}

/** Ids of what there is by now stand for parameters later on. */
function remember(answer: string, known: string[]): void {
  const [id] = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/.exec(answer) ?? [];
  if (id === undefined || known.includes(id)) return;
  if (known.length > 60) known.splice(15, 1);
  known.push(id);
}

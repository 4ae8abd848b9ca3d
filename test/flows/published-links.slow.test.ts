import { afterAll, beforeAll, expect, test } from "bun:test";
import { freePorts } from "../helpers/free-ports.ts";
import { prepareWalk } from "../helpers/link-walker.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";
import { walkPublishedLinks } from "../helpers/published-links.ts";
import { probeFiles, startStator, type StatorServer, until } from "../helpers/stator-server.ts";

let server: StatorServer;
beforeAll(async () => {
  server = await startStator();
  const files = probeFiles("1", { Procfile: "web: node server.js 1\nworker: sleep 1000\n" });
  const app = await server.createApp(files, "shop");
  expect((await app.push()).exitCode).toBe(0);
  // An authority that never answers: it is only asked whether there is one.
  const [httpsPort, nobody] = freePorts(2);
  await server.kill("SIGTERM");
  await server.restart({
    flags: ["--stop-dynos", "--https", String(httpsPort)],
    variables: { STATOR_ACME_DIRECTORY: `https://127.0.0.1:${nobody}/directory` },
  });
});
afterAll(() => server.stop());

/** The routes of the API, which say what they answer: the server is another process. */
async function routesOfApi() {
  const local = serveLocalPlatform();
  await local.stop();
  return local.api.routes;
}

test("every published link works on a whole server as on the API alone", async () => {
  const ask = (path: string, init: RequestInit = {}) =>
    server.ask("api", path, {
      ...init,
      headers: {
        accept: "application/vnd.heroku+json; version=3",
        authorization: `Bearer ${server.credentials.token}`,
        ...(init.body === undefined ? {} : { "content-type": "application/json" }),
        ...lowerCase(init.headers as Record<string, string>),
      },
    });
  const settled = () =>
    until("web.1 is up", async () => {
      const dynos = (await (await ask("/apps/shop/dynos")).json()) as {
        name: string;
        state: string;
      }[];
      return dynos.some(({ name, state }) => name === "web.1" && state === "up");
    });
  const walk = await prepareWalk({ ask, routes: await routesOfApi(), settled });
  const { problems, ofPublic } = await walkPublishedLinks(walk);
  expect(problems).toEqual([]);
  expect(walk.unsaidThings).toEqual([]);
  process.stdout.write(`${ofPublic} of the public links work\n`);
  expect(ofPublic).toBeGreaterThanOrEqual(127);
});

function lowerCase(headers: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

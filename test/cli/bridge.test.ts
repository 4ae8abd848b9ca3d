import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBridge } from "../../src/cli/bridge.ts";
import { commandLine } from "../helpers/command-line.ts";
import { findProcesses, until } from "../helpers/stator-server.ts";

const asked: { method: string; path: string; headers: Headers; body: string }[] = [];
let left = 0;
const api = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const { pathname, search } = new URL(request.url);
    const body = await request.text();
    asked.push({ method: request.method, path: pathname + search, headers: request.headers, body });
    if (pathname === "/moved")
      return new Response(null, { status: 302, headers: { location: "/there" } });
    if (pathname === "/stream")
      return new Response(
        new ReadableStream({
          async pull(controller) {
            controller.enqueue("data: tick\n\n");
            await Bun.sleep(20);
          },
          cancel: () => void left++,
        }),
        { headers: { "content-type": "text/event-stream" } },
      );
    return Response.json({ ok: true }, { status: 201, headers: { "X-Heroku-Warning": "careful" } });
  },
});
const bridge = startBridge(`http://127.0.0.1:${api.port}`);
const folder = mkdtempSync(join(tmpdir(), "stator-bridge-"));
afterAll(async () => {
  await bridge.close();
  await api.stop(true);
  rmSync(folder, { recursive: true, force: true });
});

/** Sends bytes to the bridge; what comes back. */
function say(bytes: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  const socket = connect(Number(new URL(bridge.url).port), "127.0.0.1", () => socket.write(bytes));
  socket.on("data", (more) => {
    text += String(more);
    socket.end();
  });
  socket.on("close", () => resolve(text));
  socket.on("error", reject);
  return promise;
}

test("a request and its answer pass unchanged, and no token is added", async () => {
  const answer = await fetch(`${bridge.url}/apps/x?a=%20b`, {
    ...{ method: "PATCH", body: '{"name":"ü"}' },
    headers: { accept: "application/vnd.heroku+json; version=3", range: "id ..; max=1" },
  });
  expect([answer.status, answer.headers.get("x-heroku-warning")]).toEqual([201, "careful"]);
  expect(await answer.json()).toEqual({ ok: true });
  const { method, path, body, headers } = asked.at(-1)!;
  expect({ method, path, body }).toEqual({
    ...{ method: "PATCH", path: "/apps/x?a=%20b", body: '{"name":"ü"}' },
  });
  expect(headers.get("accept")).toBe("application/vnd.heroku+json; version=3");
  expect(headers.get("range")).toBe("id ..; max=1");
  expect(headers.get("host")).toBe(`127.0.0.1:${api.port}`);
  expect(headers.has("authorization")).toBe(false);
  const moved = await fetch(`${bridge.url}/moved`, { redirect: "manual" });
  expect([moved.status, moved.headers.get("location")]).toEqual([302, "/there"]);
});

test("what streams comes as it is sent, and who leaves ends it", async () => {
  const answer = await fetch(`${bridge.url}/stream`);
  const reader = answer.body!.getReader();
  for (let ticks = 0; ticks < 3; ticks++)
    expect(Buffer.from((await reader.read()).value!).toString()).toContain("data: tick");
  await reader.cancel();
  await until("the stream of the API has ended", () => left === 1);
});

test("asked for another host, it goes nowhere", async () => {
  const before = asked.length;
  for (const line of [
    "CONNECT telex.heroku.com:443 HTTP/1.1\r\nHost: telex.heroku.com:443\r\n\r\n",
    "GET http://telex.heroku.com/x HTTP/1.1\r\nHost: telex.heroku.com\r\n\r\n",
    "GET /account HTTP/1.1\r\nHost: evil.example\r\n\r\n",
  ])
    expect(await say(line)).toStartWith("HTTP/1.1 403 ");
  expect(asked.length).toBe(before);
});

test("as a proxy it leads to the API", async () => {
  const host = `127.0.0.1:${api.port}`;
  const said = await say(`GET http://${host}/by-proxy HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  expect(said).toStartWith("HTTP/1.1 201 ");
  expect(asked.at(-1)).toMatchObject({ path: "/by-proxy" });
});

test("an API that is not there is told as an error of the API is", async () => {
  const nowhere = startBridge("http://127.0.0.1:1");
  const answer = await fetch(`${nowhere.url}/account`);
  expect(answer.status).toBe(502);
  expect(await answer.json()).toMatchObject({
    message: expect.stringContaining("Cannot reach http://127.0.0.1:1") as string,
  });
  await nowhere.close();
});

test('eval "$(stator env)" lasts as long as its shell, which --unset leaves as it was', async () => {
  const person = commandLine({
    ...{ STATOR_API: `http://127.0.0.1:${api.port}`, STATOR_API_KEY: "the-token" },
    ...{ NODE_OPTIONS: "--no-warnings", HTTPS_PROXY: "http://proxy.example", SHELL: "/bin/bash" },
  });
  const stator = `${process.execPath} --no-env-file ${join(import.meta.dir, "../../src/main.ts")}`;
  const script = `
set -eu
eval "$(${stator} env)"
echo "$HEROKU_HOST $HEROKU_API_KEY"
curl -s --noproxy '*' "$HEROKU_HOST/from-shell" -H "authorization: Bearer $HEROKU_API_KEY"; echo
node -e 'require("dns").lookup("api.heroku.com", (error) => console.log(error.code))'
node -e 'require("net").connect(${api.port}, "api.localhost", function () { console.log("found"); this.end() })'
eval "$(${stator} env)"
[ -z "\${1:-}" ] || { echo "$STATOR_BRIDGE_PID"; exit; }
eval "$(${stator} env --unset)"
env | grep -c ^HEROKU || :
echo "$NODE_OPTIONS $HTTPS_PROXY \${STATOR_ENV_BEFORE:-}"
`;
  const run = async (...args: string[]) => {
    const child = Bun.spawn(["bash", "-c", script, "bash", ...args], {
      ...{ env: person.environment, cwd: person.cwd, stderr: "inherit" },
    });
    const rows = (await new Response(child.stdout).text()).trim().split("\n");
    expect(await child.exited).toBe(0);
    return rows;
  };
  const [where, said, refused, found, none, restored] = await run();
  expect(where).toMatch(/^http:\/\/127\.0\.0\.1:\d+ the-token$/);
  expect(said).toBe('{"ok":true}');
  expect(asked.at(-1)).toMatchObject({ path: "/from-shell" });
  expect(asked.at(-1)!.headers.get("authorization")).toBe("Bearer the-token");
  expect([refused, found, none]).toEqual(["EREFUSED", "found", "0"]);
  expect(restored?.trim()).toBe("--no-warnings http://proxy.example");
  const pid = Number((await run("leave")).at(-1));
  const isThere = () => findProcesses("bridge").some((one) => one.pid === pid);
  await until("the bridge ends with the shell", () => !isThere());
  person.remove();
});

import { expect } from "bun:test";
import { join } from "node:path";
import { repositoryRoot, type StatorApp, type StatorServer } from "./stator-server.ts";

interface Expectation {
  path: string;
  status: number;
  body?: string;
  bodyIncludes?: string;
  websocket?: { path: string; send: string; receive: string };
}

/** Pushes one of the real apps of `test/fixtures/apps`, and asks it what it must answer. */
export async function expectFixtureServes(stator: StatorServer, name: string): Promise<StatorApp> {
  const folder = join(repositoryRoot, "test/fixtures/apps", name);
  const app = await stator.createApp(folder, `fixture-${name}`);
  const pushed = await app.push();
  expect(pushed.text).toContain("Verifying deploy... done.");
  expect(pushed.exitCode).toBe(0);
  await expectAnswers(stator, app, (await Bun.file(join(folder, "expect.json")).json()) as never);
  return app;
}

async function expectAnswers(
  stator: StatorServer,
  app: StatorApp,
  expected: Expectation,
): Promise<void> {
  const response = await app.get(expected.path);
  const body = await response.text();
  expect(response.status).toBe(expected.status);
  if (expected.body !== undefined) expect(body).toBe(expected.body);
  if (expected.bodyIncludes !== undefined) expect(body).toContain(expected.bodyIncludes);
  if (!expected.websocket) return;
  const { path, send, receive } = expected.websocket;
  expect(await echo(stator, app, { path, send })).toBe(receive);
}

function echo(
  stator: StatorServer,
  app: StatorApp,
  { path, send }: { path: string; send: string },
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = new WebSocket(`ws://127.0.0.1:${stator.port}${path}`, {
    headers: { host: `${app.name}.localhost:${stator.port}` },
  } as never);
  socket.onopen = () => socket.send(send);
  socket.onmessage = ({ data }) => resolve(String(data));
  socket.onerror = () => reject(new Error("the WebSocket failed"));
  return promise.finally(() => socket.close());
}

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
  if (response.status !== expected.status)
    throw new Error(`the app answered ${response.status}: ${body}\n${await app.logs()}`);
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

interface Change {
  /** What a build says that found its cache. */
  hit: string;
  /** Files that no longer build, what the build says of them, and what the app is called. */
  broken: Record<string, string>;
  message: string;
  language: string;
  /** Another place of the app, with what a test has added to the fixture. */
  folder?: string;
}

/**
 * Pushes a fixture app, asks it, pushes it again with a warm cache, and then a change that does not
 * build; tells how long the two took.
 */
export async function expectWarmPushAndBrokenChange(
  stator: StatorServer,
  name: string,
  { hit, broken, message, language, folder }: Change,
) {
  const fixture = join(repositoryRoot, "test/fixtures/apps", name);
  const expected = (await Bun.file(join(fixture, "expect.json")).json()) as Expectation;
  const app = await stator.createApp(folder ?? fixture, `fixture-${name}`);
  const timed = async () => {
    const begun = performance.now();
    const push = await app.push();
    return { ...push, tookMs: performance.now() - begun };
  };
  const first = await timed();
  expect(first.text).toContain("Verifying deploy... done.");
  await expectAnswers(stator, app, expected);
  await app.commit("Again");
  const again = await timed();
  expect(again.text).toContain(hit);
  expect(again.text).toContain("Verifying deploy... done.");
  await expectAnswers(stator, app, expected);
  const [cold, warm] = [first, again].map(({ tookMs }) => (tookMs / 1000).toFixed(1));
  const slug = /Done: (\S+)/.exec(again.text)?.[1];
  process.stdout.write(`${name}: ${cold} s cold, ${warm} s warm (${hit}), slug ${slug}\n`);
  app.write(broken);
  await app.commit("Broken");
  const failed = await app.push();
  expect(failed.text).toContain(message);
  expect(failed.text).toContain(`Push rejected, failed to compile ${language} app.`);
  expect(failed.exitCode).not.toBe(0);
  await expectAnswers(stator, app, expected);
  return { app, first, again };
}

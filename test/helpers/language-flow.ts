import { expect } from "bun:test";
import { join } from "node:path";
import { repositoryRoot, type StatorApp, type StatorServer } from "./stator-server.ts";

export interface LanguageFlow {
  /** What the build is called in its output. */
  title: string;
  /** What the first build says among other things. */
  says: string;
  /** A part of what the second build says about its cache. */
  cached: string;
  /** A change that cannot be built, and a part of what is said about it. */
  broken: { files: Record<string, string>; message: string };
  /** Only pushed and asked: the rest is as with another one. */
  once?: boolean;
  /** Before the first push. */
  prepare?: (app: StatorApp) => Promise<unknown>;
}

/** A fixture app is pushed and asked, then pushed again with a warm cache, and its broken change takes nothing. */
export async function expectLanguageFlow(
  stator: StatorServer,
  fixture: string,
  { title, says, cached, broken, once, prepare }: LanguageFlow,
): Promise<StatorApp> {
  const folder = join(repositoryRoot, "test/fixtures/apps", fixture);
  const { path, body, bodyIncludes } = (await Bun.file(join(folder, "expect.json")).json()) as {
    path: string;
    body?: string;
    bodyIncludes?: string;
  };
  const app = await stator.createApp(folder);
  await prepare?.(app);
  const answers = async () => {
    const response = await app.get(path);
    expect(await response.text()).toContain(body ?? bodyIncludes ?? "");
    expect(response.status).toBe(200);
  };
  const push = async (what: string) => {
    const started = performance.now();
    const { text } = await app.push();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stdout.write(`${fixture}: ${what} push ${seconds} s\n`);
    return text;
  };
  const first = await push("cold");
  expect(first).toContain(`-----> ${title} app detected\n`);
  expect(first).toContain(says);
  expect(first).toContain("Verifying deploy... done.");
  await answers();
  if (once) return app;
  await app.commit("Again");
  const again = await push("warm");
  expect(again).toContain(cached);
  expect(again).toContain("Verifying deploy... done.");
  process.stdout.write(`${fixture}: ${again.split("\n").find((row) => row.includes(cached))}\n`);
  await answers();
  app.write(broken.files);
  await app.commit("Broken");
  const failed = await push("broken");
  expect(failed).toContain(broken.message);
  expect(failed).toContain(`Push rejected, failed to compile ${title} app.`);
  await answers();
  return app;
}

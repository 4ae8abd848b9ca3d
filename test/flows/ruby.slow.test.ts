import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { expectWarmPushAndBrokenChange } from "../helpers/fixture-app.ts";
import { type OutsideServer, startOutsideServer } from "../helpers/outside-server.ts";
import { lockedRubyFixture, makeGemMirror } from "../helpers/ruby-fixture.ts";
import { startStator, type StatorServer } from "../helpers/stator-server.ts";

let stator: StatorServer;
let outside: OutsideServer;
const made: string[] = [];
beforeAll(async () => {
  outside = await startOutsideServer();
  await makeGemMirror(outside.path("gems"));
  stator = await startStator();
});
afterAll(async () => {
  await stator.stop();
  await outside.stop();
  for (const folder of made) rmSync(dirname(folder), { recursive: true, force: true });
});

async function fixture(name: string): Promise<string> {
  const folder = await lockedRubyFixture(name, `${outside.address}/gems`);
  made.push(folder);
  return folder;
}

const hit = "Restored vendor/bundle from the cache";

test("Sinatra is pushed and answers, again from a warm cache, and a broken change takes nothing", async () => {
  const { first, again } = await expectWarmPushAndBrokenChange(stator, "ruby-sinatra", {
    folder: await fixture("ruby-sinatra"),
    ...{ hit, language: "Ruby", broken: { "Gemfile.lock": "nonsense\n<<<<<<<\n" } },
    message: "`bundle install` failed with status",
  });
  expect(first.text).toContain("Default types for buildpack -> web, rake, console\n");
  expect(first.text).toContain("Installing sinatra 3.0.5");
  expect(first.text).not.toContain("Installing rack-test");
  expect(again.text).not.toContain("Installing sinatra");
});

test("Rails is pushed with its assets, again from a warm cache, and a broken change takes nothing", async () => {
  const { app, first } = await expectWarmPushAndBrokenChange(stator, "ruby-rails", {
    folder: await fixture("ruby-rails"),
    ...{ hit, language: "Ruby", broken: { "config/application.rb": "nonsense(\n" } },
    message: "the app can't be loaded; what Ruby says of it stands above.",
  });
  expect(first.text).toContain("-----> Preparing the app's assets\n");
  const page = await (await app.get("/")).text();
  const style = /href="(\/assets\/application-[0-9a-f]+\.css)"/.exec(page)?.[1] ?? "no style sheet";
  const asset = await app.get(style);
  expect(await asset.text()).toContain("rebeccapurple");
  expect(asset.status).toBe(200);
});

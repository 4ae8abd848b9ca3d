import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expectWarmPushAndBrokenChange } from "../helpers/fixture-app.ts";
import { repositoryRoot, startStator, type StatorServer } from "../helpers/stator-server.ts";

let stator: StatorServer;
beforeAll(async () => {
  stator = await startStator();
});
afterAll(() => stator.stop());

const hit = "Using modules and compiled packages from the cache";

test("an app of Go is pushed and answers, again from a warm cache, a broken change takes nothing, and then it has several programs", async () => {
  const { app, first } = await expectWarmPushAndBrokenChange(stator, "go-web", {
    ...{ hit, language: "Go", message: "undefined: nothing" },
    broken: { "main.go": "package main\n\nfunc main() { nothing() }\n" },
  });
  expect(first.text).toContain("Procfile declares types -> web\n");
  // In the same app, whose cache has Go's own packages compiled.
  for (const name of readdirSync(app.folder))
    if (name !== ".git") rmSync(join(app.folder, name), { recursive: true });
  cpSync(join(repositoryRoot, "test/fixtures/apps/go-several"), app.folder, { recursive: true });
  await app.commit("Several programs");
  const { text } = await app.push();
  expect(text).toContain(hit);
  expect(text).toContain("Procfile declares types -> unused, web, worker\n");
  expect(text).toContain("Verifying deploy... done.");
  expect(await (await app.get("/")).text()).toBe("one of several: web");
});

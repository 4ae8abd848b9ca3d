import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { expectWarmPushAndBrokenChange } from "../helpers/fixture-app.ts";
import { startStator, type StatorServer } from "../helpers/stator-server.ts";

setDefaultTimeout(240_000);
let stator: StatorServer;
beforeAll(async () => {
  stator = await startStator();
});
afterAll(() => stator.stop());

const hit = "Using modules and compiled packages from the cache";

for (const [name, broken, types] of [
  ["go-web", "main.go", "web"],
  ["go-several", "cmd/web/main.go", "unused, web, worker"],
] as const)
  test(`${name} is pushed and answers, again from a warm cache, and a broken change takes nothing`, async () => {
    const { first } = await expectWarmPushAndBrokenChange(stator, name, {
      hit,
      broken: { [broken]: "package main\n\nfunc main() { nothing() }\n" },
      message: "undefined: nothing",
      language: "Go",
    });
    expect(first.text).toContain(`Procfile declares types -> ${types}\n`);
  });

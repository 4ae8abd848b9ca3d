import { afterAll, beforeAll, test } from "bun:test";
import { expectFixtureServes } from "../helpers/fixture-app.ts";
import { startStator, type StatorServer } from "../helpers/stator-server.ts";

let stator: StatorServer;
beforeAll(async () => {
  stator = await startStator();
});
afterAll(() => stator.stop());

test("plain-http is pushed and answers", async () => {
  await expectFixtureServes(stator, "plain-http");
});

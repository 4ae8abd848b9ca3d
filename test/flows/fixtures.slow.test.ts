import { afterAll, beforeAll, expect, test } from "bun:test";
import { expectFixtureServes } from "../helpers/fixture-app.ts";
import { startStator, type StatorServer } from "../helpers/stator-server.ts";

let stator: StatorServer;
beforeAll(async () => {
  stator = await startStator();
});
afterAll(() => stator.stop());

for (const name of ["express", "typescript", "websocket-echo", "yarn", "pnpm", "bun"])
  test(`${name} is pushed and answers, and a second push is built from the cache`, async () => {
    const app = await expectFixtureServes(stator, name);
    await app.commit("Again");
    const again = await app.push();
    expect(again.text).toContain("Verifying deploy... done.");
    expect(again.text).toContain("-----> Restoring cache");
    expect((await app.get()).status).toBe(200);
    await app.api("DELETE");
  });

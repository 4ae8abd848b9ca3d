import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  findProcesses,
  packageJson,
  probeFiles,
  startStator,
  type StatorApp,
  type StatorServer,
} from "../helpers/stator-server.ts";

setDefaultTimeout(60_000);
let stator: StatorServer;
let app: StatorApp;

beforeAll(async () => {
  stator = await startStator({ variables: { STATOR_BUILD_TIMEOUT: "5" } });
  app = await stator.createApp(probeFiles("good"));
  expect((await app.push()).exitCode).toBe(0);
});
afterAll(() => stator.stop());

test("clause 70: a build that never ends is ended, told, and the release before goes on serving", async () => {
  const sleep = `1000.${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  app.write({ "package.json": packageJson({ build: `sleep ${sleep} & wait` }) });
  await app.commit("Never ends");
  const pushed = await app.push();
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.text).toContain("-----> Timed out running buildpack Node.js\n");
  expect(pushed.text).toContain(" !     Push failed\n");
  expect(pushed.text).toContain("! [remote rejected] main -> main (pre-receive hook declined)");
  expect(findProcesses(sleep)).toEqual([]);
  expect(await (await app.get()).text()).toBe("version good");
});

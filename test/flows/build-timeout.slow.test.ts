import { expect, test } from "bun:test";
import { serveApp } from "../helpers/serve-app.ts";
import { findProcesses, packageJson, probeFiles } from "../helpers/stator-server.ts";

const { app } = await serveApp(probeFiles("good"), {
  variables: { STATOR_BUILD_TIMEOUT: "12" },
});

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

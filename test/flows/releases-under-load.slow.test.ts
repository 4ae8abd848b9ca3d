import { expect, test } from "bun:test";
import { constantRequests } from "../helpers/constant-requests.ts";
import { serveApp } from "../helpers/serve-app.ts";
import { probeFiles, until } from "../helpers/stator-server.ts";

const { stator, app } = await serveApp(probeFiles("one"));

const releases = () => app.api<{ version: number; status: string }[]>("GET", "/releases");
const reaches = (version: number) =>
  until(`v${version} is in service`, async () =>
    (await releases()).some((one) => one.version === version && one.status === "succeeded"),
  );

test("20 releases in a row under constant requests: not one fails", async () => {
  const traffic = constantRequests(stator, app);
  const slow = constantRequests(stator, app, { path: "/slow", keepAlive: 1, fresh: 1 });
  const before = (await releases()).length;
  for (let index = 0; index < 20; index++) {
    if (index % 5 === 4) {
      app.write(probeFiles(`round-${index}`));
      await app.commit();
      expect((await app.push()).exitCode).toBe(0);
    } else {
      await app.api("PATCH", "/config-vars", { ROUND: String(index) });
      await reaches(before + index + 1);
    }
  }
  const [fast, long] = [await traffic.stop(), await slow.stop()];
  expect(fast.failures).toEqual([]);
  expect(long.failures).toEqual([]);
  expect(fast.count).toBeGreaterThan(500);
  expect(long.count).toBeGreaterThan(5);
  expect(await releases()).toHaveLength(before + 20);
  expect([...fast.answers.keys()]).toContain("version round-19");
});

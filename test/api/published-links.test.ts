import { afterAll, beforeAll, expect, test } from "bun:test";
import { waitingDynos } from "../../src/api/resources/dynos.ts";
import { createBuild, updateBuild } from "../../src/model/build.ts";
import { prepareWalk } from "../helpers/link-walker.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";
import { walkPublishedLinks } from "../helpers/published-links.ts";

let served: ReturnType<typeof serveLocalPlatform>;
beforeAll(async () => {
  served = serveLocalPlatform({}, (platform) => ({
    places: {
      waiting: waitingDynos(platform),
      rendezvousOf: (secret) => `rendezvous://api.localhost:8443/${secret}`,
    },
  }));
  const app = await served.platform.createApp({ name: "shop", user: served.account });
  const { slugId } = served.deploy(app, { web: "npm start", worker: "node worker.js" });
  const { database } = served.platform;
  const source = { url: null, version: "de63889c", versionDescription: null, checksum: null };
  const build = createBuild(database, { app, user: served.account, source });
  updateBuild(database, build, { status: "succeeded", slugId: slugId ?? "" });
  served.startDyno(app, { type: "web", number: 1, command: "npm start" });
});
afterAll(() => served.stop());

test("every published link answers as the schema says, or stands in the list of what is not here", async () => {
  const walk = await prepareWalk({
    ask: served.ask,
    routes: served.api.routes,
    settled: () => Promise.resolve(),
  });
  const { problems, ofPublic } = await walkPublishedLinks(walk);
  expect(problems).toEqual([]);
  expect(walk.unsaidThings).toEqual([]);
  process.stdout.write(`${ofPublic} of the public links work\n`);
  expect(ofPublic).toBeGreaterThanOrEqual(127);
});

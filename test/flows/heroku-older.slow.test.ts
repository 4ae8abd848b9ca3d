import { describe, expect, test } from "bun:test";
import { herokuStory } from "../helpers/heroku-cli.ts";
import { probeFiles } from "../helpers/stator-server.ts";

/** A shorter list by the versions of Heroku's command line that people still have. */
for (const version of ["10.17.0", "9.5.1"]) {
  const story = await herokuStory({ version, apps: { shop: probeFiles() } });
  const { heroku, refused, api, run } = story;
  describe(`heroku ${version}`, () => {
    test("apps, config, releases, access, features", async () => {
      expect(await heroku`whoami`).toContain(story.stator.credentials.email);
      await heroku`create older`;
      await heroku`config:set A=1 -a older`;
      expect(await api("GET", "/apps/older/config-vars")).toEqual({ A: "1" });
      expect(await heroku`config:get A -a older`).toBe("1\n");
      expect(await heroku`apps:info older`).toContain("older");
      expect(await heroku`releases -a older`).toContain("Set A config vars");
      await heroku`access:add friend@example.com -a older`;
      expect(await api("GET", "/apps/older/collaborators")).toHaveLength(2);
      await heroku`features:enable http-session-affinity -a older`;
      expect(await api("GET", "/apps/older/features/http-session-affinity")).toMatchObject({
        enabled: true,
      });
      await heroku`maintenance:on -a older`;
      expect(await api("GET", "/apps/older")).toMatchObject({ maintenance: true });
      await heroku`apps:destroy older --confirm older`;
      expect(await refused`apps:info older`).toContain("Couldn't find that app");
    });

    test("ps, run, logs, rollback", async () => {
      expect(await heroku`ps -a shop`).toContain("web.1: ");
      await heroku`ps:scale web=2 -a shop`;
      expect(await api("GET", "/apps/shop/formation/web")).toMatchObject({ quantity: 2 });
      expect(await heroku`run -a shop -- echo hello world`).toContain("hello world");
      expect((await run(["run", "-x", "-a", "shop", "--", "(exit 9)"])).status).toBe(9);
      expect(await heroku`logs -a shop -n 50`).toContain("app[web.1]: probe listens");
      await heroku`config:set B=1 -a shop`;
      await heroku`rollback v3 -a shop`;
      expect(await api("GET", "/apps/shop/releases/5")).toMatchObject({
        description: "Rollback to v3",
      });
    });

    test("Heroku's hosts hear nothing", () => {
      expect(story.heard).toEqual([]);
      expect(story.logins().netrc).toBe(story.logins().before.netrc);
    });
  });
}

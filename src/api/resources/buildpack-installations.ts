import { Hono } from "hono";
import { z } from "zod";
import type { App } from "../../model/app.ts";
import { listBuildpacks } from "../../model/buildpack-installation.ts";
import type { Platform } from "../../platform.ts";
import { type ApiEnvironment, member } from "../policy.ts";
import { body } from "../body.ts";

const update = z.object({
  updates: z.array(z.object({ buildpack: z.string("must be a name or an address") })),
});

export const buildpackInstallationsApi = (platform: Platform) => {
  const { database } = platform;
  const present = (app: App) =>
    listBuildpacks(database, app).map((buildpack, ordinal) => ({
      ordinal,
      buildpack: presentBuildpack(buildpack),
    }));
  return new Hono<ApiEnvironment>()
    .get("/:app/buildpack-installations", member("read"), (c) => c.json(present(c.var.app)))
    .put("/:app/buildpack-installations", member("write"), body(update), async (c) => {
      const { app } = c.var;
      const buildpacks = c.req.valid("json").updates.map(({ buildpack }) => buildpack);
      await platform.setBuildpacks(app, buildpacks);
      return c.json(present(app));
    });
};

/** Names have an address of their own kind (contract §5). */
export function presentBuildpack(buildpack: string): { url: string; name: string } {
  const isAddress = buildpack.includes("://");
  return { url: isAddress ? buildpack : `urn:buildpack:${buildpack}`, name: buildpack };
}

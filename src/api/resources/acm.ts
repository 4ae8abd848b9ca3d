import { Hono } from "hono";
import { findApp } from "../../model/app.ts";
import type { Platform } from "../../platform.ts";
import type { ApiEnvironment } from "../authenticate.ts";
import { presentApp } from "./apps.ts";

/** Automatic certificate management; all of it answers with the app. */
export const acmApi = (platform: Platform) => {
  const { database, certificates } = platform;
  return new Hono<ApiEnvironment>()
    .post("/:app/acm", async (c) => {
      const app = findApp(database, c.req.param("app"));
      const changed = await certificates.setAutomatic(app, { on: true, user: c.var.account });
      return c.json(presentApp(platform, changed), 201);
    })
    .patch("/:app/acm", async (c) => {
      const app = findApp(database, c.req.param("app"));
      await certificates.refresh(app);
      return c.json(presentApp(platform, app));
    })
    .delete("/:app/acm", async (c) => {
      const app = findApp(database, c.req.param("app"));
      const changed = await certificates.setAutomatic(app, { on: false, user: c.var.account });
      return c.json(presentApp(platform, changed));
    });
};

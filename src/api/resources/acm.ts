import { Hono } from "hono";
import type { Platform } from "../../platform.ts";
import { type ApiEnvironment, member } from "../policy.ts";
import { presentApp } from "./apps.ts";

/** Automatic certificate management; all of it answers with the app. */
export const acmApi = (platform: Platform) => {
  const { certificates } = platform;
  return new Hono<ApiEnvironment>()
    .post("/:app/acm", member("write"), async (c) => {
      const { app } = c.var;
      const changed = await certificates.setAutomatic(app, { on: true, user: c.var.account });
      return c.json(presentApp(platform, changed), 201);
    })
    .patch("/:app/acm", member("write"), async (c) => {
      const { app } = c.var;
      await certificates.refresh(app);
      return c.json(presentApp(platform, app));
    })
    .delete("/:app/acm", member("write"), async (c) => {
      const { app } = c.var;
      const changed = await certificates.setAutomatic(app, { on: false, user: c.var.account });
      return c.json(presentApp(platform, changed));
    });
};

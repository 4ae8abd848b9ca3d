import { Hono } from "hono";
import { z } from "zod";
import { findApp } from "../../model/app.ts";
import { readConfigVars } from "../../model/config-vars.ts";
import type { Platform } from "../../platform.ts";
import type { ApiEnvironment } from "../authenticate.ts";
import { body } from "../body.ts";

const change = z.record(
  z.string(),
  z.string("must be a string, or null to remove it").nullable(),
  'must be an object of config vars, as in {"NAME": "value"}',
);

export const configVarsApi = (platform: Platform) =>
  new Hono<ApiEnvironment>()
    .get("/:app/config-vars", (c) => {
      const { database, vault } = platform;
      return c.json(readConfigVars(database, vault, findApp(database, c.req.param("app"))));
    })
    .patch("/:app/config-vars", body(change), async (c) => {
      const app = findApp(platform.database, c.req.param("app"));
      const { vars } = await platform.changeConfig(app, {
        change: c.req.valid("json"),
        user: c.var.account,
      });
      return c.json(vars);
    });

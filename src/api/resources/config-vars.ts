import { Hono } from "hono";
import { z } from "zod";
import { readConfigVars } from "../../model/config-vars.ts";
import type { Platform } from "../../platform.ts";
import { answers } from "../answers.ts";
import { body } from "../body.ts";
import { type ApiEnvironment, member } from "../policy.ts";

const change = z.record(
  z.string(),
  z.string("must be a string, or null to remove it").nullable(),
  'must be an object of config vars, as in {"NAME": "value"}',
);

export const configVarsAnswer = z.record(z.string(), z.string());

export const configVarsApi = (platform: Platform) =>
  new Hono<ApiEnvironment>()
    .get("/:app/config-vars", member("read-protected"), answers(configVarsAnswer), (c) => {
      const { database, vault } = platform;
      return c.json(readConfigVars(database, vault, c.var.app));
    })
    .patch(
      "/:app/config-vars",
      member("write-protected"),
      answers(configVarsAnswer),
      body(change),
      async (c) => {
        const { vars } = await platform.changeConfig(c.var.app, {
          change: c.req.valid("json"),
          user: c.var.account,
        });
        return c.json(vars);
      },
    );

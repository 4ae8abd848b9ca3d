import { Hono } from "hono";
import { z } from "zod";
import type { App } from "../../model/app.ts";
import {
  readVisitorRules,
  type RequestLimit,
  type VisitorRules,
} from "../../model/visitor-rules.ts";
import type { Platform } from "../../platform.ts";
import { type ApiEnvironment, member } from "../policy.ts";
import { body } from "../body.ts";

const limit = z
  .object({
    requests: z.int().min(1).max(1_000_000),
    seconds: z.int().min(1).max(86_400).optional(),
    burst: z.int().min(1).max(1_000_000).optional(),
  })
  .nullish();
const change = z.strictObject({
  /** By user name; `null` takes one away. */
  passwords: z.record(z.string(), z.string().nullable()).optional(),
  allowed_addresses: z
    .array(z.string())
    .min(1, "must have an address; null lets everybody in")
    .nullish(),
  https_redirect: z.boolean("must be true or false").optional(),
  hsts: z
    .object({
      max_age: z
        .int("must be a number of seconds")
        .min(0)
        .max(10 * 366 * 86_400),
      include_sub_domains: z.boolean().default(false),
      preload: z.boolean().default(false),
    })
    .nullish(),
  rate_limits: z.strictObject({ app: limit, client: limit }).optional(),
});

/** Ours: who may visit an app, and how. */
export const visitorRulesApi = (platform: Platform) => {
  const { database } = platform;
  return new Hono<ApiEnvironment>()
    .get("/:app/visitor-rules", member("read"), (c) => {
      const { app } = c.var;
      return c.json(presentRules(app, readVisitorRules(database, app)));
    })
    .patch("/:app/visitor-rules", member("write"), body(change), async (c) => {
      const { app } = c.var;
      const given = c.req.valid("json");
      const rules = await platform.changeVisitorRules(app, {
        change: {
          passwords: given.passwords,
          allowedAddresses: given.allowed_addresses,
          httpsRedirect: given.https_redirect,
          hsts: given.hsts && {
            maxAgeSeconds: given.hsts.max_age,
            includeSubDomains: given.hsts.include_sub_domains,
            preload: given.hsts.preload,
          },
          appLimit: limitOf(given.rate_limits?.app),
          clientLimit: limitOf(given.rate_limits?.client),
        },
        user: c.var.account,
      });
      return c.json(presentRules(app, rules));
    });
};

function limitOf(given: z.output<typeof limit>): RequestLimit | null | undefined {
  if (!given) return given;
  const { requests, seconds = 1, burst = requests } = given;
  return { requests, seconds, burst };
}

/** Passwords never come out, not even as what is kept of them. */
function presentRules(app: App, rules: VisitorRules) {
  const { passwords, allowedAddresses, httpsRedirect, hsts, appLimit, clientLimit } = rules;
  return {
    allowed_addresses: allowedAddresses,
    app: { id: app.id, name: app.name },
    hsts: hsts && {
      include_sub_domains: hsts.includeSubDomains,
      max_age: hsts.maxAgeSeconds,
      preload: hsts.preload,
    },
    https_redirect: httpsRedirect,
    passwords: passwords.map(({ username }) => username),
    rate_limits: { app: appLimit, client: clientLimit },
  };
}

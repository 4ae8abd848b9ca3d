import { randomInt } from "node:crypto";
import { Hono } from "hono";
import { z } from "zod";
import { codeAddress, newCodeSecret, stepOfCode } from "../../lib/one-time-code.ts";
import { PlatformError } from "../../lib/platform-error.ts";
import { secretHash } from "../../lib/secret.ts";
import { updateAccount } from "../../model/account.ts";
import type { Platform } from "../../platform.ts";
import { answers } from "../answers.ts";
import { body } from "../body.ts";
import type { Logins } from "../logins.ts";
import { account, type ApiEnvironment } from "../policy.ts";
import { accountAnswer, presentAccount } from "./account.ts";

const proof = z.object({ password: z.string("must be a string").max(1000).optional() });
const confirmation = z.object({ code: z.string("must be the code of now").max(16) });
const recoveryCodeCount = 10;

/** The second factor of logins by password. Ours: Heroku has no public way to it. */
export const secondFactorApi = (platform: Platform, { logins }: { logins: Logins }) => {
  const { database, vault } = platform;
  return new Hono<ApiEnvironment>()
    .post(
      "/account/second-factor",
      account("global"),
      answers(z.object({ secret: z.string(), url: z.string() })),
      body(proof),
      async (c) => {
        const { account: one } = c.var;
        await logins.checkPassword(c, { account: one, password: c.req.valid("json").password });
        if (one.secondFactorAt)
          throw new PlatformError(
            "invalid_params",
            "There is a second factor already. Take it away first: DELETE /account/second-factor",
          );
        const secret = newCodeSecret();
        updateAccount(database, one, { sealedCodeSecret: Buffer.from(vault.seal({ secret })) });
        const host = new URL(platform.urls.api).hostname;
        return c.json({ secret, url: codeAddress(secret, { issuer: host, name: one.email }) }, 201);
      },
    )
    .post(
      "/account/second-factor/actions/confirm",
      account("global"),
      answers(z.object({ recovery_codes: z.array(z.string()) })),
      body(confirmation),
      (c) => {
        const { account: one } = c.var;
        if (one.secondFactorAt || !one.sealedCodeSecret)
          throw new PlatformError(
            "invalid_params",
            "No second factor waits to be confirmed. Begin with POST /account/second-factor",
          );
        const { secret = "" } = vault.open(one.sealedCodeSecret);
        const moment = { nowMs: Date.now(), lastStep: one.lastCodeStep };
        const step = stepOfCode(secret, c.req.valid("json").code, moment);
        if (step === undefined)
          throw new PlatformError(
            "invalid_params",
            "code: is not the one of now. Is the clock of the authenticator right?",
          );
        const codes = Array.from({ length: recoveryCodeCount }, newRecoveryCode);
        updateAccount(database, one, {
          ...{ secondFactorAt: new Date(), lastCodeStep: step },
          recoveryCodes: codes.map(secretHash),
        });
        return c.json({ recovery_codes: codes }, 201);
      },
    )
    .delete(
      "/account/second-factor",
      account("global"),
      answers(accountAnswer),
      body(proof),
      async (c) => {
        const { account: one } = c.var;
        const code = c.req.header("Heroku-Two-Factor-Code");
        await logins.checkPassword(c, {
          account: one,
          password: c.req.valid("json").password,
          code,
        });
        const none = { sealedCodeSecret: null, secondFactorAt: null, recoveryCodes: [] };
        return c.json(presentAccount(updateAccount(database, one, none)));
      },
    );
};

/** 60 random bits in three groups, as `k3mf-9xq2-r7wd`. */
function newRecoveryCode(): string {
  const letters = "abcdefghjkmnpqrstuvwxyz23456789z";
  const group = () => Array.from({ length: 4 }, () => letters[randomInt(32)]).join("");
  return `${group()}-${group()}-${group()}`;
}

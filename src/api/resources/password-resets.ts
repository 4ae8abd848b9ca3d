import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import {
  type Account,
  findAccount,
  firstAccount,
  lookUpAccount,
  updateAccount,
} from "../../model/account.ts";
import {
  createPasswordReset,
  openPasswordReset,
  takePasswordReset,
} from "../../model/password-reset.ts";
import { endOtherSessions } from "../../model/token.ts";
import type { Platform } from "../../platform.ts";
import { answers, person, time } from "../answers.ts";
import { body } from "../body.ts";
import { newPassword } from "../password-rules.ts";
import { account, anyone, type ApiEnvironment } from "../policy.ts";
import { warn } from "../warn.ts";

const order = z.object({ email: z.string("must be an email address").max(254, "is too long") });
const choice = z.object({ password: newPassword, password_confirmation: newPassword });

const lifeDays = 7;

/** The address where an account's password can be chosen, once. */
export function invitation({ database, urls }: Platform, someone: Account) {
  const lifeMs = lifeDays * 86_400_000;
  const { reset, secret } = createPasswordReset(database, { account: someone, lifeMs });
  return { reset, url: `${urls.api}/login/password/${secret}`, days: lifeDays };
}

const resetAnswer = z.object({ created_at: time, user: person });

/** There is no mail here: the link goes to who asks, oneself or the server's owner, to be passed on. */
export const passwordResetsApi = (platform: Platform) =>
  new Hono<ApiEnvironment>()
    .post("/password-resets", account("global"), answers(resetAnswer), body(order), (c) => {
      const { database } = platform;
      const someone = lookUpAccount(database, c.req.valid("json").email);
      const { account: asking } = c.var;
      const mayAsk = asking.id === someone?.id || asking.id === firstAccount(database)?.id;
      if (!someone || !mayAsk)
        throw new PlatformError("not_found", "Couldn't find that user.", { resource: "user" });
      const { reset, url, days } = invitation(platform, someone);
      warn(c, `To choose a new password (within ${days} days): ${url}`);
      return c.json(presentReset(reset, someone), 201);
    })
    .post(
      "/password-resets/:secret/actions/finalize",
      anyone(),
      answers(resetAnswer),
      body(choice),
      async (c) => {
        const { password, password_confirmation: again } = c.req.valid("json");
        if (password !== again)
          throw new PlatformError("invalid_params", "password_confirmation: is not the same.");
        return c.json(await choosePassword(platform, c.req.param("secret"), password));
      },
    );

/** Sets the password that a link was given for; the link is used up, and sessions end. */
export async function choosePassword({ database }: Platform, secret: string, password: string) {
  const reset = openPasswordReset(database, secret);
  const passwordHash = reset ? await Bun.password.hash(password) : null;
  if (!reset || !takePasswordReset(database, reset))
    throw new PlatformError(
      "not_found",
      `No such link: it opens once, within ${lifeDays} days. Ask for a new one.`,
    );
  const someone = updateAccount(database, { id: reset.accountId }, { passwordHash });
  endOtherSessions(database, someone, undefined);
  return presentReset(reset, findAccount(database, reset.accountId) ?? someone);
}

function presentReset({ createdAt }: { createdAt: Date }, { email, id }: Account) {
  return { created_at: createdAt.toISOString(), user: { email, id } };
}

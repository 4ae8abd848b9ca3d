import { type Context, Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import {
  type Account,
  closeAccount,
  firstAccount,
  lookUpAccount,
  updateAccount,
} from "../../model/account.ts";
import { listAppsOf, removeCollaborations } from "../../model/collaborator.ts";
import { deleteTokensOf, endOtherSessions } from "../../model/token.ts";
import type { Platform } from "../../platform.ts";
import { answers, born, never, time } from "../answers.ts";
import { body } from "../body.ts";
import type { Logins } from "../logins.ts";
import { newPassword } from "../password-rules.ts";
import { type ApiEnvironment, account, self } from "../policy.ts";

const flag = z.boolean("must be true or false").optional();
const change = z.object({
  allow_tracking: flag,
  beta: flag,
  name: z.string("must be a string").max(200, "is too long").nullish(),
  email: z.email("must be an email address").max(254, "is too long").optional(),
  /** The one until now; a new one, or another email address, asks for it. */
  password: z.string("must be a string").max(1000, "is too long").optional(),
  new_password: newPassword.optional(),
});
type Change = z.output<typeof change>;

const preferences = z.object({
  timezone: z.string().max(100).nullish(),
  "default-organization": z.string().max(100).nullish(),
  "dismissed-github-banner": z.boolean().nullish(),
  "dismissed-getting-started": z.boolean().nullish(),
  "dismissed-org-access-controls": z.boolean().nullish(),
  "dismissed-org-wizard-notification": z.boolean().nullish(),
  "dismissed-pipelines-banner": z.boolean().nullish(),
  "dismissed-pipelines-github-banner": z.boolean().nullish(),
  "dismissed-pipelines-github-banners": z.array(z.uuid()).max(1000).nullish(),
  "dismissed-sms-banner": z.boolean().nullish(),
});

export const accountAnswer = z.object({
  ...born,
  allow_tracking: z.boolean(),
  beta: z.boolean(),
  country_of_residence: never,
  default_organization: never,
  default_team: never,
  delinquent_at: never,
  email: z.string(),
  federated: z.literal(false),
  identity_provider: never,
  last_login: time.nullable(),
  name: z.string().nullable(),
  sms_number: never,
  suspended_at: never,
  two_factor_authentication: z.boolean(),
  verified: z.literal(true),
});

export const accountApi = (platform: Platform, { logins }: { logins: Logins }) => {
  const { database } = platform;
  const update = async (c: Context<ApiEnvironment>, wanted: Change) =>
    presentAccount(await changeAccount(c, wanted, { database, logins }));
  const close = (c: Context<ApiEnvironment>) => {
    const gone = presentAccount(c.var.account);
    shutAccount(database, c.var.account);
    return gone;
  };
  return (
    new Hono<ApiEnvironment>()
      .get("/account", account("identity"), answers(accountAnswer), (c) =>
        c.json(presentAccount(c.var.account)),
      )
      .patch("/account", account("global"), answers(accountAnswer), body(change), async (c) =>
        c.json(await update(c, c.req.valid("json"))),
      )
      .delete("/account", account("global"), answers(accountAnswer), (c) => c.json(close(c)))
      .get("/users/:user", self("identity"), answers(accountAnswer), (c) =>
        c.json(presentAccount(c.var.account)),
      )
      .patch("/users/:user", self("global"), answers(accountAnswer), body(change), async (c) =>
        c.json(await update(c, c.req.valid("json"))),
      )
      .delete("/users/:user", self("global"), answers(accountAnswer), (c) => c.json(close(c)))
      .get("/users/:user/preferences", self("identity"), answers(preferences), (c) =>
        c.json(presentPreferences(c.var.account)),
      )
      .patch(
        "/users/:user/preferences",
        self("global"),
        answers(preferences),
        body(preferences),
        (c) => {
          const { account: before } = c.var;
          const changed = { ...before.preferences, ...c.req.valid("json") };
          return c.json(
            presentPreferences(updateAccount(database, before, { preferences: changed })),
          );
        },
      )
      .get(
        "/users/:user/sms-number",
        self("identity"),
        answers(z.object({ sms_number: never })),
        (c) => c.json({ sms_number: null }),
      )
      // Nobody pays here.
      .get(
        "/account/delinquency",
        account("identity"),
        answers(z.object({ scheduled_suspension_time: never, scheduled_deletion_time: never })),
        (c) => c.json({ scheduled_suspension_time: null, scheduled_deletion_time: null }),
      )
  );
};

async function changeAccount(
  c: Context<ApiEnvironment>,
  wanted: Change,
  { database, logins }: { database: Platform["database"]; logins: Logins },
): Promise<Account> {
  const { account: before, token } = c.var;
  const { email, new_password: next, password } = wanted;
  const isOther = email !== undefined && email !== before.email;
  if (before.passwordHash && (next !== undefined || isOther))
    await logins.checkPassword(c, { account: before, password });
  if (isOther && (lookUpAccount(database, email)?.id ?? before.id) !== before.id)
    throw new PlatformError("invalid_params", `Email address ${email} is already in use.`);
  const passwordHash = next === undefined ? undefined : await Bun.password.hash(next);
  const changed = updateAccount(database, before, {
    ...(wanted.allow_tracking !== undefined && { allowTracking: wanted.allow_tracking }),
    ...(wanted.beta !== undefined && { beta: wanted.beta }),
    ...(wanted.name !== undefined && { name: wanted.name }),
    ...(email !== undefined && { email }),
    ...(passwordHash !== undefined && { passwordHash }),
  });
  // Who knew the old password is out.
  if (next !== undefined) endOtherSessions(database, before, token.id);
  return changed;
}

function shutAccount(database: Platform["database"], account: Account): void {
  if (account.id === firstAccount(database)?.id)
    throw new PlatformError(
      "invalid_params",
      "This is the account of the server's owner, and cannot be deleted.",
    );
  const owned = listAppsOf(database, account).filter(({ ownerId }) => ownerId === account.id);
  if (owned.length > 0)
    throw new PlatformError(
      "invalid_params",
      `The account owns ${owned.length} apps (${owned[0]?.name}…). Destroy or transfer them, then delete it.`,
    );
  database.transaction(() => {
    deleteTokensOf(database, account);
    removeCollaborations(database, account);
    closeAccount(database, account);
  });
}

function presentPreferences({ preferences: set }: Account): z.input<typeof preferences> {
  const none = Object.keys(preferences.shape).map((key) => [key, null]);
  return { ...Object.fromEntries(none), ...set };
}

export function presentAccount(account: Account): z.input<typeof accountAnswer> {
  const createdAt = account.createdAt.toISOString();
  return {
    allow_tracking: account.allowTracking,
    beta: account.beta,
    country_of_residence: null,
    created_at: createdAt,
    default_organization: null,
    default_team: null,
    delinquent_at: null,
    email: account.email,
    federated: false,
    id: account.id,
    identity_provider: null,
    last_login: account.lastLoginAt?.toISOString() ?? null,
    name: account.name,
    sms_number: null,
    suspended_at: null,
    two_factor_authentication: account.secondFactorAt !== null,
    updated_at: account.updatedAt?.toISOString() ?? createdAt,
    verified: true,
  };
}

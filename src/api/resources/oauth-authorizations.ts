import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { type Account, findAccount } from "../../model/account.ts";
import { findOauthClient } from "../../model/oauth-client.ts";
import {
  deleteToken,
  issueGrant,
  issueToken,
  listTokens,
  regenerateToken,
  scopes,
  type Token,
  updateToken,
} from "../../model/token.ts";
import type { Platform } from "../../platform.ts";
import { answers, born, id, person, time } from "../answers.ts";
import { body, secondsUpTo } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { account, type ApiEnvironment, tokenOrPassword } from "../policy.ts";
import { stableId } from "../stable-id.ts";

const description = z.string("must be a string").max(500, "is too long");
const newAuthorization = z.object({
  description: description.nullish(),
  expires_in: secondsUpTo(100 * 366 * 86_400).nullish(),
  scope: z
    .array(z.enum(scopes, `must be one of ${scopes.join(", ")}`))
    .min(1, "must not be empty")
    .max(10, "is too long")
    .nullish(),
  client: z
    .union(
      [z.string(), z.object({ id: z.string(), secret: z.string().optional() })],
      "must be the id of a client",
    )
    .nullish(),
});
const change = z.object({ description: description.nullish() });

/** A secret, or what can be said of it. */
export const secretAnswer = z.object({
  expires_in: z.int().nullable(),
  id,
  token: z.string(),
});
const authorizationAnswer = z.object({
  ...born,
  access_token: secretAnswer.nullable(),
  client: z.object({ id, name: z.string(), redirect_uri: z.string() }).nullable(),
  description: z.string(),
  grant: z.object({ code: z.string(), expires_in: z.int(), id }).nullable(),
  last_used_at: time.nullable(),
  refresh_token: secretAnswer.nullable(),
  scope: z.array(z.enum(scopes)),
  session: z.object({ id }).nullable(),
  user: person.extend({ full_name: z.string().nullable() }),
});

export const oauthAuthorizationsApi = (platform: Platform) => {
  const { database } = platform;
  const find = (one: Account, id: string, current: Token): Token => {
    const wanted = id === "~" ? current.id : id;
    const found = listTokens(database, one).find((token) => token.id === wanted);
    if (found) return found;
    throw new PlatformError("not_found", "Couldn't find that authorization.", {
      resource: "authorization",
    });
  };
  const present = (token: Token, secrets?: Secrets) =>
    presentAuthorization(platform, token, secrets);
  return new Hono<ApiEnvironment>()
    .get("/oauth/authorizations", account("global"), answers(z.array(authorizationAnswer)), (c) =>
      c.json(
        pageOf(c, listTokens(database, c.var.account), {
          created_at: (one) => one.createdAt.toISOString(),
          id: (one) => one.id,
        }).map((token) => present(token)),
      ),
    )
    .post(
      "/oauth/authorizations",
      tokenOrPassword("global"),
      answers(authorizationAnswer),
      body(newAuthorization),
      (c) => {
        const wanted = c.req.valid("json");
        const { account: one, token: asking } = c.var;
        const common = {
          account: one,
          description: wanted.description ?? "",
          scope: wanted.scope ?? undefined,
        };
        if (wanted.client) {
          const id = typeof wanted.client === "string" ? wanted.client : wanted.client.id;
          const client = findOauthClient(database, id);
          if (!client)
            throw new PlatformError("invalid_params", "client: there is no such OAuth client.");
          const { token, code } = issueGrant(database, { ...common, client });
          return c.json(present(token, { code }), 201);
        }
        const expiresAt = wanted.expires_in
          ? new Date(Date.now() + wanted.expires_in * 1000)
          : null;
        const isSession = asking.id === "password";
        const { token, secret } = issueToken(database, { ...common, expiresAt, isSession });
        return c.json(present(token, { secret }), 201);
      },
    )
    .get(
      "/oauth/authorizations/:authorization",
      account("global"),
      answers(authorizationAnswer),
      (c) => c.json(present(find(c.var.account, c.req.param("authorization"), c.var.token))),
    )
    .patch(
      "/oauth/authorizations/:authorization",
      account("global"),
      answers(authorizationAnswer),
      body(change),
      (c) => {
        const token = find(c.var.account, c.req.param("authorization"), c.var.token);
        const { description: words } = c.req.valid("json");
        return c.json(present(updateToken(database, token.id, { description: words ?? "" })));
      },
    )
    .post(
      "/oauth/authorizations/:authorization/actions/regenerate-tokens",
      account("global"),
      answers(authorizationAnswer),
      (c) => {
        const token = find(c.var.account, c.req.param("authorization"), c.var.token);
        if (token.clientId)
          throw new PlatformError(
            "invalid_params",
            "This authorization is a client's, which renews its tokens by itself: POST /oauth/tokens",
          );
        const renewed = regenerateToken(database, token);
        return c.json(present(renewed.token, { secret: renewed.secret }), 200);
      },
    )
    .delete(
      "/oauth/authorizations/:authorization",
      account("global"),
      answers(authorizationAnswer),
      (c) => {
        const token = find(c.var.account, c.req.param("authorization"), c.var.token);
        deleteToken(database, token);
        return c.json(present(token));
      },
    );
};

interface Secrets {
  secret?: string;
  refresh?: string;
  code?: string;
}

/** Of a secret that was shown before only its beginning is known. */
export function hidden(token: Token): string {
  return `${token.hint ?? "STTR-"}********`;
}

export function secondsUntil(time: Date | null): number | null {
  return time && Math.max(0, Math.round((time.getTime() - Date.now()) / 1000));
}

export const accessTokenId = (token: Token) => stableId("access-token", token.id);
export const refreshTokenId = (token: Token) => stableId("refresh-token", token.id);

function presentAuthorization(
  { database }: Platform,
  token: Token,
  secrets: Secrets = {},
): z.input<typeof authorizationAnswer> {
  const owner = findAccount(database, token.accountId);
  const client = token.clientId ? findOauthClient(database, token.clientId) : undefined;
  return {
    access_token: token.grantSha256
      ? null
      : {
          expires_in: secondsUntil(token.expiresAt),
          id: accessTokenId(token),
          token: secrets.secret ?? hidden(token),
        },
    client: client ? { id: client.id, name: client.name, redirect_uri: client.redirectUri } : null,
    created_at: token.createdAt.toISOString(),
    description: token.description,
    grant: token.grantSha256
      ? {
          code: secrets.code ?? "********",
          expires_in: secondsUntil(token.grantExpiresAt) ?? 0,
          id: stableId("grant", token.id),
        }
      : null,
    id: token.id,
    last_used_at: token.lastUsedAt?.toISOString() ?? null,
    refresh_token: token.refreshSha256
      ? { expires_in: null, id: refreshTokenId(token), token: secrets.refresh ?? "********" }
      : null,
    scope: token.scope,
    session: token.isSession ? { id: stableId("session", token.id) } : null,
    updated_at: (token.updatedAt ?? token.createdAt).toISOString(),
    user: {
      email: owner?.email ?? "",
      full_name: owner?.name ?? null,
      id: token.accountId,
    },
  };
}

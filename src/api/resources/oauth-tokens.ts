import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { openOauthClient } from "../../model/oauth-client.ts";
import {
  deleteToken,
  listTokens,
  renewToken,
  type Token,
  tokenOfGrant,
} from "../../model/token.ts";
import type { Platform } from "../../platform.ts";
import { answers, born, id, never } from "../answers.ts";
import { body } from "../body.ts";
import { account, anyone, type ApiEnvironment } from "../policy.ts";
import { stableId } from "../stable-id.ts";
import {
  accessTokenId,
  hidden,
  refreshTokenId,
  secondsUntil,
  secretAnswer,
} from "./oauth-authorizations.ts";

const secret = z.string("must be a string").max(500, "is too long");
const exchange = z.object({
  client: z.object({ secret }, "must be a client with its secret"),
  grant: z.object(
    {
      type: z.enum(
        ["authorization_code", "refresh_token"],
        "must be authorization_code or refresh_token",
      ),
      code: secret.nullish(),
    },
    "must be a grant with its type",
  ),
  refresh_token: z.object({ token: secret }).nullish(),
});

const tokenAnswer = z.object({
  ...born,
  access_token: secretAnswer,
  authorization: z.object({ id }),
  client: never,
  grant: z.object({ code: z.string(), type: z.string() }),
  refresh_token: secretAnswer,
  session: z.object({ id }),
  user: z.object({ id }),
});
const sessionAnswer = z.object({
  ...born,
  description: z.string(),
  expires_in: z.int().nullable(),
});

export const oauthTokensApi = ({ database }: Platform) =>
  new Hono<ApiEnvironment>()
    // The client proves itself by its secret.
    .post("/oauth/tokens", anyone(), answers(tokenAnswer), body(exchange), (c) => {
      const { client: given, grant, refresh_token: refreshToken } = c.req.valid("json");
      const client = openOauthClient(database, given.secret);
      if (!client) throw new PlatformError("unauthorized", "Invalid client secret.");
      const proof =
        grant.type === "authorization_code"
          ? { code: grant.code ?? "" }
          : { refresh: refreshToken?.token ?? "" };
      const authorization = tokenOfGrant(database, client, proof);
      if (!authorization)
        throw new PlatformError(
          "unauthorized",
          "That code or refresh token is not valid: a code opens once, within 5 minutes, and a refresh token until the next one.",
        );
      const renewed = renewToken(database, authorization);
      const code = grant.code ?? "";
      return c.json(
        {
          ...presentToken(renewed.token, renewed),
          grant: { code, type: grant.type },
        },
        201,
      );
    })
    .delete("/oauth/tokens/:token", account("global"), answers(tokenAnswer), (c) => {
      const id = c.req.param("token");
      const found = listTokens(database, c.var.account).find((token) =>
        [token.id, accessTokenId(token), refreshTokenId(token)].includes(id),
      );
      if (!found)
        throw new PlatformError("not_found", "Couldn't find that token.", { resource: "token" });
      deleteToken(database, found);
      return c.json(presentToken(found, {}));
    })
    .get("/oauth/sessions", account("global"), answers(z.array(sessionAnswer)), (c) =>
      c.json(
        listTokens(database, c.var.account)
          .filter(({ isSession }) => isSession)
          .map(presentSession),
      ),
    )
    .delete("/oauth/sessions/:session", account("global"), answers(sessionAnswer), (c) => {
      const id = c.req.param("session");
      const found = listTokens(database, c.var.account).find(
        (token) =>
          token.isSession && (id === "~" ? token.id === c.var.token.id : sessionId(token) === id),
      );
      if (!found)
        throw new PlatformError("not_found", "Couldn't find that session.", {
          resource: "session",
        });
      deleteToken(database, found);
      return c.json(presentSession(found));
    });

const sessionId = (token: Token) => stableId("session", token.id);

function presentSession(token: Token): z.input<typeof sessionAnswer> {
  return {
    created_at: token.createdAt.toISOString(),
    description: token.description,
    expires_in: secondsUntil(token.expiresAt),
    id: sessionId(token),
    updated_at: (token.lastUsedAt ?? token.createdAt).toISOString(),
  };
}

function presentToken(
  token: Token,
  secrets: { secret?: string; refresh?: string },
): z.input<typeof tokenAnswer> {
  return {
    access_token: {
      expires_in: secondsUntil(token.expiresAt),
      id: accessTokenId(token),
      token: secrets.secret ?? hidden(token),
    },
    authorization: { id: token.id },
    client: null,
    created_at: token.createdAt.toISOString(),
    grant: { code: "********", type: "authorization_code" },
    id: token.id,
    refresh_token: {
      expires_in: null,
      id: refreshTokenId(token),
      token: secrets.refresh ?? "********",
    },
    session: { id: sessionId(token) },
    updated_at: (token.updatedAt ?? token.createdAt).toISOString(),
    user: { id: token.accountId },
  };
}

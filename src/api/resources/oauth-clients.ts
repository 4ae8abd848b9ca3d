import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import type { Account } from "../../model/account.ts";
import {
  createOauthClient,
  deleteOauthClient,
  listOauthClients,
  lookUpOauthClient,
  type OauthClient,
  rotateOauthClient,
  updateOauthClient,
} from "../../model/oauth-client.ts";
import { deleteTokensOfClient } from "../../model/token.ts";
import type { Platform } from "../../platform.ts";
import { answers, born } from "../answers.ts";
import { body } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { account, type ApiEnvironment } from "../policy.ts";

const name = z.string("must be a string").min(1, "must not be empty").max(100, "is too long");
/** Where codes go: by HTTPS, or to a program on the person's own machine. */
const redirectUri = z
  .string("must be an address")
  .max(2000, "is too long")
  .refine((text) => {
    const url = URL.parse(text);
    const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(url?.hostname ?? "");
    return url?.protocol === "https:" || (url?.protocol === "http:" && isLocal);
  }, "must be an address with https:// (or http://localhost)");
const newClient = z.object({ name, redirect_uri: redirectUri });
const change = z.object({ name: name.optional(), redirect_uri: redirectUri.optional() });

const clientAnswer = z.object({
  ...born,
  ignores_delinquent: z.literal(false),
  name: z.string(),
  redirect_uri: z.string(),
  secret: z.string(),
});

export const oauthClientsApi = ({ database }: Platform) => {
  const find = (one: Account, id: string): OauthClient => {
    const found = lookUpOauthClient(database, one, id);
    if (found) return found;
    throw new PlatformError("not_found", "Couldn't find that OAuth client.", {
      resource: "client",
    });
  };
  return new Hono<ApiEnvironment>()
    .get("/oauth/clients", account("global"), answers(z.array(clientAnswer)), (c) =>
      c.json(
        pageOf(c, listOauthClients(database, c.var.account), {
          name: (one) => one.name,
          id: (one) => one.id,
        }).map((one) => presentClient(one)),
      ),
    )
    .post("/oauth/clients", account("global"), answers(clientAnswer), body(newClient), (c) => {
      const { name, redirect_uri: redirectUri } = c.req.valid("json");
      const made = createOauthClient(database, { account: c.var.account, name, redirectUri });
      return c.json(presentClient(made.client, made.secret), 201);
    })
    .get("/oauth/clients/:client", account("global"), answers(clientAnswer), (c) =>
      c.json(presentClient(find(c.var.account, c.req.param("client")))),
    )
    .patch(
      "/oauth/clients/:client",
      account("global"),
      answers(clientAnswer),
      body(change),
      (c) => {
        const { name, redirect_uri: redirectUri } = c.req.valid("json");
        const client = updateOauthClient(database, find(c.var.account, c.req.param("client")), {
          ...(name !== undefined && { name }),
          ...(redirectUri !== undefined && { redirectUri }),
        });
        return c.json(presentClient(client));
      },
    )
    .post(
      "/oauth/clients/:client/actions/rotate-credentials",
      account("global"),
      answers(clientAnswer),
      (c) => {
        const client = find(c.var.account, c.req.param("client"));
        const rotated = rotateOauthClient(database, client);
        return c.json(presentClient(rotated.client, rotated.secret), 200);
      },
    )
    .delete("/oauth/clients/:client", account("global"), answers(clientAnswer), (c) => {
      const client = find(c.var.account, c.req.param("client"));
      deleteTokensOfClient(database, client.id);
      deleteOauthClient(database, client);
      return c.json(presentClient(client));
    });
};

/** Its secret is shown when it is made, and never again. */
function presentClient(client: OauthClient, secret = "********"): z.input<typeof clientAnswer> {
  return {
    created_at: client.createdAt.toISOString(),
    id: client.id,
    ignores_delinquent: false,
    name: client.name,
    redirect_uri: client.redirectUri,
    secret,
    updated_at: client.updatedAt.toISOString(),
  };
}

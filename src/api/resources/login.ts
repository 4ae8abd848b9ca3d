import { type Context, Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { isSameSecret, randomSecret } from "../../lib/secret.ts";
import type { Account } from "../../model/account.ts";
import { findOauthClient, type OauthClient } from "../../model/oauth-client.ts";
import { openPasswordReset } from "../../model/password-reset.ts";
import { issueGrant, issueToken, type Scope, scopes } from "../../model/token.ts";
import type { Platform } from "../../platform.ts";
import { answers } from "../answers.ts";
import { body, form, query } from "../body.ts";
import { ExpiringKeys } from "../expiring-keys.ts";
import { credentialFields, formPage, pageHeaders, wordsPage } from "../login-pages.ts";
import { clientAddress, type Logins } from "../logins.ts";
import { newPassword } from "../password-rules.ts";
import { anyone, type ApiEnvironment } from "../policy.ts";
import { choosePassword } from "./password-resets.ts";

const order = z.object({
  description: z.string("must be a string").max(500, "is too long").nullish(),
});

/** A program that waits for someone to log in with a browser. */
interface PendingLogin {
  description: string;
  address: string;
  /** What only the program knows. */
  token: string;
  result: PromiseWithResolvers<{ access_token: string } | { error: string }>;
}

const waitMs = 10 * 60_000;
const heartbeatMs = 20_000;
const sessionLifeMs = 365 * 86_400_000;
/** More than so many at a time are not people. */
const mostPending = { ofAddress: 20, all: 1000 };

/** Logins with a browser, as Heroku's command line does them, and the pages that people see. */
export const loginApi = (platform: Platform, { logins }: { logins: Logins }) => {
  const { database } = platform;
  const pending = new ExpiringKeys<PendingLogin>(waitMs, ({ result }) =>
    result.resolve({ error: "Nobody has logged in for 10 minutes. Run the command again." }),
  );
  const find = (key: string): PendingLogin => {
    const found = pending.find(key);
    if (found) return found;
    throw new PlatformError(
      "not_found",
      "No such login: it waits for 10 minutes, and opens once. Run the command again.",
    );
  };
  const enter = async (c: Context) => {
    const { email, password, code } = await form(c, "email", "password", "code");
    return logins.enter(c, { email, password, code: code || undefined });
  };
  return (
    new Hono<ApiEnvironment>()
      .post(
        "/auth",
        anyone(),
        answers(z.object({ browser_url: z.string(), cli_url: z.string(), token: z.string() })),
        body(order),
        (c) => {
          const address = clientAddress(c);
          const ofAddress = pending.count((one) => one.address === address);
          if (ofAddress >= mostPending.ofAddress || pending.count() >= mostPending.all)
            throw new PlatformError("rate_limit", "Too many logins wait. Try again in 10 minutes.");
          const token = randomSecret();
          const key = pending.add({
            ...{ token, address, result: Promise.withResolvers() },
            description: c.req.valid("json").description ?? "",
          });
          const urls = { browser_url: `/login/${key}`, cli_url: `/login/${key}/answer` };
          return c.json({ ...urls, token }, 201);
        },
      )
      .get("/login/:key/answer", anyone(), (c) => {
        const one = find(c.req.param("key"));
        const [, token = ""] = /^Bearer (\S+)$/i.exec(c.req.header("Authorization") ?? "") ?? [];
        if (!isSameSecret(token, one.token))
          throw new PlatformError("unauthorized", "Invalid credentials provided.");
        c.env?.server?.timeout(c.req.raw, 0);
        return c.body(spacesUntil(one.result.promise), 200, { "Content-Type": "application/json" });
      })
      .get("/login/:key", anyone(), (c) =>
        c.html(loginPage(find(c.req.param("key"))), 200, pageHeaders),
      )
      .post("/login/:key", anyone(), async (c) => {
        const one = find(c.req.param("key"));
        const account = await enter(c).catch(toProblem);
        if ("problem" in account) return c.html(loginPage(one, account.problem), 401, pageHeaders);
        // Someone may have been quicker while the password was looked at.
        pending.take(c.req.param("key"));
        const { secret } = issueToken(database, {
          ...{ account, description: one.description || "Login with a browser", isSession: true },
          expiresAt: new Date(Date.now() + sessionLifeMs),
        });
        one.result.resolve({ access_token: secret });
        const words = "You are logged in, and can close this page.";
        return c.html(wordsPage("Logged in", words), 200, pageHeaders);
      })
      .get("/login/password/:secret", anyone(), (c) => {
        if (!openPasswordReset(database, c.req.param("secret")))
          return c.html(wordsPage("No such link", lostLink), 404, pageHeaders);
        return c.html(passwordPage(), 200, pageHeaders);
      })
      .post("/login/password/:secret", anyone(), async (c) => {
        const { password, again } = await form(c, "password", "again");
        const chosen = newPassword.safeParse(password);
        if (!chosen.success)
          return c.html(
            passwordPage(`The password ${chosen.error.issues[0]?.message}.`),
            422,
            pageHeaders,
          );
        if (password !== again)
          return c.html(passwordPage("These are two different passwords."), 422, pageHeaders);
        const done = await choosePassword(platform, c.req.param("secret"), password).catch(
          toProblem,
        );
        if ("problem" in done) return c.html(wordsPage("No such link", lostLink), 404, pageHeaders);
        return c.html(wordsPage("The password is set", "Log in with it."), 200, pageHeaders);
      })
      // A client's request to act for someone (RFC 6749 §4.1).
      .get("/oauth/authorize", anyone(), query(clientQuery), (c) => {
        const asked = readClientRequest(database, c.req.valid("query"));
        return c.html(consentPage(asked), 200, pageHeaders);
      })
      .post("/oauth/authorize", anyone(), query(clientQuery), async (c) => {
        const asked = readClientRequest(database, c.req.valid("query"));
        const account = await enter(c).catch(toProblem);
        if ("problem" in account)
          return c.html(consentPage(asked, account.problem), 401, pageHeaders);
        return c.redirect(addressWithCode(platform, account, asked), 303);
      })
  );
};

const lostLink = "A link opens once, within 7 days. Ask who gave it to you for a new one.";

/** JSON that comes at last, with spaces before it: nobody takes the silence for the end. */
function spacesUntil(result: Promise<object>): ReadableStream<Uint8Array> {
  let heartbeat: Timer | undefined;
  const space = Buffer.from(" ");
  return new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(space);
      heartbeat = setInterval(() => controller.enqueue(space), heartbeatMs);
      const answer = await result;
      clearInterval(heartbeat);
      try {
        controller.enqueue(Buffer.from(JSON.stringify(answer)));
        controller.close();
      } catch {
        // The program has left; its token waits to expire.
      }
    },
    cancel: () => clearInterval(heartbeat),
  });
}

function toProblem(error: unknown): { problem: string } {
  if (error instanceof PlatformError) return { problem: error.message };
  throw error;
}

function loginPage({ description, address }: PendingLogin, problem?: string): string {
  const who = description === "" ? "A program" : description;
  return formPage({
    title: "Log in",
    words: [
      `${who} at ${address} wants to act for you, with all that you may do.`,
      "Go on only if you have just begun this yourself.",
    ],
    fields: [...credentialFields],
    button: "Log in",
    problem,
  });
}

function passwordPage(problem?: string): string {
  return formPage({
    title: "Choose a password",
    words: ["At least 10 characters. Other logins of this account end."],
    fields: [
      { name: "password", label: "New password", type: "password" },
      { name: "again", label: "And again", type: "password" },
    ],
    button: "Set the password",
    problem,
  });
}

const clientQuery = z.object({
  client_id: z.string("must be the id of an OAuth client"),
  response_type: z.literal("code", "must be code"),
  scope: z
    .string("must be words")
    .default("identity")
    .transform((words) => words.split(/[\s,]+/).filter(Boolean))
    .pipe(
      z
        .array(z.enum(scopes, `must be some of ${scopes.join(", ")}`))
        .min(1)
        .max(10),
    ),
  state: z.string("must be a text").optional(),
});

interface ClientRequest {
  client: OauthClient;
  scope: Scope[];
  state: string | undefined;
}

function readClientRequest(
  database: Platform["database"],
  { client_id: id, scope, state }: z.output<typeof clientQuery>,
): ClientRequest {
  const client = findOauthClient(database, id);
  if (!client)
    throw new PlatformError("not_found", "client_id: there is no such OAuth client.", {
      resource: "client",
    });
  return { client, scope, state };
}

function consentPage({ client, scope }: ClientRequest, problem?: string): string {
  return formPage({
    title: `${client.name} wants to act for you`,
    words: [
      `It asks for: ${scope.join(", ")}. What it gets goes to ${new URL(client.redirectUri).host}.`,
      "Log in to let it. You can end this at any time: authorizations:revoke.",
    ],
    fields: [...credentialFields],
    button: "Allow",
    problem,
  });
}

function addressWithCode(
  { database }: Platform,
  account: Account,
  { client, scope, state }: ClientRequest,
): string {
  const { code } = issueGrant(database, { account, client, description: client.name, scope });
  const address = new URL(client.redirectUri);
  address.searchParams.set("code", code);
  if (state !== undefined) address.searchParams.set("state", state);
  return address.href;
}

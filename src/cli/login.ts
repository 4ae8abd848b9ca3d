import { hostname } from "node:os";
import { createClient, reach } from "../api/client.ts";
import { readLine } from "./confirm.ts";
import { answerOf } from "./connect.ts";
import { CommandFailure, RefusedByServer } from "./failures.ts";
import { openBrowser } from "./open-browser.ts";
import { readSecret } from "./read-secret.ts";
import type { World } from "./world.ts";

const lifeSeconds = 365 * 86_400;
const describe = () => `stator login from ${hostname()}`;

/** Asks for email address, password and, where the account has one, the second factor; returns a token. */
export async function loginByPassword(world: World, api: string): Promise<string> {
  if (process.stdin.isTTY) world.err("Email: ");
  const email = await readLine();
  const password = await readSecret(world, "Password: ");
  const attempt = (code?: string) =>
    answerOf(
      createClient(api, "").oauth.authorizations.$post(
        { json: { description: describe(), expires_in: lifeSeconds } },
        {
          headers: {
            Authorization: `Basic ${Buffer.from(`${email}:${password}`).toString("base64")}`,
            ...(code === undefined ? {} : { "Heroku-Two-Factor-Code": code }),
          },
        },
      ),
    );
  const made = await attempt().catch(async (error: unknown) => {
    if (!(error instanceof RefusedByServer) || error.id !== "two_factor") throw error;
    return attempt(await readSecret(world, "Two-factor code: "));
  });
  return made.access_token?.token ?? "";
}

/** Has a browser log in, here or on another machine, and waits for it; returns a token. */
export async function loginByBrowser(world: World, api: string): Promise<string> {
  const waiting = await answerOf(
    createClient(api, "").auth.$post({ json: { description: describe() } }),
  );
  const page = new URL(waiting.browser_url, api).href;
  world.err(`Log in with a browser:\n  ${page}\nWaiting for it... `);
  await openBrowser(world, page);
  const { url, headers } = reach(new URL(waiting.cli_url, api).href);
  const answer = await fetch(url, {
    headers: { ...headers, Authorization: `Bearer ${waiting.token}` },
    timeout: false,
  } as RequestInit);
  const said = (await answer.json()) as { access_token?: string; error?: string; message?: string };
  world.err("\n");
  if (said.access_token === undefined)
    throw new CommandFailure(said.error ?? said.message ?? "The login was not answered.");
  return said.access_token;
}

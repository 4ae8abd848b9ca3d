import { type Client, createClient } from "../api/client.ts";
import { version } from "../lib/version.ts";
import { readCredentials } from "./credentials.ts";
import { CommandFailure, RefusedByServer } from "./failures.ts";
import type { World } from "./world.ts";

/** A client of the server that this person is logged in to; says what the server says beside its answers. */
export function connect(world: World): Client {
  const { api, token } = readCredentials(world.settings);
  let versionIsTold = false;
  return createClient(api, token, (headers) => {
    const warning = headers.get("X-Heroku-Warning");
    if (warning !== null) warn(world, `Warning: ${warning}`);
    const words = versionIsTold ? undefined : differenceOf(version, headers.get("Stator-Version"));
    if (words !== undefined) warn(world, words);
    versionIsTold = true;
  });
}

function warn(world: World, words: string): void {
  for (const line of words.split("\n")) world.err(` ▸    ${line}\n`);
}

/** What a person should know of a server of another version; patches go together. Pure. */
export function differenceOf(own: string, servers: string | null): string | undefined {
  const line = (text: string) => text.split(".").slice(0, 2).join(".");
  if (servers === null || line(servers) === line(own)) return undefined;
  return `Warning: this is stator ${own}, and the server is ${servers}: what one of them does not know will not work.\nThe server's own is on its machine: copy it from there.`;
}

interface Answer {
  ok: boolean;
  status: number;
  url: string;
  json(): Promise<unknown>;
}

/** The body of a good answer; a bad one, or none, becomes a failure that says why and what to do. */
export async function answerOf<A extends Answer>(
  request: Promise<A>,
): Promise<Awaited<ReturnType<A["json"]>>> {
  const answer = await request.catch((error: Error) => {
    throw unreachable(error);
  });
  const body = await answer.json().catch(() => {
    throw new CommandFailure(
      `The server at ${new URL(answer.url).host} answered ${answer.status}, but not as an API does.\nCheck the address: stator login --api https://api.DOMAIN`,
    );
  });
  if (answer.ok) return body as Awaited<ReturnType<A["json"]>>;
  const { id, message } = body as { id?: string; message?: string };
  const wayOut = id === "unauthorized" ? "\nLog in again: stator login" : "";
  throw new RefusedByServer(`${message ?? `The server answered ${answer.status}.`}${wayOut}`, id);
}

/** Why no server answers, and what to do. */
export function unreachable({ message }: Error): CommandFailure {
  if (/certificate/i.test(message))
    return new CommandFailure(
      `Cannot trust the server: ${message}\nHave a server with a certificate of its own making? Copy its DATA/certificates/DOMAIN.pem here, then:\n  NODE_EXTRA_CA_CERTS=DOMAIN.pem stator …\n  git config --global http.https://git.DOMAIN/.sslCAInfo /path/of/DOMAIN.pem`,
    );
  return new CommandFailure(
    `Cannot reach the server: ${message}\nIs it running, and is its address right? See stator auth:whoami, stator login --api URL`,
  );
}

import { type Client, createClient } from "../api/client.ts";
import type { CliSettings } from "../settings.ts";
import { readCredentials } from "./credentials.ts";
import { CommandFailure } from "./failures.ts";

/** A client of the server that this person is logged in to. */
export function connect(settings: CliSettings): Client {
  const { api, token } = readCredentials(settings);
  return createClient(api, token);
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
    if (/certificate/i.test(error.message))
      throw new CommandFailure(
        `Cannot trust the server: ${error.message}\nHave a server with a certificate of its own making? Copy its DATA/certificates/DOMAIN.pem here, then:\n  NODE_EXTRA_CA_CERTS=DOMAIN.pem stator …\n  git config --global http.https://git.DOMAIN/.sslCAInfo /path/of/DOMAIN.pem`,
      );
    throw new CommandFailure(
      `Cannot reach the server: ${error.message}\nIs it running, and is its address right? See stator auth:whoami, stator login --api URL`,
    );
  });
  const body = await answer.json().catch(() => {
    throw new CommandFailure(
      `The server at ${new URL(answer.url).host} answered ${answer.status}, but not as an API does.\nCheck the address: stator login --api https://api.DOMAIN`,
    );
  });
  if (answer.ok) return body as Awaited<ReturnType<A["json"]>>;
  const { id, message } = body as { id?: string; message?: string };
  const wayOut = id === "unauthorized" ? "\nLog in again: stator login" : "";
  throw new CommandFailure(`${message ?? `The server answered ${answer.status}.`}${wayOut}`);
}

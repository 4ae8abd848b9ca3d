import { readFileSync } from "node:fs";
import { Agent } from "node:https";
import type acme from "acme-client";
import { z } from "zod";

export interface AcmeAccount {
  directoryUrl: string;
  /** PEM. */
  privateKey: string;
  url: string;
}

export interface CertificateAuthority {
  directoryUrl: string;
  /** Certificates to trust for a CA of one's own; the system's, if left out. */
  caBundlePath?: string | undefined;
  email?: string | undefined;
  /** Between two looks at an order. */
  pollMs?: number | undefined;
}

/** What the CA says about itself. */
export interface AuthorityDirectory {
  /** The names by which CAA records allow it; none when it does not say. */
  caaIdentities: string[];
}

/** What the CA asks for: the answer to a token, or the text of a TXT record. */
interface Challenge {
  host: string;
  token: string;
  value: string;
}

/** How the CA is shown that a name is ours. */
export interface ChallengeResponder {
  kind: "http-01" | "dns-01";
  /** Resolves when the answer can be seen from outside. */
  present(challenge: Challenge): Promise<void>;
  remove(challenge: Challenge): Promise<void>;
}

const directorySchema = z.object({
  newOrder: z.string(),
  meta: z.object({ caaIdentities: z.array(z.string()).optional() }).optional(),
});
const requestTimeoutMs = 30_000;

/** A CA that can't be reached, or is none, is said so here, before anything is asked of it. */
export async function readDirectory(authority: CertificateAuthority): Promise<AuthorityDirectory> {
  const { directoryUrl, caBundlePath } = authority;
  const response = await fetch(directoryUrl, {
    signal: AbortSignal.timeout(requestTimeoutMs),
    ...(caBundlePath === undefined ? {} : { tls: { ca: readFileSync(caBundlePath, "utf8") } }),
  }).catch((error: Error) => {
    throw new Error(
      `The certificate authority at ${directoryUrl} can't be reached: ${error.message}`,
    );
  });
  const directory = directorySchema.safeParse(await response.json().catch(() => undefined));
  if (!directory.success)
    throw new Error(`${directoryUrl} answers ${response.status}, but is no ACME directory`);
  return { caaIdentities: directory.data.meta?.caaIdentities ?? [] };
}

/** Not before it is needed: it takes 30 MB of memory, and a quarter of a second. */
async function loadAcme(): Promise<typeof acme> {
  return (await import("acme-client")).default;
}

/** A new account at the CA; to be kept, since limits and renewals hang on it. */
export async function createAccount(authority: CertificateAuthority): Promise<AcmeAccount> {
  const { crypto } = await loadAcme();
  const privateKey = (await crypto.createPrivateEcdsaKey("P-256")).toString();
  const client = await openClient(authority, privateKey);
  await client.createAccount({
    termsOfServiceAgreed: true,
    ...(authority.email === undefined ? {} : { contact: [`mailto:${authority.email}`] }),
  });
  return { directoryUrl: authority.directoryUrl, privateKey, url: client.getAccountUrl() };
}

async function openClient(
  authority: CertificateAuthority,
  accountKey: string,
  accountUrl?: string,
): Promise<acme.Client> {
  const { directoryUrl, caBundlePath, pollMs = 2_000 } = authority;
  const { axios, Client } = await loadAcme();
  Object.assign(axios.defaults, {
    timeout: requestTimeoutMs,
    // Its own retries would hide for minutes what the back-off above can say at once.
    acmeSettings: { retryMaxAttempts: 0, retryDefaultDelay: 0 },
    httpsAgent: new Agent(caBundlePath === undefined ? {} : { ca: readFileSync(caBundlePath) }),
  });
  return new Client({
    directoryUrl,
    accountKey,
    ...(accountUrl === undefined ? {} : { accountUrl }),
    ...{ backoffAttempts: 12, backoffMin: pollMs, backoffMax: 10 * pollMs },
  });
}

/** Has the CA sign a new key for one name; throws the CA's own words when it does not. */
export async function orderCertificate(
  host: string,
  options: { authority: CertificateAuthority; account: AcmeAccount; responder: ChallengeResponder },
): Promise<{ certificateChain: string; privateKey: string }> {
  const { authority, account, responder } = options;
  const { crypto } = await loadAcme();
  const client = await openClient(authority, account.privateKey, account.url);
  const order = await client.createOrder({ identifiers: [{ type: "dns", value: host }] });
  for (const authorization of await client.getAuthorizations(order))
    if (authorization.status !== "valid")
      await authorize(client, authorization, { host, responder });
  // A name in the subject is not wanted any more: the names are in the extension.
  const [privateKey, request] = await crypto.createCsr(
    { altNames: [host] },
    await crypto.createPrivateEcdsaKey("P-256"),
  );
  const finalized = await client.finalizeOrder(order, request);
  const certificateChain = await client.getCertificate(finalized);
  return { certificateChain, privateKey: privateKey.toString() };
}

async function authorize(
  client: acme.Client,
  authorization: acme.Authorization,
  { host, responder }: { host: string; responder: ChallengeResponder },
): Promise<void> {
  const challenge = authorization.challenges.find(({ type }) => type === responder.kind);
  if (challenge === undefined)
    throw new Error(`The certificate authority offers no ${responder.kind} for ${host}`);
  const value = await client.getChallengeKeyAuthorization(challenge);
  const shown = { host, token: challenge.token, value };
  try {
    await responder.present(shown);
    await client.completeChallenge(challenge);
    await client.waitForValidStatus(challenge);
  } finally {
    await responder.remove(shown).catch(() => {});
  }
}

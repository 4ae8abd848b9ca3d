import { domainToASCII } from "node:url";
import type { Client, DomainAnswer } from "../api/client.ts";
import { answerOf } from "./connect.ts";
import { CommandFailure } from "./failures.ts";
import { withProgress } from "./progress.ts";
import type { World } from "./world.ts";

const lookEveryMs = 1_000;
/** Until then a refusal may be that DNS has not heard of a record yet. */
const patienceMs = 10 * 60_000;

/**
 * Waits until a domain is served with its certificate, and says what is in the way meanwhile; fails
 * when there is none after ten minutes, or the authority was asked too often.
 */
export async function waitForDomain(
  { api, world }: { api: Client; world: World },
  app: string,
  domain: DomainAnswer,
): Promise<void> {
  const param = { app, domain: domain.id };
  const untilMs = performance.now() + patienceMs;
  await withProgress(world, `Waiting for ${domain.hostname}`, async (progress) => {
    for (let said = "", now = domain; ; await Bun.sleep(lookEveryMs)) {
      const { acm_status: status, acm_status_reason: reason } = now;
      if (now.status !== "pending" && (status === null || now.acm_certificate !== null)) break;
      if (status === "failed" || performance.now() > untilMs)
        throw new CommandFailure(
          `${domain.hostname} has no certificate: ${reason ?? "the authority has not answered yet"}\nSee stator certs:auto; when it is put right: stator certs:auto:refresh`,
        );
      if (reason !== null && reason !== said) progress.say(` ▸    ${reason}`);
      said = reason ?? said;
      now = await answerOf(api.apps[":app"].domains[":domain"].$get({ param }));
    }
    progress.end("done");
  });
}

/** The app's own certificate that is good for a name; nothing when it has none. */
export async function coveringCertificate(
  api: Client,
  { app, hostname }: { app: string; hostname: string },
): Promise<string | undefined> {
  const name = hostname.replace(/\.$/, "");
  const host = name.startsWith("*.") ? `*.${domainToASCII(name.slice(2))}` : domainToASCII(name);
  const endpoints = await answerOf(api.apps[":app"]["sni-endpoints"].$get({ param: { app } }));
  return endpoints.find(({ ssl_cert }) => isCovered(ssl_cert.cert_domains, host))?.name;
}

/** Whether one of a certificate's names is good for a host: itself, or a wildcard for its first label. */
export function isCovered(names: readonly string[], hostname: string): boolean {
  return names.includes(hostname) || names.includes(hostname.replace(/^[^.]+/, "*"));
}

/** The domains of an app, its own name too. */
export function listDomains({ api }: { api: Client }, app: string): Promise<DomainAnswer[]> {
  return answerOf(
    api.apps[":app"].domains.$get(
      { param: { app } },
      { headers: { Range: "hostname ..; max=1000" } },
    ),
  );
}

/** Those without its own name. */
export async function listCustomDomains(
  { api }: { api: Client },
  app: string,
): Promise<DomainAnswer[]> {
  return (await listDomains({ api }, app)).filter(({ kind }) => kind === "custom");
}

import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { createAutomaticCertificates } from "../certs/automatic-certificates.ts";
import { openCertificateFolder } from "../certs/certificate-files.ts";
import { type CertificateFiles, selfSignedCertificate } from "../certs/self-signed.ts";
import { createCertificateStore } from "../deploy/automatic-certificates.ts";
import {
  type Certificates,
  openCertificates,
  routedCertificates,
  warnOfExpiry,
} from "../deploy/certificates.ts";
import { type Domains, openDomains } from "../deploy/domains.ts";
import { tell } from "../deploy/release-context.ts";
import { createRoutePublisher, routeTable } from "../deploy/routes.ts";
import { changeVisitorRules, type VisitorRulesChange } from "../deploy/visitor-rules.ts";
import type { LiveDyno } from "../dyno/live-dyno.ts";
import type { Account } from "../model/account.ts";
import type { App } from "../model/app.ts";
import type { VisitorRules } from "../model/visitor-rules.ts";
import { isPublicAddress } from "../router/addresses.ts";
import type { RouterClient } from "../router/router-client.ts";
import type { ServerSettings } from "../settings/server-settings.ts";
import type { Ground } from "./ground.ts";

/** How apps are reached: their names, certificates, and who may visit them. */
export interface Ways {
  domains: Domains;
  certificates: Certificates;
  /** Who may visit the app, and how. */
  changeVisitorRules(
    app: App,
    options: { change: VisitorRulesChange; user: Account },
  ): Promise<VisitorRules>;
  /** The certificate of the platform's own names, for what is not behind the router. */
  ownCertificate(): Promise<CertificateFiles>;
  /** Where the internet finds this machine, as far as its network cards know. */
  publicAddresses(): string[];
}

/** How a started router is reached, and where it brings what is not for apps. */
export interface RouterSurroundings {
  router: RouterClient;
  /** Public ports; the ones in the URLs. */
  httpPort: number | null;
  httpsPort: number | null;
  /** Unix socket of API and git. */
  platformSocket: string;
  /** Where the router brings clients of attached dynos. */
  rendezvousSocket: string;
}

export async function openWays(
  { dataDir, database, vault, logs }: Ground,
  { domain, acme }: ServerSettings,
  options: { surroundings: RouterSurroundings; liveDynos: () => LiveDyno[] },
) {
  const { router, httpsPort, platformSocket, rendezvousSocket } = options.surroundings;
  const folder = openCertificateFolder(join(dataDir, "router", "certificates"));
  const names = { domain, hasDnsHook: acme?.dnsHook !== undefined };
  const challenges: Record<string, string> = {};
  const selfSigned = () => selfSignedCertificate(join(dataDir, "certificates"), domain);
  const ofOurMaking = httpsPort === null ? [] : [await selfSigned()];
  const signed = () => routedCertificates({ database, vault, names, folder });
  const routes = createRoutePublisher(
    router,
    () =>
      routeTable({
        ...{ database, vault, domain, platformSocket, rendezvousSocket, challenges },
        certificates: [...ofOurMaking, ...signed()],
        liveDynos: options.liveDynos(),
      }),
    (table) => folder.retain(table.certificates),
  );
  const store = createCertificateStore({
    ...{ database, vault, names, directoryUrl: acme?.directoryUrl ?? "" },
    tell: (app, message) =>
      app ? tell({ logs }, app, message) : void process.stderr.write(`${message}\n`),
  });
  const automatic =
    acme &&
    createAutomaticCertificates({
      ...{ store, authority: acme, httpPort: acme.httpPort, dnsServers: acme.dnsServers },
      dnsHook: acme.dnsHook === undefined ? undefined : [acme.dnsHook],
      isReachable: acme.isPublic ? isPublicAddress : undefined,
      http01: {
        async put(token, value) {
          challenges[token] = value;
          await routes.publish();
        },
        async remove(token) {
          delete challenges[token];
          await routes.publish();
        },
      },
      onIssued: () => routes.publish(),
    });

  /** In the background: authorities take their time, and no other work waits for them. */
  function seeToCertificates(): void {
    const complain = (error: Error) => void process.stderr.write(`certificates: ${error.stack}\n`);
    Promise.try(warnOfExpiry, { database, logs }).catch(complain);
    automatic?.reconcile().catch(complain);
  }

  const context = {
    ...{ database, vault, logs, platformDomain: domain, hasAuthority: automatic !== null },
    async routesChanged() {
      await routes.publish();
      seeToCertificates();
    },
  };
  const ways: Ways = {
    domains: openDomains(context),
    certificates: openCertificates(context),
    changeVisitorRules: (app, change) =>
      changeVisitorRules({ ...context, hasHttps: httpsPort !== null }, app, change),
    async ownCertificate() {
      const of = (name: string) => signed().find(({ hosts }) => hosts.includes(name));
      return of(`api.${domain}`) ?? of(`*.${domain}`) ?? selfSigned();
    },
    publicAddresses: () =>
      Object.values(networkInterfaces()).flatMap((cards) =>
        (cards ?? []).map(({ address }) => address).filter(isPublicAddress),
      ),
  };
  return { ways, routes, seeToCertificates, close: () => store.close() };
}

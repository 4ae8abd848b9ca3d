import type { Account } from "../model/account.ts";
import type { App } from "../model/app.ts";
import { createDomain, deleteDomain, type Domain, updateDomain } from "../model/domain.ts";
import { findSniEndpoint } from "../model/sni-endpoint.ts";
import { type DomainContext, refuseOtherNames } from "./certificates.ts";
import { tell } from "./release-context.ts";

/** What is done with the names of apps; the router knows of it when a verb resolves. No releases. */
export interface Domains {
  /** With a certificate of the app's own, or (`null`) an automatic one. */
  add(
    app: App,
    options: { hostname: string; sniEndpoint: string | null; user: Account },
  ): Promise<Domain>;
  setSniEndpoint(
    app: App,
    options: { domain: Domain; sniEndpoint: string | null; user: Account },
  ): Promise<Domain>;
  remove(app: App, options: { domain: Domain; user: Account }): Promise<void>;
}

export function openDomains(context: DomainContext): Domains {
  const { database, platformDomain, routesChanged } = context;

  /** One of the app's own that is good for a name. */
  function endpointFor(app: App, hostname: string, idOrName: string): string {
    const endpoint = findSniEndpoint(database, app, idOrName);
    refuseOtherNames(endpoint.certificateNames, [hostname]);
    return endpoint.id;
  }

  return {
    async add(app, { hostname, sniEndpoint, user }) {
      const domain = database.transaction(() => {
        const made = createDomain(database, {
          ...{ app, hostname, platformDomain, sniEndpointId: null },
        });
        if (sniEndpoint === null) return made;
        return updateDomain(database, made, {
          sniEndpointId: endpointFor(app, made.hostname, sniEndpoint),
        });
      });
      tell(context, app, `Add domain ${domain.hostname} by user ${user.email}`);
      await routesChanged();
      return domain;
    },
    async setSniEndpoint(app, { domain, sniEndpoint, user }) {
      const changed = updateDomain(database, domain, {
        sniEndpointId: sniEndpoint && endpointFor(app, domain.hostname, sniEndpoint),
      });
      tell(
        context,
        app,
        `Set certificate of domain ${domain.hostname} to ${sniEndpoint ?? "an automatic one"} by user ${user.email}`,
      );
      await routesChanged();
      return changed;
    },
    async remove(app, { domain, user }) {
      deleteDomain(database, domain);
      tell(context, app, `Remove domain ${domain.hostname} by user ${user.email}`);
      await routesChanged();
    },
  };
}

import { Hono } from "hono";
import { z } from "zod";
import { isAutomatic } from "../../deploy/automatic-certificates.ts";
import { PlatformError } from "../../lib/platform-error.ts";
import type { App } from "../../model/app.ts";
import {
  type AutomaticCertificateRow,
  lookUpAutomaticCertificate,
} from "../../model/automatic-certificate.ts";
import { type Domain, listDomains, lookUpDomain } from "../../model/domain.ts";
import { findSniEndpoint } from "../../model/sni-endpoint.ts";
import type { Platform } from "../../platform.ts";
import { type ApiEnvironment, member } from "../policy.ts";
import { body } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { stableId } from "../stable-id.ts";

const sniEndpoint = z
  .string("must be the name or id of a certificate, or null")
  .nullable()
  // Terraform has no other way to say that there is none.
  .transform((endpoint) => endpoint || null);
const newDomain = z.object({
  hostname: z.string("must be a host name, as www.example.com"),
  sni_endpoint: sniEndpoint.optional(),
});
const change = z.object({ sni_endpoint: sniEndpoint });

export const domainsApi = (platform: Platform) => {
  const { database, domains } = platform;
  return new Hono<ApiEnvironment>()
    .get("/:app/domains", member("read"), (c) => {
      const { app } = c.var;
      const addresses = platform.publicAddresses();
      const custom = listDomains(database, app).map((one) =>
        presentDomain(platform, app, one, addresses),
      );
      return c.json(
        pageOf(c, [presentOwnName(platform, app), ...custom], {
          hostname: (one) => one.hostname,
          // Its name in older clients.
          domain: (one) => one.hostname,
          id: (one) => one.id,
          created_at: (one) => one.created_at,
          updated_at: (one) => one.updated_at,
        }),
      );
    })
    .post("/:app/domains", member("write"), body(newDomain), async (c) => {
      const { app } = c.var;
      const { hostname, sni_endpoint: endpoint = null } = c.req.valid("json");
      const options = { hostname, sniEndpoint: endpoint, user: c.var.account };
      return c.json(presentDomain(platform, app, await domains.add(app, options)), 201);
    })
    .get("/:app/domains/:domain", member("read"), (c) => {
      const { app } = c.var;
      const own = presentOwnName(platform, app);
      const word = c.req.param("domain");
      if (word === own.hostname || word === own.id) return c.json(own);
      return c.json(presentDomain(platform, app, findCustom(platform, app, word)));
    })
    .patch("/:app/domains/:domain", member("write"), body(change), async (c) => {
      const { app } = c.var;
      const domain = findCustom(platform, app, c.req.param("domain"));
      const changed = await domains.setSniEndpoint(app, {
        ...{ domain, sniEndpoint: c.req.valid("json").sni_endpoint, user: c.var.account },
      });
      return c.json(presentDomain(platform, app, changed));
    })
    .delete("/:app/domains/:domain", member("write"), async (c) => {
      const { app } = c.var;
      const domain = findCustom(platform, app, c.req.param("domain"));
      const answer = presentDomain(platform, app, domain);
      await domains.remove(app, { domain, user: c.var.account });
      return c.json(answer);
    });
};

function findCustom(platform: Platform, app: App, idOrHostname: string): Domain {
  const found = lookUpDomain(platform.database, app, idOrHostname);
  if (found) return found;
  const own = presentOwnName(platform, app);
  if (idOrHostname === own.hostname || idOrHostname === own.id)
    throw new PlatformError(
      "invalid_params",
      `${own.hostname} is the app's own name on this server. It goes with the app, and changes by stator apps:rename.`,
    );
  throw new PlatformError(
    "not_found",
    `Couldn't find that domain: ${JSON.stringify(idOrHostname.slice(0, 260))}. See stator domains -a ${app.name}.`,
  );
}

function presentDomain(
  platform: Platform,
  app: App,
  domain: Domain,
  addresses: string[] = platform.publicAddresses(),
) {
  const { database } = platform;
  const { id, hostname, sniEndpointId } = domain;
  const endpoint = sniEndpointId === null ? null : findSniEndpoint(database, app, sniEndpointId);
  const automatic =
    platform.certificates.hasAuthority && isAutomatic(app, domain)
      ? (lookUpAutomaticCertificate(database, hostname) ?? "pending")
      : null;
  return {
    ...presentAutomatic(automatic),
    app: { id: app.id, name: app.name },
    cname: ownNameOf(platform, app) as string | null,
    created_at: domain.createdAt.toISOString(),
    /** Ours: where a name that cannot have a CNAME is pointed to. */
    dns_addresses: addresses,
    hostname,
    id,
    kind: "custom" as "custom" | "heroku",
    sni_endpoint: endpoint && { id: endpoint.id, name: endpoint.name },
    /** It is routed when it is answered. */
    status: "succeeded",
    updated_at: domain.updatedAt.toISOString(),
  };
}

/** The name that each app has from the platform. */
function presentOwnName(platform: Platform, app: App): ReturnType<typeof presentDomain> {
  const { database, certificates } = platform;
  const hostname = ownNameOf(platform, app);
  const automatic = certificates.hasAuthority
    ? (lookUpAutomaticCertificate(database, hostname) ??
      lookUpAutomaticCertificate(database, hostname.replace(app.name, "*")))
    : undefined;
  return {
    ...presentAutomatic(automatic ?? null),
    app: { id: app.id, name: app.name },
    cname: null,
    created_at: app.createdAt.toISOString(),
    dns_addresses: [],
    hostname,
    id: stableId("domain", app.id),
    kind: "heroku",
    sni_endpoint: null,
    status: "succeeded",
    updated_at: app.updatedAt.toISOString(),
  };
}

function ownNameOf({ urls }: Platform, app: App): string {
  return new URL(urls.web(app)).hostname;
}

/** From so many failures in a row on Heroku's word is `failed`; the next try is hours away. */
const failuresUntilFailed = 5;

function presentAutomatic(row: AutomaticCertificateRow | "pending" | null) {
  if (row === null || row === "pending")
    return { acm_certificate: null, acm_status: row as string | null, acm_status_reason: null };
  const { status, reason, failures, issuer, startsAt, expiresAt } = row;
  const words: Record<typeof status, string> = {
    pending: "pending",
    "in-progress": "in-progress",
    "dns-verified": "dns-verified",
    issued: "cert issued",
    failing: failures < failuresUntilFailed ? "failing" : "failed",
  };
  return {
    /** Ours: what is served now, also while a new one fails. */
    acm_certificate:
      startsAt && expiresAt
        ? {
            expires_at: expiresAt.toISOString(),
            issuer: issuer ?? "",
            starts_at: startsAt.toISOString(),
          }
        : null,
    acm_status: words[status],
    acm_status_reason: reason,
  };
}

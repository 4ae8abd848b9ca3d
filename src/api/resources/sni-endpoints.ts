import { Hono } from "hono";
import { z } from "zod";
import { expiryWarning } from "../../deploy/certificates.ts";
import type { App } from "../../model/app.ts";
import { listDomainsOfEndpoint } from "../../model/domain.ts";
import { findSniEndpoint, listSniEndpoints, type SniEndpoint } from "../../model/sni-endpoint.ts";
import type { Platform } from "../../platform.ts";
import { type ApiEnvironment, member } from "../policy.ts";
import { body } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { stableId } from "../stable-id.ts";

const certificate = z.object({
  certificate_chain: z.string("must be certificates in PEM"),
  private_key: z.string("must be a private key in PEM"),
});

/** Certificates that apps have brought themselves. The private key goes in, and never comes out. */
export const sniEndpointsApi = (platform: Platform) => {
  const { database, certificates } = platform;
  return new Hono<ApiEnvironment>()
    .get("/:app/sni-endpoints", member("read"), (c) => {
      const { app } = c.var;
      const all = listSniEndpoints(database, app).map((one) => presentEndpoint(platform, app, one));
      return c.json(
        pageOf(c, all, {
          name: (one) => one.name,
          id: (one) => one.id,
          created_at: (one) => one.created_at,
          updated_at: (one) => one.updated_at,
        }),
      );
    })
    .post("/:app/sni-endpoints", member("write"), body(certificate), async (c) => {
      const { app } = c.var;
      const pem = pemOf(c.req.valid("json"));
      const endpoint = await certificates.add(app, { pem, user: c.var.account });
      return c.json(presentEndpoint(platform, app, endpoint), 201);
    })
    .get("/:app/sni-endpoints/:endpoint", member("read"), (c) => {
      const { app } = c.var;
      const endpoint = findSniEndpoint(database, app, c.req.param("endpoint"));
      return c.json(presentEndpoint(platform, app, endpoint));
    })
    .patch("/:app/sni-endpoints/:endpoint", member("write"), body(certificate), async (c) => {
      const { app } = c.var;
      const endpoint = findSniEndpoint(database, app, c.req.param("endpoint"));
      const pem = pemOf(c.req.valid("json"));
      const replaced = await certificates.replace(app, { endpoint, pem, user: c.var.account });
      return c.json(presentEndpoint(platform, app, replaced));
    })
    .delete("/:app/sni-endpoints/:endpoint", member("write"), async (c) => {
      const { app } = c.var;
      const endpoint = findSniEndpoint(database, app, c.req.param("endpoint"));
      const answer = presentEndpoint(platform, app, endpoint);
      await certificates.remove(app, { endpoint, user: c.var.account });
      return c.json(answer);
    });
};

function pemOf(given: z.output<typeof certificate>) {
  return { certificateChain: given.certificate_chain, privateKey: given.private_key };
}

function presentEndpoint({ database }: Platform, app: App, endpoint: SniEndpoint) {
  return {
    app: { id: app.id, name: app.name },
    certificate_chain: endpoint.givenChain ?? endpoint.certificateChain,
    created_at: endpoint.createdAt.toISOString(),
    display_name: null,
    domains: listDomainsOfEndpoint(database, endpoint).map(({ id }) => id),
    expiry_warning: expiryWarning(endpoint) ?? null,
    id: endpoint.id,
    name: endpoint.name,
    ssl_cert: {
      acm: false,
      "ca_signed?": endpoint.trusted,
      cert_domains: endpoint.certificateNames,
      expires_at: endpoint.expiresAt.toISOString(),
      id: stableId("ssl-cert", endpoint.id, endpoint.updatedAt.toISOString()),
      issuer: endpoint.issuer,
      "self_signed?": endpoint.selfSigned,
      starts_at: endpoint.startsAt.toISOString(),
      subject: endpoint.subject,
    },
    updated_at: endpoint.updatedAt.toISOString(),
  };
}

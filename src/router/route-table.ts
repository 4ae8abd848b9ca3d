import { z } from "zod";
import { readRange } from "./addresses.ts";

const dynoSchema = z.object({
  id: z.string().min(1),
  name: z.string().regex(/^[\w.-]+$/),
  address: z.string().min(1),
  port: z.int().min(1).max(65_535),
});

const basicAuthSchema = z.object({
  username: z.string(),
  salt: z.string().min(8),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
});

const addressRange = z.string().transform((text, context) => {
  const range = readRange(text);
  if (range !== undefined) return range;
  context.addIssue(`${JSON.stringify(text)} is no address and no range of them`);
  return z.NEVER;
});

const hstsSchema = z.object({
  maxAgeSeconds: z.int().min(0),
  includeSubDomains: z.boolean().optional(),
  preload: z.boolean().optional(),
});

const rateLimitSchema = z.object({
  requests: z.int().min(1),
  perMs: z.number().positive(),
  burst: z.int().min(1).optional(),
});

const appSchema = z.object({
  name: z.string().min(1),
  deployed: z.boolean(),
  maintenance: z.boolean(),
  webQuantity: z.int().min(0),
  /** Every web dyno has crashed. */
  crashed: z.boolean(),
  /** The web dynos that are up. */
  dynos: z.array(dynoSchema),
  /** A web dyno is on its way up: requests wait for it. */
  starting: z.boolean(),
  /** It was stopped for want of requests: the next one wakes it, and waits. */
  sleeping: z.boolean().optional(),
  errorPageUrl: z.string().optional(),
  maintenancePageUrl: z.string().optional(),
  /** `http-session-affinity`: a client stays at its dyno. */
  sessionAffinity: z.boolean().optional(),
  /** Who may come in; nobody else may, not even for an error page. */
  basicAuth: z.array(basicAuthSchema).min(1).optional(),
  /** `192.0.2.0/24`, `2001:db8::/32` or single addresses: nobody else is let in. */
  allowedAddresses: z.array(addressRange).optional(),
  /** Plain HTTP is sent on to HTTPS. */
  httpsRedirect: z.boolean().optional(),
  hsts: hstsSchema.optional(),
  rateLimits: z
    .object({ app: rateLimitSchema.optional(), client: rateLimitSchema.optional() })
    .optional(),
});

const upstreamSchema = z.union([
  z.strictObject({ app: z.string().min(1) }),
  /** The path of a unix socket of the platform itself: API, git. */
  z.strictObject({ socket: z.string().startsWith("/") }),
]);

const certificateSchema = z.object({
  /** Exact lower-case names, or `*.` and a name for one label below it. */
  hosts: z.array(z.string().min(1)).min(1),
  certificatePath: z.string().min(1),
  privateKeyPath: z.string().min(1),
});

const rendezvousSchema = z.strictObject({
  /** Its certificate is shown to clients that name no server. */
  host: z.string().min(1),
  /** The path of a unix socket of the platform. */
  socket: z.string().startsWith("/"),
});

const outlineSchema = z.object({
  version: z.number(),
  domain: z.string(),
  hosts: z.record(z.string(), z.unknown()),
  apps: z.record(z.string(), z.unknown()),
  certificates: z.array(z.unknown()),
  challenges: z.record(z.string(), z.string()).optional(),
  rendezvous: z.unknown().optional(),
});

export type RouteDyno = z.infer<typeof dynoSchema>;
/** An app as the server writes it into the table, and as it was read. */
export type RouteAppRecord = z.input<typeof appSchema>;
export type RouteApp = z.output<typeof appSchema>;
export type RouteUpstream = z.infer<typeof upstreamSchema>;
export type RouteCertificate = z.infer<typeof certificateSchema>;
export type RouteRendezvous = z.infer<typeof rendezvousSchema>;

/** All that the router knows; the server puts a new one whenever something changes. */
export interface RouteTable {
  version: number;
  domain: string;
  /** Lower-case host name, or `*.` and a name for all below it → an app's id, or a socket of the platform. */
  hosts: Record<string, RouteUpstream>;
  apps: Record<string, RouteAppRecord>;
  certificates: RouteCertificate[];
  /** What the router answers to a CA that asks for a token (ACME HTTP-01), whatever the host. */
  challenges?: Record<string, string>;
  /** Where clients go that come by TLS, name no server, and begin with a secret (rendezvous.ts). */
  rendezvous?: RouteRendezvous;
}

/** A table made for looking up: maps, since a host may be called `__proto__`. */
export interface Routes {
  version: number;
  domain: string;
  hosts: ReadonlyMap<string, RouteUpstream>;
  apps: ReadonlyMap<string, RouteApp>;
  certificates: readonly RouteCertificate[];
  challenges: ReadonlyMap<string, string>;
  rendezvous: RouteRendezvous | undefined;
  /** Whether some host begins with `*.`; most tables have none, and need no search. */
  hasWildcards: boolean;
}

export const noRoutes: Routes = {
  version: 0,
  domain: "",
  hosts: new Map(),
  apps: new Map(),
  certificates: [],
  challenges: new Map(),
  rendezvous: undefined,
  hasWildcards: false,
};

/** Whose a host is: its own record first, then the closest wildcard above it (contract §9.3). */
export function findUpstream(routes: Routes, host: string): RouteUpstream | undefined {
  const exact = routes.hosts.get(host);
  if (exact !== undefined || !routes.hasWildcards) return exact;
  for (let dot = host.indexOf("."); dot !== -1; dot = host.indexOf(".", dot + 1)) {
    const upstream = routes.hosts.get(`*${host.slice(dot)}`);
    if (upstream !== undefined) return upstream;
  }
  return undefined;
}

/**
 * Reads a table record by record: one that does not fit is set aside, with a sentence about it,
 * and never takes the others with it. Throws only when there is no table at all.
 */
export function readRoutes(value: unknown): { routes: Routes; setAside: string[] } {
  const outline = outlineSchema.parse(value);
  const setAside: string[] = [];
  const keep = <T>(label: string, schema: z.ZodType<T>, record: unknown): T | undefined => {
    const result = schema.safeParse(record);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    setAside.push(`${label}: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`);
    return undefined;
  };
  const keepAll = <T>(label: string, schema: z.ZodType<T>, records: Record<string, unknown>) =>
    new Map(
      Object.entries(records).flatMap(([key, record]): [string, T][] => {
        const kept = keep(`${label} ${JSON.stringify(key)}`, schema, record);
        return kept === undefined ? [] : [[key, kept]];
      }),
    );

  const apps = keepAll("app", appSchema, outline.apps);
  const hosts = keepAll("host", upstreamSchema, outline.hosts);
  for (const [host, upstream] of hosts) {
    if ("app" in upstream && !apps.has(upstream.app)) {
      hosts.delete(host);
      setAside.push(`host ${JSON.stringify(host)}: no app ${JSON.stringify(upstream.app)}`);
    }
  }
  const certificates = outline.certificates.flatMap((record, index) => {
    const kept = keep(`certificate ${index}`, certificateSchema, record);
    return kept === undefined ? [] : [kept];
  });
  return {
    routes: {
      version: outline.version,
      domain: outline.domain,
      hosts,
      apps,
      certificates,
      challenges: new Map(Object.entries(outline.challenges ?? {})),
      rendezvous:
        outline.rendezvous === undefined
          ? undefined
          : keep("rendezvous", rendezvousSchema, outline.rendezvous),
      hasWildcards: [...hosts.keys()].some((host) => host.startsWith("*.")),
    },
    setAside,
  };
}

import { accessSync, constants, statSync } from "node:fs";
import { z } from "zod";
import { readSecrets } from "./lib/address-secrets.ts";
import { defaultDataDir } from "./lib/default-data-dir.ts";

/** `oci`: containers; `process`: plain processes of the server's own user, without any walls. */
export type RuntimeKind = "oci" | "process";

/** What `stator server` is told by flags and variables; flags win. */
export interface ServerSettings {
  dataDir: string;
  domain: string;
  httpPort: number | null;
  httpsPort: number | null;
  host: string;
  stopDynos: boolean;
  runtime: RuntimeKind;
  /** Variables that reach every build and no dyno: CA bundle, HTTP proxy, mirrors. */
  buildEnvironment: Record<string, string>;
  buildTimeoutMs: number;
  /** So many builds at once, of all apps. */
  buildConcurrency: number;
  /** So much of one app is kept between its builds. */
  buildCacheBytes: number;
  buildpacks: {
    /** Where names that are not built in are looked for, as `ADDRESS/NAMESPACE/NAME.tgz`. */
    registry: string;
    githubApi: string;
    /** Whether `heroku/NAME` is Heroku's own also where one is built in. */
    official: boolean;
    /** Whether buildpacks from git must name their commit. */
    requirePins: boolean;
  };
  /** Of one account to one app's repository; `null`: as many as it likes. */
  gitRequestsPerHour: number | null;
  bootTimeoutMs: number;
  /** What each account may ask of the API in an hour. */
  requestsPerHour: number;
  /** What each dyno may write. */
  dynoDiskBytes: number;
  /** `null`: as fast as the disk is. */
  dynoDiskBytesPerSecond: number | null;
  /** What the images and layers of an app's Dockerfiles may take between and during builds. */
  imageDiskBytes: number;
  /** How much of each app's log is kept: whichever is less. */
  logs: { maxBytes: number; maxAgeMs: number };
  /** Who signs certificates by ACME; `null`: nobody does. */
  acme: AcmeSettings | null;
}

export interface AcmeSettings {
  directoryUrl: string;
  email: string | undefined;
  /** Certificates to trust for an authority of one's own. */
  caBundlePath: string | undefined;
  /** The authority is on the public internet, and gets to no other addresses. */
  isPublic: boolean;
  /** Where it asks for the answer of HTTP-01. */
  httpPort: number;
  /** A command that sets and removes TXT records. */
  dnsHook: string | undefined;
  /** DNS servers to ask before the authority is; the system's, if there is none. */
  dnsServers: string[] | undefined;
}

/** What `stator server --help` prints. */
export const serverHelp = `Run the platform: the API, git, builds and dynos, until SIGTERM. Dynos and the router go on.

=== Usage

  stator server [FLAGS]          (as root; with --runtime process: as an ordinary user)

=== Flags (and the variables that they win over)

  --data FOLDER      STATOR_DATA        where everything is kept [/var/lib/stator; ~/.stator when not root]
  --domain NAME      STATOR_DOMAIN      apps at APP.NAME, API at api.NAME, git at git.NAME [localhost]
  --http PORT        STATOR_HTTP_PORT   [80; 8080 when the domain is localhost; 0: any free one]
  --https PORT       STATOR_HTTPS_PORT  [443; none when the domain is localhost; 0: none]
  --host ADDRESS     STATOR_HOST        address to listen on [0.0.0.0; 127.0.0.1 when the domain is localhost]
  --runtime KIND     STATOR_RUNTIME     oci: containers; process: no isolation, for a laptop without Linux or root [oci]
  --stop-dynos                          on SIGTERM stop the dynos and the router too, and leave nothing behind

=== For builds (they reach every build and no dyno)

  STATOR_BUILD_CA_BUNDLE=FILE    certificates that builds trust
  STATOR_BUILD_ENV_NAME=VALUE    NAME=VALUE, as HTTPS_PROXY
  STATOR_NODE_MIRROR=URL         where Node.js is fetched from
  STATOR_PYTHON_MIRROR=URL       where Python is fetched from
  STATOR_JAVA_MIRROR=URL         where Java is fetched from; also _ZULU_, _MAVEN_, _LEININGEN_, _CLOJURE_, _SBT_
  STATOR_GO_MIRROR=URL           where Go is fetched from
  STATOR_RUBY_MIRROR=URL         where Ruby is fetched from
  STATOR_BUILD_TIMEOUT=SECONDS   [900]
  STATOR_IMAGE_DISK_MEGABYTES=MEGABYTES   what the images and layers of one app's Dockerfiles may take [10240]
  STATOR_BUILD_CONCURRENCY=N     so many builds at once, of all apps [2]
  STATOR_BUILD_CACHE=MB          so much of each app is kept from one build to the next [2048]
  STATOR_BUILDPACK_MIRROR=URL    where names like heroku/ruby are fetched from, as URL/heroku/ruby.tgz
  STATOR_GITHUB_API=URL          where buildpacks of https://github.com are asked for [https://api.github.com]
  STATOR_BUILDPACKS=KIND         what heroku/NAME means: built-in, where there is one, or official [built-in]
  STATOR_BUILDPACK_PINS=WORD     required: buildpacks from git must name their commit [optional]
  STATOR_BOOT_TIMEOUT=SECONDS    until a web dyno must listen on $PORT [60]

=== For git

  STATOR_GIT_REQUESTS_PER_HOUR=N   of one account to one app; 0: as many as it likes [75]

=== For certificates (docs/domains.md)

  STATOR_ACME_DIRECTORY=URL      an ACME authority, or none [Let's Encrypt when the domain is a public one]
  STATOR_ACME_EMAIL=ADDRESS      for its account
  STATOR_ACME_CA_BUNDLE=FILE     certificates to trust for an authority of your own
  STATOR_ACME_DNS_HOOK=FILE      command that sets TXT records: for wildcards
  STATOR_ACME_DNS_SERVERS=LIST   ADDRESS or ADDRESS:PORT of DNS servers, with commas [the system's]
  STATOR_ACME_HTTP_PORT=PORT     where the authority asks for an answer [80]

=== For the API

  STATOR_API_REQUESTS_PER_HOUR=COUNT   of each account [4500]

=== For logs (of each app, whichever is less)

  STATOR_LOG_DAYS=DAYS              [7]
  STATOR_LOG_MEGABYTES=MEGABYTES    [64]

=== For dynos

  STATOR_DYNO_DISK_MEGABYTES=MEGABYTES   what each may write to /app and /tmp [1024]
  STATOR_DYNO_DISK_SPEED=MEGABYTES       and how much a second, 0 for any; on cgroups of version 2 [100]`;

/** A setting that cannot be used; said in one line, exit status 2. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

const port = z
  .string()
  .regex(/^\d{1,5}$/)
  .transform(Number)
  .refine((number) => number <= 65535);
const hostname = z
  .string()
  .regex(
    /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
  );
const ipAddress = z.union([z.ipv4(), z.ipv6()]);
const seconds = z
  .string()
  .regex(/^\d{1,6}$/)
  .transform((text) => Number(text) * 1000)
  .refine((number) => number > 0);

const count = z
  .string()
  .regex(/^\d{1,4}$/)
  .transform(Number);

/** Heroku's own (contract §5). */
const buildpackRegistry = "https://buildpack-registry.s3.amazonaws.com/buildpacks";

const days = z
  .string()
  .regex(/^\d{1,4}$/)
  .transform((text) => Number(text) * 86_400_000)
  .refine((number) => number > 0);
const megabytes = z
  .string()
  .regex(/^\d{1,6}$/)
  .transform((text) => Number(text) * 1024 * 1024)
  .refine((number) => number > 0);

/** Less than this would be taken by the file system itself. */
const diskMegabytes = megabytes.refine((bytes) => bytes >= 16 * 1024 * 1024);
const noAuthority = "none";
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";
/** Ends of names that no public authority signs (RFC 6761, RFC 8375, RFC 9476, ICANN's `internal`). */
const privateEnding =
  /(^|\.)(localhost|local|test|example|invalid|internal|lan|home|corp|alt|arpa)$/;

const dnsServers = z
  .string()
  .transform((text) => text.split(",").map((one) => one.trim()))
  .pipe(
    z.array(z.string().regex(/^(\d{1,3}(\.\d{1,3}){3}(:\d{1,5})?|\[[0-9a-f:]+\](:\d{1,5})?)$/i)),
  );
const executableFile = z.string().refine((path) => isAccessible(path, constants.X_OK));
const readableFile = z.string().refine((path) => isAccessible(path, constants.R_OK));
const webAddress = z.url({ protocol: /^https?$/ });

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return path.startsWith("/") && statSync(path).isFile();
  } catch {
    return false;
  }
}

type Variables = Record<string, string | undefined>;
export type ServerFlags = Partial<
  Record<"data" | "domain" | "http" | "https" | "host" | "runtime", string> & {
    "stop-dynos": boolean;
  }
>;

/** Whether its names are those of the machine that asks for them (RFC 6761). */
export function isLocalDomain(domain: string): boolean {
  return domain === "localhost" || domain.endsWith(".localhost");
}

/** Reads the settings of the server; throws a SettingsError that names the wrong value. */
export function readServerSettings(
  flags: ServerFlags,
  variables: Variables = process.env,
): ServerSettings {
  const read = <T>(
    flag: keyof ServerFlags | null,
    variable: string,
    schema: z.ZodType<T, string>,
    rule: string,
    fallback: T,
  ): T => {
    const fromFlag = flag === null ? undefined : flags[flag];
    const text = typeof fromFlag === "string" ? fromFlag : variables[variable];
    if (text === undefined) return fallback;
    const parsed = schema.safeParse(text);
    if (parsed.success) return parsed.data;
    const where = typeof fromFlag === "string" ? `--${flag}` : variable;
    throw new SettingsError(`${where} is ${JSON.stringify(text)}, but must be ${rule}`);
  };
  const caBundle = "STATOR_BUILD_CA_BUNDLE";
  read(null, caBundle, readableFile, "the whole path of a file that can be read", "");
  for (const name of Object.keys(variables).filter((one) => mirrorName.test(one)))
    read(null, name, webAddress, "an address that begins with http:// or https://", "");
  const domain = read("domain", "STATOR_DOMAIN", hostname, "a lower-case domain name", "localhost");
  const local = isLocalDomain(domain);
  const absolute = z
    .string()
    .min(1)
    .transform((path) => (path.startsWith("/") ? path : `${process.cwd()}/${path}`));
  const https = read(
    "https",
    "STATOR_HTTPS_PORT",
    port,
    "a port from 0 (none) to 65535",
    local ? 0 : 443,
  );
  const acmeDirectory = read(
    null,
    "STATOR_ACME_DIRECTORY",
    z.union([z.literal(noAuthority), z.url({ protocol: /^https$/ })]),
    `an address that begins with https://, or ${noAuthority}`,
    privateEnding.test(domain) || !domain.includes(".") ? noAuthority : letsEncrypt,
  );
  const optional = <T>(name: string, schema: z.ZodType<T, string>, rule: string) =>
    read<T | undefined>(null, name, schema, rule, undefined);
  const file = "the whole path of a file that can be";
  const acme: AcmeSettings = {
    directoryUrl: acmeDirectory,
    email: optional("STATOR_ACME_EMAIL", z.email(), "an e-mail address"),
    caBundlePath: optional("STATOR_ACME_CA_BUNDLE", readableFile, `${file} read`),
    isPublic: acmeDirectory === letsEncrypt,
    httpPort: read(
      null,
      "STATOR_ACME_HTTP_PORT",
      port.refine((number) => number > 0),
      "a port from 1 to 65535",
      80,
    ),
    dnsHook: optional("STATOR_ACME_DNS_HOOK", executableFile, `${file} executed`),
    dnsServers: optional(
      "STATOR_ACME_DNS_SERVERS",
      dnsServers,
      "addresses with commas between them, as in 9.9.9.9,[2620:fe::fe]:53",
    ),
  };
  return {
    dataDir: read("data", "STATOR_DATA", absolute, "a folder", defaultDataDir(variables)),
    domain,
    httpPort: read("http", "STATOR_HTTP_PORT", port, "a port from 0 to 65535", local ? 8080 : 80),
    httpsPort: https === 0 ? null : https,
    host: read("host", "STATOR_HOST", ipAddress, "an IP address", local ? "127.0.0.1" : "0.0.0.0"),
    stopDynos: flags["stop-dynos"] ?? false,
    runtime: read("runtime", "STATOR_RUNTIME", z.enum(["oci", "process"]), "oci or process", "oci"),
    buildEnvironment: buildEnvironment(variables),
    buildTimeoutMs: read(null, "STATOR_BUILD_TIMEOUT", seconds, "a number of seconds", 15 * 60_000),
    buildConcurrency: read(
      null,
      "STATOR_BUILD_CONCURRENCY",
      count.refine((number) => number > 0),
      "a number from 1 to 9999",
      2,
    ),
    buildCacheBytes:
      read(null, "STATOR_BUILD_CACHE", count, "a number of megabytes from 0 to 9999", 2048) *
      1024 *
      1024,
    buildpacks: {
      registry: (variables.STATOR_BUILDPACK_MIRROR ?? buildpackRegistry).replace(/\/+$/, ""),
      githubApi: (variables.STATOR_GITHUB_API ?? "https://api.github.com").replace(/\/+$/, ""),
      official:
        read(
          null,
          "STATOR_BUILDPACKS",
          z.enum(["built-in", "official"]),
          "built-in or official",
          "built-in",
        ) === "official",
      requirePins:
        read(
          null,
          "STATOR_BUILDPACK_PINS",
          z.enum(["required", "optional"]),
          "required or optional",
          "optional",
        ) === "required",
    },
    gitRequestsPerHour:
      read(null, "STATOR_GIT_REQUESTS_PER_HOUR", count, "a number from 0 to 9999", 75) || null,
    bootTimeoutMs: read(null, "STATOR_BOOT_TIMEOUT", seconds, "a number of seconds", 60_000),
    requestsPerHour: read(
      null,
      "STATOR_API_REQUESTS_PER_HOUR",
      z
        .string()
        .regex(/^[1-9]\d{0,8}$/)
        .transform(Number),
      "a whole number, at least 1",
      4500,
    ),
    dynoDiskBytes: read(
      null,
      "STATOR_DYNO_DISK_MEGABYTES",
      diskMegabytes,
      "a whole number of megabytes, at least 16",
      1024 * 1024 * 1024,
    ),
    dynoDiskBytesPerSecond: read(
      null,
      "STATOR_DYNO_DISK_SPEED",
      z
        .string()
        .regex(/^\d{1,6}$/)
        .transform((text) => (Number(text) === 0 ? null : Number(text) * 1_000_000)),
      "a whole number of megabytes a second, or 0",
      100_000_000,
    ),
    imageDiskBytes: read(
      null,
      "STATOR_IMAGE_DISK_MEGABYTES",
      diskMegabytes,
      "a whole number of megabytes, at least 16",
      10 * 1024 * 1024 * 1024,
    ),
    logs: {
      maxBytes: read(
        null,
        "STATOR_LOG_MEGABYTES",
        megabytes,
        "a whole number of megabytes, at least 1",
        64 * 1024 * 1024,
      ),
      maxAgeMs: read(
        null,
        "STATOR_LOG_DAYS",
        days,
        "a whole number of days, at least 1",
        7 * 86_400_000,
      ),
    },
    // Without a port for HTTPS there is nothing to show them with.
    acme: acmeDirectory === noAuthority || https === 0 ? null : acme,
  };
}

const buildPrefix = "STATOR_BUILD_ENV_";
const mirrorName = /^STATOR_[A-Z]+_MIRROR$/;

/** `STATOR_BUILD_ENV_HTTPS_PROXY=…` becomes `HTTPS_PROXY` in each build; mirrors go by their own names. */
function buildEnvironment(variables: Variables): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined) continue;
    if (name.startsWith(buildPrefix)) environment[name.slice(buildPrefix.length)] = value;
    else if (mirrorName.test(name) || name === "STATOR_BUILD_CA_BUNDLE") environment[name] = value;
  }
  return environment;
}

/** What the operator has set for builds, as `stator toolbox` finds it inside of one. */
export interface ToolboxSettings {
  /** STATOR_NAME_MIRROR, without a slash at its end. */
  mirror: (name: string) => string | undefined;
  /** Of the address that is fetched: `user:password`, and `?…`. */
  credentials: string | undefined;
  query: string;
  /** What programs need to get out: proxy and certificates. */
  network: Record<string, string>;
}

const networkName = /^(?:https?_proxy|no_proxy|all_proxy|ssl_cert_file|git_ssl_cainfo)$/i;

export function readToolboxSettings(variables: Variables = process.env): ToolboxSettings {
  return {
    mirror: (name) =>
      variables[`STATOR_${name.toUpperCase()}_MIRROR`]?.replace(/\/+$/, "") || undefined,
    ...readSecrets(variables.STATOR_FETCH_SECRETS),
    network: Object.fromEntries(
      Object.entries(variables).flatMap(([name, value]) =>
        value !== undefined && networkName.test(name) ? [[name, value]] : [],
      ),
    ),
  };
}

/** What git hands to the hook of a push: where the server is, and where the new objects lie. */
export function readHookSettings(variables: Variables = process.env) {
  const names = ["GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"];
  const quarantine: Record<string, string> = {};
  for (const name of names) if (variables[name]) quarantine[name] = variables[name];
  return {
    socketPath: variables.STATOR_HOOK_SOCKET ?? "",
    id: variables.STATOR_HOOK_ID ?? "",
    quarantine,
  };
}

import { defaultDataDir } from "../lib/default-data-dir.ts";
import * as kinds from "./values.ts";
import { type Kind, numbers, valueOf, type Variables, word } from "./values.ts";

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
  /** From so many requests on, to all apps together, those who are asked come first; `null`: never. */
  rushPerSecond: number | null;
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

/** Whether its names are those of the machine that asks for them (RFC 6761). */
export function isLocalDomain(domain: string): boolean {
  return domain === "localhost" || domain.endsWith(".localhost");
}

export type ServerFlags = Partial<
  Record<"data" | "domain" | "http" | "https" | "host" | "runtime", string> & {
    "stop-dynos": boolean;
  }
>;

/** The value of a variable; the fallback, if it is not set. Throws a SettingsError that names it. */
type Read = <T, F>(variable: string, kind: Kind<T>, fallback: F) => T | F;

/** Reads the settings of the server; throws a SettingsError that names the wrong value. */
export function readServerSettings(
  flags: ServerFlags,
  variables: Variables = process.env,
): ServerSettings {
  const read: Read = (variable, kind, fallback) => {
    const text = variables[variable];
    return text === undefined ? fallback : valueOf(kind, variable, text);
  };
  const flagOr = <T>(
    flag: Exclude<keyof ServerFlags, "stop-dynos">,
    kind: Kind<T>,
    other: () => T,
  ): T => {
    const text = flags[flag];
    return text === undefined ? other() : valueOf(kind, `--${flag}`, text);
  };
  const either = <T>(
    flag: Exclude<keyof ServerFlags, "stop-dynos">,
    variable: string,
    kind: Kind<T>,
    fallback: T,
  ): T => flagOr(flag, kind, () => read(variable, kind, fallback));

  const domain = either("domain", "STATOR_DOMAIN", kinds.hostname, "localhost");
  const local = isLocalDomain(domain);
  const { anyPort } = numbers;
  const https = either("https", "STATOR_HTTPS_PORT", anyPort, local ? 0 : 443) || null;
  return {
    dataDir: either("data", "STATOR_DATA", kinds.folder, defaultDataDir(variables)),
    domain,
    httpPort: either("http", "STATOR_HTTP_PORT", anyPort, local ? 8080 : 80),
    httpsPort: https,
    host: either("host", "STATOR_HOST", kinds.ipAddress, local ? "127.0.0.1" : "0.0.0.0"),
    stopDynos: flags["stop-dynos"] ?? false,
    runtime: either("runtime", "STATOR_RUNTIME", word("oci", "process"), "oci"),
    ...buildSettings(read, variables),
    ...dynoSettings(read),
    gitRequestsPerHour: read("STATOR_GIT_REQUESTS_PER_HOUR", numbers.countOrNone, 75) || null,
    requestsPerHour: read("STATOR_API_REQUESTS_PER_HOUR", numbers.manyCount, 4500),
    logs: {
      maxBytes: read("STATOR_LOG_MEGABYTES", numbers.megabytes, 64 * mebibyte),
      maxAgeMs: read("STATOR_LOG_DAYS", numbers.days, 7 * 86_400_000),
    },
    acme: acmeSettings(read, domain, https),
  };
}

const mebibyte = 1024 * 1024;

function dynoSettings(read: Read) {
  const { seconds, countOrNone, diskMegabytes, diskSpeed } = numbers;
  return {
    bootTimeoutMs: read("STATOR_BOOT_TIMEOUT", seconds, 60_000),
    dynoDiskBytes: read("STATOR_DYNO_DISK_MEGABYTES", diskMegabytes, 1024 * mebibyte),
    dynoDiskBytesPerSecond: read("STATOR_DYNO_DISK_SPEED", diskSpeed, 100_000_000) || null,
    rushPerSecond: read("STATOR_RUSH", countOrNone, 10) || null,
  };
}

/** Heroku's own (contract §5). */
const buildpackRegistry = "https://buildpack-registry.s3.amazonaws.com/buildpacks";

function buildSettings(read: Read, variables: Variables) {
  const { seconds, count, megabytesOrNone, diskMegabytes } = numbers;
  return {
    buildEnvironment: buildEnvironment(variables),
    buildTimeoutMs: read("STATOR_BUILD_TIMEOUT", seconds, 15 * 60_000),
    buildConcurrency: read("STATOR_BUILD_CONCURRENCY", count, 2),
    buildCacheBytes: read("STATOR_BUILD_CACHE_MEGABYTES", megabytesOrNone, 2048 * mebibyte),
    imageDiskBytes: read("STATOR_IMAGE_DISK_MEGABYTES", diskMegabytes, 10_240 * mebibyte),
    buildpacks: {
      registry: read("STATOR_BUILDPACK_MIRROR", kinds.webAddress, buildpackRegistry),
      githubApi: read("STATOR_GITHUB_API", kinds.webAddress, "https://api.github.com"),
      official: read("STATOR_BUILDPACKS", word("built-in", "official"), "built-in") === "official",
      requirePins:
        read("STATOR_BUILDPACK_PINS", word("required", "optional"), "optional") === "required",
    },
  };
}

const buildPrefix = "STATOR_BUILD_ENV_";
const caBundle = "STATOR_BUILD_CA_BUNDLE";
const mirrorName = /^STATOR_[A-Z]+_MIRROR$/;

/** `STATOR_BUILD_ENV_HTTPS_PROXY=…` becomes `HTTPS_PROXY` in each build; mirrors go by their own names. */
function buildEnvironment(variables: Variables): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined) continue;
    if (name.startsWith(buildPrefix)) environment[name.slice(buildPrefix.length)] = value;
    else if (name === caBundle) environment[name] = valueOf(kinds.readableFile, name, value);
    else if (mirrorName.test(name)) environment[name] = valueOf(kinds.webAddress, name, value);
  }
  return environment;
}

const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";
/** Ends of names that no public authority signs (RFC 6761, RFC 8375, RFC 9476, ICANN's `internal`). */
const privateEnding =
  /(^|\.)(localhost|local|test|example|invalid|internal|lan|home|corp|alt|arpa)$/;

function acmeSettings(read: Read, domain: string, httpsPort: number | null): AcmeSettings | null {
  const isPublicName = domain.includes(".") && !privateEnding.test(domain);
  const directoryUrl = read(
    "STATOR_ACME_DIRECTORY",
    kinds.orWord(kinds.httpsAddress, "none"),
    isPublicName ? letsEncrypt : "none",
  );
  const settings = {
    directoryUrl,
    email: read("STATOR_ACME_EMAIL", kinds.email, undefined),
    caBundlePath: read("STATOR_ACME_CA_BUNDLE", kinds.readableFile, undefined),
    isPublic: directoryUrl === letsEncrypt,
    httpPort: read("STATOR_ACME_HTTP_PORT", numbers.port, 80),
    dnsHook: read("STATOR_ACME_DNS_HOOK", kinds.executableFile, undefined),
    dnsServers: read("STATOR_ACME_DNS_SERVERS", kinds.dnsServers, undefined),
  };
  // Without a port for HTTPS there is nothing to show them with.
  return directoryUrl === "none" || httpsPort === null ? null : settings;
}

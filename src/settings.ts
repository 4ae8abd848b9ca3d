import { accessSync, constants, statSync } from "node:fs";
import { z } from "zod";
import { defaultDataDir } from "./lib/default-data-dir.ts";

/** `oci`: containers; `process`: plain processes of the server's own user, without any walls. */
export type RuntimeKind = "oci" | "process";

/** What `stator server` is told by flags and variables; flags win. */
export interface ServerSettings {
  dataDir: string;
  domain: string;
  httpPort: number | null;
  httpsPort: number | null;
  /** Where Heroku's command line comes for attached dynos; 0: any free port, `null`: nowhere. */
  rendezvousPort: number | null;
  host: string;
  stopDynos: boolean;
  runtime: RuntimeKind;
  /** Variables that reach every build and no dyno: CA bundle, HTTP proxy, mirrors. */
  buildEnvironment: Record<string, string>;
  buildTimeoutMs: number;
  bootTimeoutMs: number;
  /** What each account may ask of the API in an hour. */
  requestsPerHour: number;
  /** What each dyno may write. */
  dynoDiskBytes: number;
  /** How much of each app's log is kept: whichever is less. */
  logs: { maxBytes: number; maxAgeMs: number };
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
  --rendezvous PORT  STATOR_RENDEZVOUS_PORT  where heroku run attaches, or none [5000; any free one when the domain is localhost]
  --host ADDRESS     STATOR_HOST        address to listen on [0.0.0.0; 127.0.0.1 when the domain is localhost]
  --runtime KIND     STATOR_RUNTIME     oci: containers; process: no isolation, for a laptop without Linux or root [oci]
  --stop-dynos                          on SIGTERM stop the dynos and the router too, and leave nothing behind

=== For builds (they reach every build and no dyno)

  STATOR_BUILD_CA_BUNDLE=FILE    certificates that builds trust
  STATOR_BUILD_ENV_NAME=VALUE    NAME=VALUE, as HTTPS_PROXY
  STATOR_NODE_MIRROR=URL         where Node.js is fetched from
  STATOR_BUILD_TIMEOUT=SECONDS   [900]
  STATOR_BOOT_TIMEOUT=SECONDS    until a web dyno must listen on $PORT [60]

=== For the API

  STATOR_API_REQUESTS_PER_HOUR=COUNT   of each account [4500]

=== For logs (of each app, whichever is less)

  STATOR_LOG_DAYS=DAYS              [7]
  STATOR_LOG_MEGABYTES=MEGABYTES    [64]

=== For dynos

  STATOR_DYNO_DISK_MEGABYTES=MEGABYTES   what each may write to /app and /tmp [1024]`;

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
const readableFile = z.string().refine(isReadableFile);
const webAddress = z.url({ protocol: /^https?$/ });

function isReadableFile(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return path.startsWith("/") && statSync(path).isFile();
  } catch {
    return false;
  }
}

type Variables = Record<string, string | undefined>;
export type ServerFlags = Partial<
  Record<"data" | "domain" | "http" | "https" | "rendezvous" | "host" | "runtime", string> & {
    "stop-dynos": boolean;
  }
>;

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
  const local = domain === "localhost" || domain.endsWith(".localhost");
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
  return {
    dataDir: read("data", "STATOR_DATA", absolute, "a folder", defaultDataDir(variables)),
    domain,
    httpPort: read("http", "STATOR_HTTP_PORT", port, "a port from 0 to 65535", local ? 8080 : 80),
    httpsPort: https === 0 ? null : https,
    rendezvousPort: read(
      "rendezvous",
      "STATOR_RENDEZVOUS_PORT",
      z.union([port, z.literal("none").transform(() => null)]),
      "a port from 0 (any free one) to 65535, or none",
      local ? 0 : 5000,
    ),
    host: read("host", "STATOR_HOST", ipAddress, "an IP address", local ? "127.0.0.1" : "0.0.0.0"),
    stopDynos: flags["stop-dynos"] ?? false,
    runtime: read("runtime", "STATOR_RUNTIME", z.enum(["oci", "process"]), "oci or process", "oci"),
    buildEnvironment: buildEnvironment(variables),
    buildTimeoutMs: read(null, "STATOR_BUILD_TIMEOUT", seconds, "a number of seconds", 15 * 60_000),
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

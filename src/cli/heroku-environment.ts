import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { CliSettings } from "../settings/cli-settings.ts";
import type { Credentials } from "./credentials.ts";
import { replaceFile } from "./netrc.ts";

/** What `heroku` is told, so that all it asks goes through the bridge (names: Heroku's). */
export function herokuEnvironment(
  settings: CliSettings,
  { api, git, token }: Credentials,
  bridge: string,
): Record<string, string> {
  const { hostname } = new URL(bridge);
  const domain = new URL(api).hostname.replace(/^api\./, "");
  const guard = `--require=${JSON.stringify(writeGuard(settings, domain))}`;
  const nodeOptions = (settings.inherited.NODE_OPTIONS ?? "").replace(guard, "").trim();
  return {
    HEROKU_HOST: bridge,
    HEROKU_API_KEY: token,
    HEROKU_GIT_HOST: new URL(git).host,
    HEROKU_DATA_HOST: hostname,
    HEROKU_POSTGRESQL_HOST: hostname,
    HEROKU_REDIS_HOST: hostname,
    HEROKU_PARTICLEBOARD_URL: bridge,
    HEROKU_BUILDPACK_REGISTRY_URL: bridge,
    HEROKU_LOGIN_HOST: bridge,
    HEROKU_EXEC_URL: bridge,
    HEROKU_STATUS_HOST: hostname,
    HEROKU_CI_WEBSOCKET_URL: bridge,
    // For programs that take an address, as Terraform's provider does.
    HEROKU_API_URL: api,
    DISABLE_TELEMETRY: "true",
    HEROKU_SKIP_ANALYTICS: "1",
    HEROKU_DISABLE_AUTOUPDATE: "1",
    HEROKU_SKIP_NEW_VERSION_CHECK: "true",
    // A proxy of the person's own would look names up that the guard refuses.
    HTTP_PROXY: bridge,
    HTTPS_PROXY: bridge,
    NO_PROXY: [hostname, "localhost", domain, `.${domain}`].join(","),
    NODE_OPTIONS: `${nodeOptions} ${guard}`.trim(),
  };
}

/**
 * Some of Heroku's hosts stand fixed in `heroku`, and get the token of whoever asks: the guard has
 * Node.js not find them. It finds names below `localhost`, which not every machine does.
 */
function writeGuard({ home }: CliSettings, domain: string): string {
  const folder = join(home, ".config/stator");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, "heroku-guard.cjs");
  replaceFile(path, guardOf(domain));
  return path;
}

const guardOf = (domain: string) => `// Written by stator: see \`stator help heroku\`.
const dns = require("node:dns");
const { lookup } = dns;
const domain = ${JSON.stringify(domain)};
dns.lookup = function (name, ...rest) {
  const host = String(name).toLowerCase();
  const options = typeof rest[0] === "object" ? rest[0] : {};
  const answer = rest.at(-1);
  const ours = host === domain || host.endsWith("." + domain);
  if (!ours && /(^|\\.)(heroku|herokai|herokuspace|herokudev|herokuapp|salesforce)\\.com$/.test(host)) {
    const error = new Error(host + " is Heroku's, and is not asked: this is about " + domain);
    return process.nextTick(answer, Object.assign(error, { code: "EREFUSED", hostname: host }));
  }
  if (host === "localhost" || !host.endsWith(".localhost")) return lookup.call(this, name, ...rest);
  const loopback = { address: "127.0.0.1", family: 4 };
  process.nextTick(answer, null, ...(options.all ? [[loopback]] : [loopback.address, 4]));
};
`;

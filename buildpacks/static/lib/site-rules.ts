import { existsSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";

/** What static.json says of a site. Patterns: `*` is anything but a slash, `**` anything. */
export interface SiteRules {
  /** The folder that is served, from the app's own. */
  root: string;
  /** Whether `/about` is `about.html`. */
  cleanUrls: boolean;
  httpsOnly: boolean;
  errorPage: string | undefined;
  /** What has no file is answered by another one: `/**` → `index.html` of a single-page app. */
  routes: [pattern: string, file: string][];
  redirects: [pattern: string, to: { url: string; status: number }][];
  headers: [pattern: string, headers: [name: string, value: string][]][];
}

/** The site cannot be served as it says; told without a stack trace. */
export class BadRules extends Error {}

const folders = [".", "public", "public_html", "dist", "build", "_site"];
const known = "root clean_urls https_only error_page routes redirects headers".split(" ");
const protecting = ["basic_auth", "basic_auth_list"];

/** Reads the rules of an app, with the keys that are of no effect. */
export function readSiteRules(app: string): { rules: SiteRules; ignored: string[] } {
  const file = join(app, "static.json");
  const said = existsSync(file) ? parse(readFileSync(file, "utf8")) : {};
  const keys = Object.keys(said);
  const protection = keys.find((key) => protecting.includes(key));
  // Ignored, it would open what somebody wanted closed.
  if (protection) throw new BadRules(`static.json: ${protection} is not supported; take it out.`);
  const root = text(said, "root") ?? folders.find((name) => isSite(join(app, name))) ?? ".";
  return {
    ignored: keys.filter((key) => !known.includes(key)),
    rules: {
      root: insideOf(app, root),
      cleanUrls: flag(said, "clean_urls"),
      httpsOnly: flag(said, "https_only"),
      errorPage: text(said, "error_page"),
      routes: entries(said, "routes").map(([pattern, file]) => [
        path(pattern, "routes"),
        asText(file, `routes: ${pattern}`),
      ]),
      redirects: entries(said, "redirects").map(([pattern, to]) => [
        path(pattern, "redirects"),
        redirect(pattern, to),
      ]),
      headers: entries(said, "headers").map(([pattern, headers]) => [
        path(pattern, "headers"),
        entries({ headers }, "headers").map(([name, value]) => header(name, value)),
      ]),
    },
  };
}

function parse(json: string): Record<string, unknown> {
  try {
    const said: unknown = JSON.parse(json);
    if (typeof said === "object" && said !== null && !Array.isArray(said))
      return said as Record<string, unknown>;
  } catch (error) {
    throw new BadRules(`static.json is not JSON: ${(error as Error).message}`);
  }
  throw new BadRules("static.json must be an object: { … }");
}

function isSite(folder: string): boolean {
  return existsSync(join(folder, "index.html"));
}

function insideOf(app: string, root: string): string {
  const folder = normalize(root).replace(/\/+$/, "") || ".";
  if (folder.startsWith("/") || folder.startsWith("..") || !/^[\w./ +-]+$/.test(folder))
    throw new BadRules(`static.json: root is ${JSON.stringify(root)}, no folder of the app.`);
  if (!existsSync(join(app, folder)))
    throw new BadRules(
      `static.json: root is ${JSON.stringify(root)}, and there is no such folder. Is it built by another buildpack, which must come first?`,
    );
  return folder;
}

function redirect(pattern: string, to: unknown): { url: string; status: number } {
  const { url, status = 301 } = typeof to === "string" ? { url: to } : (to as never);
  if (![301, 302, 303, 307, 308].includes(status))
    throw new BadRules(`static.json: redirects: ${pattern}: ${String(status)} is no redirect.`);
  return { url: asText(url, `redirects: ${pattern}`), status };
}

function header(name: string, value: unknown): [string, string] {
  if (!/^[A-Za-z0-9-]+$/.test(name))
    throw new BadRules(`static.json: headers: ${JSON.stringify(name)} is no name of a header.`);
  return [name, asText(value, `headers: ${name}`)];
}

function path(pattern: string, where: string): string {
  if (pattern.startsWith("/")) return pattern;
  throw new BadRules(`static.json: ${where}: ${JSON.stringify(pattern)} must begin with a slash.`);
}

function flag(said: Record<string, unknown>, key: string): boolean {
  const value = said[key] ?? false;
  if (typeof value === "boolean") return value;
  throw new BadRules(`static.json: ${key} must be true or false.`);
}

function text(said: Record<string, unknown>, key: string): string | undefined {
  return said[key] === undefined ? undefined : asText(said[key], key);
}

function asText(value: unknown, where: string): string {
  if (typeof value === "string" && !/[\r\n\0]/.test(value)) return value;
  throw new BadRules(`static.json: ${where} must be a text on one line.`);
}

function entries(said: Record<string, unknown>, key: string): [string, unknown][] {
  const value = said[key] ?? {};
  if (typeof value === "object" && !Array.isArray(value)) return Object.entries(value);
  throw new BadRules(`static.json: ${key} must be an object: { … }`);
}

import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { CliSettings } from "../settings/cli-settings.ts";
import { CommandFailure } from "./failures.ts";
import { readNetrcEntry, replaceFile, writeNetrcEntries } from "./netrc.ts";

/** Where the platform is and who asks. */
export interface Credentials {
  /** `https://api.example.com` */
  api: string;
  /** `https://git.example.com` */
  git: string;
  email: string;
  token: string;
}

/** The server that this person is logged in to; variables win over what `stator login` stored. */
export function readCredentials(settings: CliSettings): Credentials {
  const { api, git } = readServer(settings);
  const entry = readNetrcEntry(settings.home, new URL(api).hostname);
  const token = settings.token ?? entry?.password;
  if (token === undefined)
    throw new CommandFailure(`Not logged in to ${api}.\nLog in: stator login --api ${api}`);
  return { api, git, email: entry?.login ?? "", token };
}

/** Addresses of the server; they are known before a token is. */
export function readServer(settings: CliSettings): { api: string; git: string } {
  const stored = readConfig(settings);
  const api = settings.api ?? stored.api;
  if (api === undefined)
    throw new CommandFailure(
      "Not logged in.\nOn the server itself, as root: stator login\nElsewhere: stator login --api https://api.DOMAIN",
    );
  checkAddress(api);
  return { api, git: api === stored.api && stored.git ? stored.git : gitAddressOf(api) };
}

/** Stores who asks where: the token in ~/.netrc, so that plain git works; the address beside it. */
export function storeCredentials(settings: CliSettings, credentials: Credentials): void {
  const { api, git, email, token } = credentials;
  const entry = { login: email, password: token };
  if (/[\s"#\\]/.test(email + token) || email === "" || token === "")
    throw new CommandFailure("This email address or token cannot stand in ~/.netrc.");
  writeNetrcEntries(settings.home, {
    [new URL(api).hostname]: entry,
    [new URL(git).hostname]: entry,
  });
  mkdirSync(join(settings.home, ".config/stator"), { recursive: true, mode: 0o700 });
  replaceFile(configPath(settings), `${JSON.stringify({ api, git }, null, 2)}\n`);
}

/** Forgets what was stored; returns whether there was anything. */
export function forgetCredentials(settings: CliSettings): boolean {
  const { api, git } = readConfig(settings);
  if (api === undefined) return false;
  writeNetrcEntries(settings.home, {
    [new URL(api).hostname]: null,
    [new URL(git ?? gitAddressOf(api)).hostname]: null,
  });
  rmSync(configPath(settings), { force: true });
  return true;
}

/** The git host stands beside the API: `api.example.com` and `git.example.com`. */
export function gitAddressOf(api: string): string {
  const url = new URL(api);
  url.hostname = url.hostname.replace(/^api\./, "git.");
  return url.origin;
}

export function checkAddress(address: string): void {
  const url = URL.parse(address);
  if (!url || !["http:", "https:"].includes(url.protocol))
    throw new CommandFailure(
      `${JSON.stringify(address)} is not the address of an API. Write it as https://api.example.com`,
    );
}

function configPath(settings: CliSettings): string {
  return join(settings.home, ".config/stator/config.json");
}

function readConfig(settings: CliSettings): { api?: string; git?: string } {
  let text: string;
  try {
    text = readFileSync(configPath(settings), "utf8");
  } catch {
    return {};
  }
  try {
    return JSON.parse(text) as { api?: string; git?: string };
  } catch {
    throw new CommandFailure(`${configPath(settings)} is not JSON. Log in again: stator login`);
  }
}

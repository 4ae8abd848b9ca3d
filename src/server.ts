import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import { type Api, createApi } from "./api/api.ts";
import { type AttachSession, websocket } from "./api/attach-socket.ts";
import { type Rendezvous, rendezvousBehindRouter, rendezvousOnLoopback } from "./api/rendezvous.ts";
import { waitingDynos } from "./api/resources/dynos.ts";
import { createGitDoor } from "./git/git-door.ts";
import { createRequestLimit } from "./git/request-limit.ts";
import { createPushHooks } from "./git/push-hooks.ts";
import { unlimitedIdleTime } from "./lib/idle-time.ts";
import { tailFile } from "./lib/tail-file.ts";
import { createAccount, firstAccount } from "./model/account.ts";
import { DataFolderLocked, lockDataFolder } from "./model/data-lock.ts";
import { createToken, openToken } from "./model/token.ts";
import { createPlatform, type Platform } from "./platform.ts";
import { ensureRouter } from "./router-process.ts";
import {
  isLocalDomain,
  readServerSettings,
  type ServerFlags,
  type ServerSettings,
} from "./settings/server-settings.ts";
import { SettingsError } from "./settings/values.ts";

const reconcileEveryMs = 5000;
const lookAtRouterEveryMs = 200;
const lastAnswersMs = 500;

/** `stator server`: the control plane until SIGTERM. Returns the exit status. */
export async function runServer(
  flags: ServerFlags,
  { program, say }: { program: [string, ...string[]]; say: (line: string) => void },
): Promise<number> {
  let settings: ServerSettings;
  try {
    settings = readServerSettings(flags);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    say(` ▸    ${error.message}`);
    return 2;
  }
  const refusal = refusedUser(settings);
  if (refusal) {
    say(` ▸    ${refusal}`);
    return 2;
  }
  try {
    mkdirSync(settings.dataDir, { recursive: true, mode: 0o711 });
  } catch (error) {
    say(` ▸    The data folder ${settings.dataDir} cannot be made: ${(error as Error).message}`);
    return 2;
  }
  let lock: ReturnType<typeof lockDataFolder>;
  try {
    lock = lockDataFolder(settings.dataDir);
  } catch (error) {
    if (!(error instanceof DataFolderLocked)) throw error;
    say(` ▸    ${error.message}`);
    return 2;
  }
  // A fault of ours in the background must not take the control plane down; the loop puts things right.
  process.on("unhandledRejection", (error) =>
    say(`unexpected: ${error instanceof Error ? error.stack : String(error)}`),
  );
  const asked = stopAsked();
  let opened: Awaited<ReturnType<typeof open>>;
  try {
    opened = await open(settings, program);
  } catch (error) {
    say(` ▸    Stator cannot start: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
  const { platform, router, doors } = opened;
  if (settings.runtime === "process") for (const line of noWalls(userInfo().username)) say(line);
  else if (platform.noDiskQuota !== null)
    say(` ▸    Dynos may fill the disk, for there is no quota: ${platform.noDiskQuota}`);
  say(`Stator serves ${platform.urls.api}, apps at ${platform.urls.web({ name: "APP" })}`);
  await asked;
  await doors.close();
  if (settings.stopDynos) {
    say("Stopping all dynos...");
    await platform.tearDown(() => router.stop());
  } else await platform.close();
  lock.release();
  return 0;
}

/** Containers need root; what runs without walls must not have it. */
function refusedUser({ runtime, dataDir }: ServerSettings): string | undefined {
  const isRoot = process.getuid?.() === 0;
  if (runtime === "oci")
    return isRoot
      ? undefined
      : "stator server makes containers, and needs root for it: run it with sudo, or with --runtime process, which has no isolation";
  if (isRoot)
    return "--runtime process gives apps all rights of the user that starts it, so that must not be root: start it as an ordinary user, or leave the flag out";
  // It becomes a part of apps' own shell commands.
  if (!/^[\w./+@-]+$/.test(dataDir))
    return `--runtime process needs a data folder with a plain name, and ${JSON.stringify(dataDir)} has other characters than letters, digits and . _ + @ -: choose another --data`;
  return undefined;
}

/** What `--runtime process` does not give, said at each start (docs/process-runtime.md). */
function noWalls(user: string): string[] {
  return [
    ` ▸    Runtime "process": apps and builds run WITHOUT ISOLATION, as plain processes of ${user}.`,
    " ▸    They can read and change all that this user can, Stator's keys and other apps too. They have",
    " ▸    no limits of memory, processor, processes or disk; no network address of their own (their ports",
    " ▸    are this machine's, and no firewall is before them); no /app and no /tmp of their own.",
    " ▸    Only for code that you trust, on a machine of your own. Containers: --runtime oci (Linux, root).",
  ];
}

function stopAsked(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const)
      process.on(signal, () => resolve());
  });
}

async function open(settings: ServerSettings, program: [string, ...string[]]) {
  const { dataDir } = settings;
  const router = await ensureRouter(settings, program);
  const platformSocket = join(dataDir, "platform.sock");
  const hookSocket = join(dataDir, "hook.sock");
  const rendezvousSocket = join(dataDir, "rendezvous.sock");
  const platform = await createPlatform(settings, {
    router: router.client,
    routerPids: router.pids,
    httpPort: router.httpPort,
    httpsPort: router.httpsPort,
    platformSocket,
    rendezvousSocket,
    program,
  });
  writeCredentials(platform, dataDir);
  rmSync(hookSocket, { force: true });
  const hooks = createPushHooks(hookSocket);
  const git = createGitDoor({
    database: platform.database,
    repositories: platform.repositories,
    hooks,
    hookSocket,
    deploy: (app, request) => platform.deploy(app, request),
    freeDiskBytes: () => platform.freeDiskBytes(),
    limit: createRequestLimit(settings.gitRequestsPerHour),
  });
  const waiting = waitingDynos(platform);
  const rendezvous = openRendezvous(platform, {
    ...{ domain: settings.domain, httpsPort: router.httpsPort, rendezvousSocket },
    take: (secret) => waiting.take(secret),
  });
  const { requestsPerHour, domain } = settings;
  const places = { waiting, rendezvousOf: rendezvous.addressOf };
  const stopping = new AbortController();
  const api = createApi(platform, { places, requestsPerHour, stopping: stopping.signal });
  const door = openDoor({ api, platformSocket, git, domain });
  await rendezvous.ensure();
  for (const socket of [platformSocket, hookSocket]) chmodSync(socket, 0o600);
  const requests = tailFile(join(dataDir, "router", "router.log"), (rows) =>
    takeRouterLines(platform, rows),
  );
  const loop = setInterval(() => reconcile(), reconcileEveryMs);
  const watch = setInterval(() => {
    if (!router.isAlive()) reconcile();
  }, lookAtRouterEveryMs);
  let reconciling: Promise<void> | undefined;
  function reconcile(): void {
    reconciling ??= putRight().finally(() => (reconciling = undefined));
  }
  async function putRight(): Promise<void> {
    try {
      await platform.reconcile(await router.ensure());
      await rendezvous.ensure();
    } catch (error) {
      process.stderr.write(`reconcile: ${(error as Error).stack}\n`);
    }
  }
  return {
    platform,
    router,
    doors: {
      /** What is being put right must be whole before it is torn down. */
      async close(): Promise<void> {
        clearInterval(loop);
        clearInterval(watch);
        requests.close();
        rendezvous.close();
        stopping.abort();
        await answersAreOut(door);
        void door.stop(true);
        void hooks.close();
        await reconciling;
      },
    },
  };
}

/** Gives the last answers, and the ends of logs that are followed, a moment to leave. */
async function answersAreOut(door: { pendingRequests: number }): Promise<void> {
  const deadline = Date.now() + lastAnswersMs;
  while (door.pendingRequests > 0 && Date.now() < deadline) await Bun.sleep(10);
}

/** API and git share a socket that only the router comes in by; the host name tells them apart. */
function openDoor(options: {
  api: Api;
  platformSocket: string;
  git: (request: Request) => Promise<Response>;
  domain: string;
}) {
  const { api, platformSocket, git, domain } = options;
  rmSync(platformSocket, { force: true });
  return Bun.serve({
    unix: platformSocket,
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    // A build may be silent for minutes, a log may be followed for hours.
    ...unlimitedIdleTime,
    async fetch(request: Request, server: Bun.Server<AttachSession>) {
      const host = (request.headers.get("host") ?? "").replace(/:\d+$/, "");
      if (host === `git.${domain}`) return git(request);
      return api.fetch(request, { server });
    },
    websocket,
  });
}

/**
 * Heroku's command line comes here for attached dynos: through the router's HTTPS; on a laptop
 * without it, by TLS of our own. When that fails the server goes on: it is tried again with each
 * reconciliation, and who asks for an attached dyno is told.
 */
function openRendezvous(
  platform: Platform,
  options: {
    domain: string;
    httpsPort: number | null;
    rendezvousSocket: string;
    take: Parameters<typeof rendezvousBehindRouter>[0]["take"];
  },
): Rendezvous {
  const { domain, httpsPort, rendezvousSocket, take } = options;
  // Few resolvers know names below `localhost` (RFC 6761), and this one needs no name for a router.
  const hostname = domain === "localhost" ? domain : `api.${domain}`;
  let told = "";
  const open = (): Rendezvous => {
    if (httpsPort !== null)
      return rendezvousBehindRouter({
        ...{ socketPath: rendezvousSocket, hostname, port: httpsPort, take },
      });
    if (isLocalDomain(domain))
      return rendezvousOnLoopback({
        ...{ hostname, take, certificate: () => platform.ownCertificate() },
      });
    return { ensure: () => Promise.resolve(), addressOf: () => undefined, close: () => {} };
  };
  const rendezvous = open();
  const ensure = () =>
    rendezvous.ensure().catch((error: Error) => {
      if (error.message !== told)
        process.stderr.write(` ▸    Nobody can attach with heroku run: ${error.message}\n`);
      told = error.message;
    });
  return { ...rendezvous, ensure };
}

function takeRouterLines(platform: Platform, rows: string[]): void {
  for (const row of rows) {
    try {
      const { app, at, line } = JSON.parse(row) as { app: string; at: string; line: string };
      platform.logs.write(app, { at, source: "heroku", dyno: "router", message: line });
    } catch {
      // A line that a crash has torn tells nothing.
    }
  }
}

/** The first start makes the owner and one token; only root of this machine can read it. */
function writeCredentials(platform: Platform, dataDir: string): void {
  const path = join(dataDir, "credentials.json");
  const owner =
    firstAccount(platform.database) ?? createAccount(platform.database, `owner@${mailHost()}`);
  const known = existsSync(path) ? readCredentials(path) : undefined;
  const git = platform.urls.git({ name: "x" }).replace(/\/x\.git$/, "");
  // One that was revoked is replaced: root of this machine always has a way in.
  const token =
    known && openToken(platform.database, known.token)
      ? known.token
      : createToken(platform.database, { account: owner, description: "owner" });
  const text = JSON.stringify({ api: platform.urls.api, git, email: owner.email, token }, null, 2);
  writeFileSync(`${path}.new`, `${text}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** This machine, as the part of an email address that clients take for one: it needs a dot. */
function mailHost(): string {
  const name = hostname().toLowerCase();
  return name.includes(".") ? name : `${name}.local`;
}

function readCredentials(path: string): { token: string } | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as { token: string };
  } catch {
    return undefined;
  }
}

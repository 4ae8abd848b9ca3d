import { createGunzip } from "node:zlib";
import { Readable } from "node:stream";
import { hostEnvironment, spawn } from "../lib/exec.ts";
import type { DeployRequest } from "../deploy/deploy.ts";
import type { Account } from "../model/account.ts";
import { type App, lookUpApp } from "../model/app.ts";
import type { Database } from "../model/database.ts";
import { isBuilt } from "../model/build.ts";
import { roleIn } from "../model/collaborator.ts";
import { isAllowed, openToken } from "../model/token.ts";
import type { RequestLimit } from "./request-limit.ts";
import type { createPushHooks } from "./push-hooks.ts";
import { receivePush } from "./push.ts";
import type { Repositories } from "../repository/repository.ts";

export interface GitDoor {
  database: Database;
  repositories: Repositories;
  hooks: ReturnType<typeof createPushHooks>;
  hookSocket: string;
  deploy(app: App, request: DeployRequest): Promise<boolean>;
  freeDiskBytes(): number;
  /** Of an account to an app's repository; each command of git's begins with one that counts. */
  limit: RequestLimit;
}

/** The store needs some room, whatever is pushed. */
const minFreeDiskBytes = 64 * 1024 * 1024;

type Service = "git-upload-pack" | "git-receive-pack";

/** Git's smart protocol over HTTP, by the host's own git (gitprotocol-http(5)). */
export function createGitDoor(door: GitDoor): (request: Request) => Promise<Response> {
  return async (request) => {
    const url = new URL(request.url);
    const found = authenticate(door.database, request);
    if (!found) return unauthorized();
    const { account: user, token } = found;
    const wanted =
      /^\/([a-z0-9-]{1,64})(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(
        url.pathname,
      );
    if (!wanted) return plain(404, "Not a repository of this platform.\n");
    const [, name = "", action = ""] = wanted;
    const app = lookUpApp(door.database, name);
    if (!app || !roleIn(door.database, app, user))
      return plain(404, `!\tNo such app as ${name}.\n`);
    const isPush = action === "git-receive-pack" || url.search.includes("git-receive-pack");
    if (!isAllowed(token, isPush ? "write-protected" : "read-protected"))
      return plain(403, `!\tThis token has the scope ${token.scope.join(", ")} only.\n`);
    const repository = await door.repositories.ensure(app);
    if (action === "info/refs") {
      const service = url.searchParams.get("service");
      if (request.method !== "GET" || !isService(service))
        return plain(403, "Only git's smart protocol is spoken here: use git 1.6.6 or newer.\n");
      if (service === "git-receive-pack" && door.freeDiskBytes() < minFreeDiskBytes)
        return plain(
          507,
          "!\tThe disk of the platform is full: nothing can be pushed.\n!\tFree some space on the server; what runs goes on running.\n",
        );
      if (!door.limit.allows(`${user.id} ${app.id}`))
        return plain(429, "!\tToo many requests for this Git repo. Please try again later.\n");
      return advertise({ repository, service, request });
    }
    if (request.method !== "POST") return plain(405, "Only POST is understood here.\n");
    const body = await beginningOf(request);
    if (typeof body === "number")
      return plain(
        body,
        body === 415
          ? "The body may be packed by gzip, and by nothing else.\n"
          : "This is not git's protocol.\n",
      );
    return serve(door, { app, user, repository, service: action as Service, request, body });
  };
}

function isService(service: string | null): service is Service {
  return service === "git-upload-pack" || service === "git-receive-pack";
}

/** Any user name; the token is the password. */
function authenticate(database: Database, request: Request): ReturnType<typeof openToken> {
  const [, encoded = ""] =
    /^Basic ([A-Za-z0-9+/=_-]+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  const credentials = Buffer.from(encoded, "base64").toString("utf8");
  const password = credentials.slice(credentials.indexOf(":") + 1);
  return password ? openToken(database, password) : undefined;
}

function unauthorized(): Response {
  return new Response(
    "!\tWARNING:\n!\tDo not authenticate with username and password using git.\n!\tRun `stator login` to update your credentials, then retry the git command.\n",
    {
      status: 401,
      headers: { "www-authenticate": 'Basic realm="Stator"', "content-type": "text/plain" },
    },
  );
}

function plain(status: number, text: string): Response {
  return new Response(text, { status, headers: { "content-type": "text/plain" } });
}

function gitEnvironment(request: Request): Record<string, string> {
  const protocol = request.headers.get("git-protocol") ?? "";
  return {
    ...hostEnvironment,
    ...(/^version=[012]$/.test(protocol) ? { GIT_PROTOCOL: protocol } : {}),
  };
}

const noCache = { "cache-control": "no-cache, max-age=0, must-revalidate" };

async function advertise(options: {
  repository: string;
  service: Service;
  request: Request;
}): Promise<Response> {
  const { repository, service, request } = options;
  const child = spawn(
    ["git", service.slice("git-".length), "--stateless-rpc", "--advertise-refs", repository],
    { env: gitEnvironment(request) },
  );
  const announcement = `# service=${service}\n`;
  const length = (announcement.length + 4).toString(16).padStart(4, "0");
  const refs = await new Response(child.stdout).bytes();
  return new Response(Buffer.concat([Buffer.from(`${length}${announcement}0000`), refs]), {
    headers: { "content-type": `application/x-${service}-advertisement`, ...noCache },
  });
}

interface Call {
  app: App;
  user: Account;
  repository: string;
  service: Service;
  request: Request;
  body: AsyncIterable<Uint8Array>;
}

/** One exchange: the body goes into git, what git says comes back, both as they flow. */
function serve(door: GitDoor, call: Call): Response {
  const { app, user, repository, service, request, body } = call;
  const gone = new AbortController();
  const over = Promise.withResolvers<void>();
  const hook =
    service === "git-receive-pack"
      ? door.hooks.expect((push) =>
          receivePush({
            ...push,
            app,
            user,
            repository,
            signal: gone.signal,
            over: over.promise,
            isBuilt: (commit) => isBuilt(door.database, app, commit),
            deploy: (deployRequest) => door.deploy(app, deployRequest),
          }),
        )
      : undefined;
  const child = spawn<"pipe", "pipe", "ignore">(
    ["git", service.slice("git-".length), "--stateless-rpc", repository],
    {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
      env: {
        ...gitEnvironment(request),
        ...(hook ? { STATOR_HOOK_SOCKET: door.hookSocket, STATOR_HOOK_ID: hook.id } : {}),
      },
    },
  );
  const leave = () => {
    gone.abort(new Error("the client has gone"));
    child.kill();
  };
  request.signal.addEventListener("abort", leave);
  void child.exited.then(() => {
    request.signal.removeEventListener("abort", leave);
    hook?.done();
    over.resolve();
  });
  void feed(body, child.stdin).catch(leave);
  return new Response(passOn(child.stdout, leave), {
    headers: { "content-type": `application/x-${service}-result`, ...noCache },
  });
}

/**
 * The body, unpacked when the client has packed it; or the status of the answer when it does not begin
 * as git's protocol does: with a length in four hex digits.
 */
async function beginningOf(request: Request): Promise<AsyncIterable<Uint8Array> | 400 | 415> {
  const encoding = request.headers.get("content-encoding") ?? "identity";
  if (!/^(?:x-)?gzip$|^identity$/i.test(encoding)) return 415;
  if (!request.body) return 400;
  const packed = /gzip/i.test(encoding);
  const bytes = packed
    ? (Readable.fromWeb(request.body as never).pipe(createGunzip()) as AsyncIterable<Uint8Array>)
    : (request.body as unknown as AsyncIterable<Uint8Array>);
  const iterator = bytes[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  try {
    while (head.length < 4) {
      const { done, value } = await iterator.next();
      if (done) break;
      head = Buffer.concat([head, value as Uint8Array]);
    }
  } catch {
    return 400;
  }
  if (!/^[0-9a-f]{4}/i.test(head.subarray(0, 4).toString("latin1"))) return 400;
  return (async function* () {
    yield head;
    for (let next = await iterator.next(); !next.done; next = await iterator.next())
      yield next.value;
  })();
}

/** The body in pieces that wait for git. */
async function feed(body: AsyncIterable<Uint8Array>, stdin: Bun.FileSink): Promise<void> {
  for await (const bytes of body) {
    await stdin.write(bytes);
    await stdin.flush();
  }
  await stdin.end();
}

function passOn(
  stream: ReadableStream<Uint8Array>,
  cancelled: () => void,
): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: cancelled,
    },
    { highWaterMark: 1 },
  );
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ApiOptions, createApi } from "../../src/api/api.ts";
import { type AttachSession, websocket } from "../../src/api/attach-socket.ts";
import { openCertificates } from "../../src/deploy/certificates.ts";
import { openDomains } from "../../src/deploy/domains.ts";
import { imageSlug } from "../../src/deploy/release-images.ts";
import { openStacks } from "../../src/deploy/stacks.ts";
import { createImageStore } from "../../src/image/image-store.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { scaledFormation } from "../../src/deploy/scale.ts";
import { changeVisitorRules } from "../../src/deploy/visitor-rules.ts";
import type { AttachedDyno } from "../../src/dyno/attached-dyno.ts";
import { hostEnvironment, spawn } from "../../src/lib/exec.ts";
import { PlatformError } from "../../src/lib/platform-error.ts";
import { logTime } from "../../src/logs/log-line.ts";
import { createLogs } from "../../src/logs/log-store.ts";
import { setBuildpacks } from "../../src/model/buildpack-installation.ts";
import { createAccount } from "../../src/model/account.ts";
import { type App, createApp, deleteApp, updateApp } from "../../src/model/app.ts";
import { changedConfigVars, readConfigVars, writeConfigVars } from "../../src/model/config-vars.ts";
import { closeDatabase, openDatabase } from "../../src/model/database.ts";
import { createDyno, deleteDyno, type Dyno, dynoName, listDynos } from "../../src/model/dyno.ts";
import { dynoSizes } from "../../src/model/dyno-size.ts";
import { listFormation, plannedFormation, writeFormation } from "../../src/model/formation.ts";
import { createBuild, updateBuild } from "../../src/model/build.ts";
import { createRelease, currentRelease, type Release } from "../../src/model/release.ts";
import { createSlug, type ProcessTypes } from "../../src/model/slug.ts";
import { createToken } from "../../src/model/token.ts";
import { openVault } from "../../src/model/vault.ts";
import type { Platform } from "../../src/platform.ts";

/**
 * A platform for the tests of the doors: a real database, vault and log, and one-off dynos that are
 * real child processes of this machine. What it lacks (builds, containers, routes) is proven by the
 * flows, against the real platform.
 */
function localPlatform(urls: { api: string; git: string; domain: string }, isOnDisk: boolean) {
  const folder = mkdtempSync(join(tmpdir(), "stator-platform-"));
  const database = openDatabase(isOnDisk ? join(folder, "stator.db") : ":memory:");
  const vault = openVault(join(folder, "key"));
  const logs = createLogs({ dir: join(folder, "logs") });
  const account = createAccount(database, "owner@example.com");
  const token = createToken(database, { account, description: "test" });
  const restarted: (string | undefined)[] = [];
  const stopped: string[] = [];
  const sizes = dynoSizes();

  const release = (
    app: App,
    change: Partial<Pick<Release, "slugId" | "status">> & {
      description: string;
      config?: Record<string, string>;
    },
  ) =>
    createRelease(database, vault, {
      app,
      user: account,
      slugId: currentRelease(database, app)?.slugId ?? null,
      config: readConfigVars(database, vault, app),
      status: "succeeded",
      ...change,
    });
  const startDyno = (app: App, dyno: Pick<Dyno, "type" | "number" | "command">) => {
    const releaseId = currentRelease(database, app)?.id ?? "";
    const kind = dyno.type === "run" ? "detached" : "formation";
    return createDyno(database, {
      ...{ appId: app.id, releaseId, kind, size: "Basic", port: 0 },
      ...dyno,
    });
  };
  let runNumber = 1000;
  const images = createImageStore({
    ...{ folder: join(folder, "images"), freeDiskBytes: () => 1e12, minFreeDiskBytes: 0 },
  });
  const stacks = openStacks({
    ...{ database, logs, images, builtIn: ["host", "container"], hostStack: "heroku-24" },
    // Nothing runs here.
    ...{ runtime: {} as Runtime, refusal: "Nothing runs on this platform." },
  });
  const ofDomains = {
    ...{ database, vault, logs, platformDomain: new URL(`http://${urls.domain}`).hostname },
    ...{ hasAuthority: true, hasHttps: true, routesChanged: () => Promise.resolve() },
  };

  const platform = {
    database,
    vault,
    logs,
    urls: {
      api: urls.api,
      git: (app) => `${urls.git}/${app.name}.git`,
      web: (app) => `http://${app.name}.${urls.domain}/`,
    },
    createApp({ user, stack = "host", ...given }) {
      const app = createApp(database, { ...given, owner: user, ...stacks.meantBy(stack) });
      release(app, { description: "Initial release" });
      release(app, { description: "Enable Logplex" });
      return Promise.resolve(app);
    },
    renameApp: (app, name) => Promise.resolve(updateApp(database, app, { name })),
    setMaintenance: (app, maintenance) =>
      Promise.resolve(updateApp(database, app, { maintenance })),
    async destroyApp(app) {
      deleteApp(database, app);
      await logs.remove(app.id);
    },
    changeConfig(app, { change }) {
      const before = readConfigVars(database, vault, app);
      const vars = changedConfigVars(before, change);
      if (JSON.stringify(vars) === JSON.stringify(before))
        return Promise.resolve({ vars, release: null });
      writeConfigVars(database, vault, { app, vars });
      const description = `Set ${Object.keys(change).join(", ")} config vars`;
      return Promise.resolve({ vars, release: release(app, { description }) });
    },
    rollBack(app, { to }) {
      const vars = vault.open(to.sealedConfig);
      writeConfigVars(database, vault, { app, vars });
      const description = `Rollback to v${to.version}`;
      return Promise.resolve(release(app, { description, slugId: to.slugId, config: vars }));
    },
    listDynos: (app) => listDynos(database, app),
    restartDynos(_app, name) {
      restarted.push(name);
      return Promise.resolve();
    },
    stopDynos(_app, name) {
      stopped.push(name);
    },
    sizes,
    stacks,
    noDiskQuota: null,
    scale(app, { updates }) {
      const after = scaledFormation(listFormation(database, app), updates, { app, sizes });
      writeFormation(database, app, after);
      return after;
    },
    setFeature: (app, name, enabled) =>
      Promise.resolve(updateApp(database, app, { features: { ...app.features, [name]: enabled } })),
    domains: openDomains(ofDomains),
    certificates: openCertificates(ofDomains),
    changeVisitorRules: (app, options) => changeVisitorRules(ofDomains, app, options),
    publicAddresses: () => ["203.0.113.7"],
    setSleep: (app, sleepAfterMs) => Promise.resolve(updateApp(database, app, { sleepAfterMs })),
    runInside: (app, { dyno, command, environment, terminal }) =>
      attachedProcess(app, dyno, {
        command,
        environment: { ...hostEnvironment, ...environment, DYNO: dynoName(dyno) },
        terminal,
        onEnd: () => {},
      }),
    startBuild: (app, { user, blob }) => createBuild(database, { app, user, source: blob }),
    cancelBuild: (_app, { build }) => updateBuild(database, build, { status: "failed" }),
    purgeBuildCache: () => Promise.resolve(),
    releaseSlug: (app, { slug, description = "Deploy" }) =>
      release(app, { description, slugId: slug.id }),
    releaseImages(app, { updates }) {
      const slug = imageSlug({ database }, app, updates);
      return { slug, release: release(app, { description: "Deployed", slugId: slug.id }) };
    },
    releaseOutput: () => new Response("released\n").body as ReadableStream<Uint8Array>,
    runAttached(app, { command, environment, terminal }) {
      const dyno = startDyno(app, { type: "run", number: ++runNumber, command });
      const variables = { ...readConfigVars(database, vault, app), ...environment };
      return Promise.resolve(
        attachedProcess(app, dyno, {
          command,
          environment: { ...hostEnvironment, ...variables, DYNO: dynoName(dyno) },
          terminal,
          onEnd: () => deleteDyno(database, dyno.id),
        }),
      );
    },
    buildCache: () => undefined,
    async setBuildpacks(app, buildpacks) {
      setBuildpacks(database, vault, { app, buildpacks });
    },
    async runDetached(app, { command, environment }) {
      const dyno = startDyno(app, { type: "run", number: ++runNumber, command });
      const env = { ...hostEnvironment, ...environment };
      const child = spawn(["sh", "-c", command], { env });
      const output = await new Response(child.stdout).text();
      for (const message of output.trimEnd().split("\n"))
        logs.write(app.id, { at: logTime(), source: "app", dyno: dynoName(dyno), message });
      return dyno;
    },
  } satisfies Omit<
    Platform,
    | "deploy"
    | "buildOutput"
    | "sources"
    | "finishSlug"
    | "slugArchive"
    | "ownCertificate"
    | "repositories"
    | "freeDiskBytes"
    | "reconcile"
    | "close"
    | "tearDown"
  >;

  return {
    platform: platform as unknown as Platform,
    folder,
    account,
    token,
    restarted,
    stopped,
    startDyno,
    release,
    /** What a push does to the store. */
    deploy(app: App, processTypes: ProcessTypes) {
      const slug = createSlug(database, {
        appId: app.id,
        sha256: "ab".repeat(32),
        sizeBytes: 12_345_678,
        commit: "de63889c20a96347679af2c5160c390727fa6749",
        stack: app.stack,
        buildpackDescription: "Node.js",
        processTypes,
      });
      writeFormation(
        database,
        app,
        plannedFormation(app, listFormation(database, app), processTypes),
      );
      return release(app, { description: "Deploy de63889c", slugId: slug.id });
    },
    async close() {
      await logs.close();
      closeDatabase(database);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function attachedProcess(
  app: App,
  dyno: Dyno,
  options: {
    command: string;
    environment: Record<string, string>;
    terminal: { columns: number; lines: number } | null;
    onEnd: () => void;
  },
): AttachedDyno {
  const waiting: Uint8Array[] = [];
  let client: Parameters<AttachedDyno["attach"]>[0] | undefined;
  const output = (bytes: Uint8Array) => {
    if (client) void client.output(bytes);
    else waiting.push(bytes.slice());
  };
  const { command, environment: env, terminal } = options;
  if (command === "refuse") throw new PlatformError("conflict", "No more dynos may run.");
  const child = terminal
    ? Bun.spawn(["bash", "-c", command], {
        cwd: "/",
        env,
        terminal: {
          cols: terminal.columns,
          rows: terminal.lines,
          data: (_terminal, bytes) => output(bytes),
        },
      })
    : Bun.spawn(["bash", "-c", `{ ${command}\n} 2>&1`], {
        cwd: "/",
        env,
        stdin: "pipe",
        stdout: "pipe",
        // A process group of its own, so that a signal reaches all of it.
        detached: true,
      });
  const { stdin } = child;
  const read = async () => {
    if (child.stdout) for await (const bytes of child.stdout) output(bytes);
    const status = await child.exited;
    options.onEnd();
    client?.exit(status);
  };
  const stop = async () => {
    child.kill("SIGTERM");
    await child.exited;
  };
  return {
    ...{ app, dyno, ended: child.exited, stop, watchMemory: () => {} },
    attach(newClient) {
      client = newClient;
      for (const bytes of waiting.splice(0)) void client.output(bytes);
      void read();
    },
    async write(bytes) {
      if (child.terminal) child.terminal.write(bytes);
      else {
        await stdin?.write(bytes.slice());
        await stdin?.flush();
      }
    },
    endInput() {
      if (child.terminal) child.terminal.write("\u0004");
      else void stdin?.end();
    },
    resize: ({ columns, lines }) => child.terminal?.resize(columns, lines),
    hangUp() {
      if (child.terminal) child.kill("SIGHUP");
      else process.kill(-child.pid, "SIGHUP");
    },
  };
}

/** The platform behind a real server on loopback, with addresses below `localhost`. */
export function serveLocalPlatform(
  given: ApiOptions = {},
  more: (platform: Platform) => ApiOptions = () => ({}),
  /** With its database in its folder, which costs every test that does not look into it some time. */
  { isOnDisk = false }: { isOnDisk?: boolean } = {},
) {
  let handle: (request: Request, server: Bun.Server<AttachSession>) => Response | Promise<Response>;
  const serve = (port: number) =>
    Bun.serve<AttachSession>({
      hostname: "127.0.0.1",
      port,
      fetch: (request, server) => handle(request, server),
      websocket,
    });
  let server = serve(0);
  const port = server.port as number;
  const local = localPlatform(
    {
      api: `http://api.localhost:${port}`,
      git: `http://git.localhost:${port}`,
      domain: `localhost:${port}`,
    },
    isOnDisk,
  );
  const options = { ...given, ...more(local.platform) };
  const api = createApi(local.platform, options);
  handle = (request, server) => api.fetch(request, { server });
  return {
    ...local,
    api,
    url: `http://127.0.0.1:${port}`,
    apiUrl: `http://api.localhost:${port}`,
    gitUrl: `http://git.localhost:${port}`,
    /** Asks the API as its owner. */
    ask: (path: string, init: RequestInit = {}) =>
      fetch(`http://127.0.0.1:${port}${path}`, {
        ...init,
        headers: {
          Accept: "application/vnd.heroku+json; version=3",
          Authorization: `Bearer ${local.token}`,
          ...(init.body === undefined ? {} : { "Content-Type": "application/json" }),
          ...(init.headers as Record<string, string>),
        },
      }),
    /** The door is shut, and everybody is thrown out; what runs behind it goes on. */
    shut: () => server.stop(true),
    /** A new door at the old address, that knows nobody. */
    reopen() {
      const api = createApi(local.platform, options);
      handle = (request, server) => api.fetch(request, { server });
      server = serve(port);
    },
    async stop() {
      await server.stop(true);
      await local.close();
    },
  };
}

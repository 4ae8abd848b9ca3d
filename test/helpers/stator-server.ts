import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Argv, exec, type ExecResult, hostEnvironment, spawn } from "../../src/lib/exec.ts";
import { freePort } from "../../src/lib/free-port.ts";
import { processRow } from "../../src/lib/process-table.ts";
import { tryRead } from "../../src/runtime/read-file.ts";

export const repositoryRoot = join(import.meta.dir, "../..");
const usualCaBundle = "/etc/ssl/certs/ca-certificates.crt";

export interface StatorOptions {
  /** Variables of the server's environment besides a search path. */
  variables?: Record<string, string>;
  flags?: string[];
  /** The data folder of an earlier server; a new one in a temporary folder when left out. */
  dataDir?: string;
  /** How the program is started; the checkout by Bun when left out. */
  program?: Argv;
  cwd?: string;
}

export interface Push extends ExecResult {
  /** Both streams as a user sees them, without git's `remote: `. */
  text: string;
}

export interface StatorApp {
  name: string;
  /** The user's checkout. */
  folder: string;
  write(files: Record<string, string>): void;
  commit(message?: string): Promise<string>;
  git(...args: string[]): Promise<ExecResult>;
  push(...args: string[]): Promise<Push>;
  /** Asks the app by way of the router. */
  get(path?: string, init?: RequestInit): Promise<Response>;
  /** Runs a command in the web dyno of a probe (see `probeFiles`). */
  shell(command: string): Promise<string>;
  api<T = unknown>(method: string, path?: string, body?: unknown): Promise<T>;
  /** The last 1500 lines, perhaps only of a `source`. */
  logs(filter?: { source: "app" | "heroku" }): Promise<string>;
}

export type StatorServer = Awaited<ReturnType<typeof startStator>>;

/** Starts `stator server` with a data folder of its own on a free port. */
export async function startStator(options: StatorOptions = {}) {
  let work: string;
  let dataDir: string;
  do {
    work = mkdtempSync(join(tmpdir(), "stator-flow-"));
    dataDir = options.dataDir ?? join(work, "data");
    // Of two hundred servers' names of four digits, two may be the same.
  } while (options.dataDir === undefined && existsSync(`/run/stator/${instanceOf(dataDir)}`));
  const home = join(work, "home");
  mkdirSync(home, { recursive: true });
  let child = launch(dataDir, options, freePort());
  await ready(child);
  const credentials = JSON.parse(readFileSync(join(dataDir, "credentials.json"), "utf8")) as {
    api: string;
    git: string;
    email: string;
    token: string;
  };
  const port = Number(new URL(credentials.api).port);
  const gitHost = new URL(credentials.git).hostname;
  writeFileSync(
    join(home, ".netrc"),
    `machine ${gitHost} login anyone password ${credentials.token}\n`,
    { mode: 0o600 },
  );

  async function ask(host: string, path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${port}${path}`, {
      ...init,
      headers: { ...(init.headers as Record<string, string>), host: `${host}.localhost:${port}` },
    });
  }

  async function api<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await ask("api", path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: {
        // As our own command line, whose attached dynos are WebSockets.
        accept: "application/vnd.heroku+json; version=3.stator",
        authorization: `Bearer ${credentials.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text ? JSON.parse(text) : undefined) as T;
  }

  const gitEnvironment = userEnvironment(home);

  async function createApp(
    files: Record<string, string> | string,
    name = `app-${crypto.randomUUID().slice(0, 8)}`,
  ): Promise<StatorApp> {
    await api("POST", "/apps", { name });
    const folder = join(work, name);
    if (typeof files === "string") cpSync(files, folder, { recursive: true });
    else mkdirSync(folder);
    const git = (...args: string[]) => exec(["git", ...args], { cwd: folder, env: gitEnvironment });
    await git("init", "--quiet", "--initial-branch=main");
    await git("remote", "add", "stator", `${credentials.git}/${name}.git`);
    const app: StatorApp = {
      name,
      folder,
      git,
      write(changed) {
        for (const [path, text] of Object.entries(changed)) {
          mkdirSync(dirname(join(folder, path)), { recursive: true });
          writeFileSync(join(folder, path), text);
        }
      },
      async commit(message = "A change") {
        await git("add", "--all");
        const committed = await git("commit", "--quiet", "--allow-empty", "-m", message);
        if (committed.exitCode !== 0) throw new Error(committed.stderr);
        return (await git("rev-parse", "HEAD")).stdout.trim();
      },
      push: async (...args) =>
        asPush(await git("push", ...(args.length > 0 ? args : ["stator", "main"]))),
      get: (path = "/", init) => ask(name, path, init),
      async shell(command) {
        const response = await ask(name, "/shell", { method: "POST", body: command });
        if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
        return response.text();
      },
      api: (method, path = "", body) => api(method, `/apps/${name}${path}`, body),
      async logs(filter) {
        const session = await api<{ logplex_url: string }>("POST", `/apps/${name}/log-sessions`, {
          ...{ lines: 1500, ...filter },
        });
        const url = new URL(session.logplex_url);
        return (await ask("api", `${url.pathname}${url.search}`)).text();
      },
    };
    if (typeof files !== "string") app.write(files);
    await app.commit("First");
    return app;
  }

  async function end(signal: NodeJS.Signals): Promise<number> {
    child.kill(signal);
    return child.exited;
  }

  return {
    work,
    dataDir,
    /** Four hex digits in the names of its things. */
    instance: instanceOf(dataDir),
    port,
    credentials,
    gitEnvironment,
    ask,
    api,
    createApp,
    get pid() {
      return child.pid;
    },
    get routerPid() {
      const found = findProcesses(join(dataDir, "router")).map(({ pid }) => pid);
      // Its workers are its children; numbers begin anew now and then.
      return found.find((pid) => !found.includes(processRow(pid)?.parent ?? pid));
    },
    /** What the server has said on standard error. */
    said: () => messages.get(child) ?? "",
    kill: end,
    /** Starts the server again on the same data folder and port. */
    async restart(changed: StatorOptions = {}) {
      child = launch(dataDir, { ...options, ...changed }, port);
      await ready(child);
    },
    /** Stops everything, and fails when anything of it is left. */
    async stop(): Promise<void> {
      let problem = "";
      if (child.exitCode === null && child.signalCode === null) {
        const ended = await Promise.race([end("SIGTERM"), Bun.sleep(60_000).then(() => null)]);
        if (ended !== 0) problem = `the server ended with ${ended}: ${messages.get(child)}\n`;
      }
      let left = await leftovers(dataDir);
      // Links of namespaces that are gone go in the kernel's own time.
      const isLink = (row: string) => row.includes(`st${instanceOf(dataDir)}-`);
      for (let tries = 0; tries < 100 && left.length > 0 && left.every(isLink); tries++) {
        await Bun.sleep(100);
        left = await leftovers(dataDir);
      }
      if (left.length > 0) await sweep(dataDir);
      rmSync(work, { recursive: true, force: true });
      if (left.length > 0) problem += `left behind:\n${left.join("\n")}`;
      if (problem) throw new Error(problem);
    },
  };
}

/** What a user's programs get: no settings of the machine's own. */
export function userEnvironment(home: string): Record<string, string> {
  return {
    ...hostEnvironment,
    HOME: home,
    GIT_TERMINAL_PROMPT: "0",
    GIT_AUTHOR_NAME: "Dev",
    GIT_AUTHOR_EMAIL: "dev@example.com",
    GIT_COMMITTER_NAME: "Dev",
    GIT_COMMITTER_EMAIL: "dev@example.com",
  };
}

export function asPush(result: ExecResult): Push {
  const text = `${result.stdout}${result.stderr}`
    .replaceAll(/^remote: ?/gm, "")
    .replaceAll("\u001B[K", "")
    .replaceAll(/[ \t]+$/gm, "");
  return { ...result, text };
}

type Child = ReturnType<typeof spawnServer>;
const messages = new WeakMap<object, string>();

function launch(dataDir: string, options: StatorOptions, port: number): Child {
  const program = options.program ?? [
    process.execPath,
    "--no-env-file",
    join(repositoryRoot, "src/main.ts"),
  ];
  const flags = options.flags ?? ["--stop-dynos"];
  const child = spawnServer(
    [...program, "server", "--data", dataDir, "--http", String(port), ...flags] as unknown as Argv,
    options,
  );
  messages.set(child, "");
  void keepMessages(child);
  return child;
}

function spawnServer(argv: Argv, options: StatorOptions) {
  return spawn<"ignore", "ignore", "pipe">(argv, {
    cwd: options.cwd ?? repositoryRoot,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    env: {
      PATH: hostEnvironment.PATH,
      HOME: "/root",
      ...operatorSettings(),
      ...options.variables,
    },
  });
}

/** What builds need on this machine to reach package registries, as its operator would set it. */
function operatorSettings(): Record<string, string> {
  const settings: Record<string, string> = {};
  const bundle = process.env.STATOR_BUILD_CA_BUNDLE ?? usualCaBundle;
  if (existsSync(bundle)) settings.STATOR_BUILD_CA_BUNDLE = bundle;
  for (const [name, value] of Object.entries(process.env))
    if (value && /^(https?_proxy|no_proxy|npm_config_(registry|cafile))$/i.test(name))
      settings[`STATOR_BUILD_ENV_${name}`] = value;
  return settings;
}

async function keepMessages(child: Child): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of child.stderr)
    messages.set(child, messages.get(child) + decoder.decode(bytes, { stream: true }));
}

async function ready(child: Child): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (!messages.get(child)?.includes("Stator serves")) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`the server does not start: ${messages.get(child)}`);
    await Bun.sleep(20);
  }
}

/** Processes with a word of their command line that contains `text`. */
export function findProcesses(text: string): { pid: number; argv: string[] }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      try {
        const argv = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0").slice(0, -1);
        return argv.some((word) => word.includes(text)) ? [{ pid: Number(name), argv }] : [];
      } catch {
        return [];
      }
    });
}

/** Clears away what a failed test has left, so that the next one begins on a clean machine. */
export async function sweep(dataDir: string): Promise<void> {
  const instance = instanceOf(dataDir);
  const runDir = `/run/stator/${instance}`;
  for (let tries = 0; tries < 20; tries++) {
    const pids = new Set(
      [...findProcesses(dataDir), ...findProcesses(runDir)].map(({ pid }) => pid),
    );
    const groups = await exec([
      "find",
      "/sys/fs/cgroup",
      "-path",
      `*/stator-${instance}/*/cgroup.procs`,
    ]);
    for (const path of rows(groups.stdout, ""))
      for (const pid of rows(tryRead(path), "")) pids.add(Number(pid));
    if (pids.size === 0) break;
    for (const pid of pids)
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    await Bun.sleep(50);
  }
  await exec(["nft", "delete", "table", "inet", `stator_${instance}`]);
  for (let tries = 0; tries < 5; tries++) await exec(["umount", "--lazy", `${runDir}/box`]);
  const groups = await exec([
    "find",
    "/sys/fs/cgroup",
    "-depth",
    "-type",
    "d",
    "-path",
    `*/stator-${instance}*`,
  ]);
  for (const path of rows(groups.stdout, "")) await exec(["rmdir", path]);
  if (existsSync("/run/stator/addresses"))
    for (const name of readdirSync("/run/stator/addresses"))
      if (tryRead(`/run/stator/addresses/${name}`).startsWith(`${instance} `))
        rmSync(`/run/stator/addresses/${name}`);
  rmSync(runDir, { recursive: true, force: true });
}

function instanceOf(dataDir: string): string {
  return createHash("sha256").update(dataDir).digest("hex").slice(0, 4);
}

/** Everything of a stopped server that the machine still has. */
async function leftovers(dataDir: string): Promise<string[]> {
  const instance = instanceOf(dataDir);
  const runDir = `/run/stator/${instance}`;
  const mentions = (text: string) => text.includes(dataDir) || text.includes(runDir);
  const processes = [...findProcesses(dataDir), ...findProcesses(runDir)].map(
    ({ pid, argv }) => `process ${pid}: ${argv.join(" ")}`,
  );
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter(mentions);
  const cgroups = await exec(["find", "/sys/fs/cgroup", "-name", `stator-${instance}*`]);
  const tables = await exec(["nft", "list", "tables"]);
  const links = await exec(["ip", "-oneline", "link"]);
  const addresses = existsSync("/run/stator/addresses")
    ? readdirSync("/run/stator/addresses").filter((name) =>
        tryRead(`/run/stator/addresses/${name}`).startsWith(`${instance} `),
      )
    : [];
  return [
    ...processes,
    ...mounts.map((row) => `mount ${row}`),
    ...rows(cgroups.stdout, "").map((row) => `cgroup ${row}`),
    ...rows(tables.stdout, `stator_${instance}`),
    ...rows(links.stdout, `st${instance}-`),
    ...addresses.map((name) => `address ${name}`),
    ...(existsSync(runDir) ? [`folder ${runDir}`] : []),
  ];
}

function rows(text: string, wanted: string): string[] {
  return text.split("\n").filter((row) => row !== "" && row.includes(wanted));
}

/** Longer than anything takes that comes at all, also on a machine that does much else. */
const patienceMs = 180_000;

/** Waits until something is so; fails with what was expected when it never comes. */
export async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`not after ${patienceMs} ms: ${what}`);
    await Bun.sleep(50);
  }
}

/** A package.json without dependencies that is content with the Node.js of the machine. */
export function packageJson(scripts?: Record<string, string>): string {
  const engines = { node: ">=18" };
  return JSON.stringify({ name: "probe", version: "1.0.0", private: true, engines, scripts });
}

/** An app that runs shell commands in its dyno for a test, and says which version it is. */
export function probeFiles(version = "1", more: Record<string, string> = {}) {
  return {
    "package.json": packageJson(),
    Procfile: `web: node server.js ${version}\n`,
    "server.js": `
const http = require("node:http");
const { execFile } = require("node:child_process");
http.createServer((request, response) => {
  if (request.url === "/shell") {
    let command = "";
    request.on("data", (bytes) => (command += bytes));
    request.on("end", () =>
      execFile("bash", ["-c", command], (error, stdout, stderr) => response.end(stdout + stderr)));
  } else if (request.url === "/env") response.end(JSON.stringify(process.env));
  else if (request.url.startsWith("/log/")) {
    console.log(decodeURIComponent(request.url.slice(5)));
    response.end();
  } else if (request.url === "/slow") setTimeout(() => response.end("slow " + process.argv[2]), 1500);
  else response.end("version " + process.argv[2]);
}).listen(process.env.PORT, () => console.log("probe listens"));
`,
    ...more,
  };
}

/** A script that git, as a stranger's password prompt, calls. */
export function askPass(folder: string, password: string): Record<string, string> {
  const script = join(folder, `askpass-${crypto.randomUUID().slice(0, 8)}`);
  writeFileSync(script, `#!/bin/sh\necho '${password}'\n`);
  chmodSync(script, 0o700);
  return { GIT_ASKPASS: script };
}

import { afterAll } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { anotherMachine } from "./another-machine.ts";
import { commandLine } from "./command-line.ts";
import { freePorts } from "./free-ports.ts";
import { npmPackages } from "./npm-programs.ts";
import { startStator, until } from "./stator-server.ts";

/** Hosts that stand fixed in Heroku's command line, and those that it falls back to. */
const hostsOfHeroku = [
  ...["api.heroku.com", "telex.heroku.com", "particleboard.heroku.com", "backboard.heroku.com"],
  ...["kolkrabbi.heroku.com", "api.data.heroku.com", "cli-auth.heroku.com", "git.heroku.com"],
  ...["exec-manager.heroku.com", "sso.heroku.com", "api.metrics.heroku.com", "status.heroku.com"],
  ...["api.metrics.herokai.com", "api.status.salesforce.com", "buildpack-registry.heroku.com"],
];

/** A login at Heroku itself, which is nobody's business here. */
const netrcOfHeroku =
  "machine api.heroku.com\n  login person@elsewhere.example\n  password HRKU-of-heroku-itself\n" +
  "machine git.heroku.com\n  login person@elsewhere.example\n  password HRKU-of-heroku-itself\n";
const gitconfigOfPerson =
  '[user]\n\tname = Dev\n\temail = dev@example.com\n[credential "https://git.heroku.com"]\n\thelper = !heroku git:credentials\n';

/** Starts of Heroku's command line at once: each takes about a second of a processor. */
const startsAtOnce = 4;

export interface Said {
  status: number;
  out: string;
  err: string;
}

/**
 * A server with HTTPS, and a person on another machine who has Heroku's own command line, a login at
 * Heroku, and one here; for the file of tests that calls this (at its top). Heroku's hosts are a
 * third machine there, of which everything that reaches it is kept.
 */
export async function herokuStory(options: {
  version: string;
  /** Apps that are pushed before it begins: their files by their names. */
  apps?: Record<string, Record<string, string>>;
  /** Variables of the server's environment. */
  variables?: Record<string, string>;
}) {
  const domain = "stator.example";
  const packages = await npmPackages(`heroku@${options.version}`);
  const other = await anotherMachine();
  const [httpsPort = 0] = freePorts(1);
  const stator = await startStator();
  afterAll(() => stator.stop());
  await Promise.all(
    Object.entries(options.apps ?? {}).map(async ([name, files]) => {
      const { exitCode, text } = await (await stator.createApp(files, name)).push();
      if (exitCode !== 0) throw new Error(text);
    }),
  );
  const flags = [
    ...["--stop-dynos", "--host", "0.0.0.0", "--domain", domain],
    ...["--https", String(httpsPort)],
  ];
  await stator.kill("SIGTERM");
  const settings = { flags, variables: options.variables ?? {} };
  await stator.restart(settings);
  const certificate = join(stator.dataDir, "certificates", `${domain}.pem`);
  other.name(domain, `api.${domain}`, `git.${domain}`);

  const heard: string[] = [];
  const third = Bun.listen({
    hostname: other.host,
    port: 0,
    socket: {
      open: () => void heard.push("a connection"),
      data: (_socket, bytes) => void heard.push(bytes.toString()),
    },
  });
  afterAll(() => third.stop(true));
  await other.nameThird(third.port, ...hostsOfHeroku);

  const apiUrl = `https://api.${domain}:${httpsPort}`;
  const person = commandLine(
    {
      ...{ STATOR_API: apiUrl, STATOR_API_KEY: stator.credentials.token },
      ...{ NODE_EXTRA_CA_CERTS: certificate, GIT_SSL_CAINFO: certificate },
      ...{ TERM: "dumb", GIT_TERMINAL_PROMPT: "0" },
      PATH: `${join(packages, ".bin")}:/usr/local/bin:/usr/bin:/bin`,
    },
    other.there,
  );
  afterAll(() => person.remove());
  const [netrc, gitconfig] = [join(person.home, ".netrc"), join(person.home, ".gitconfig")];
  writeFileSync(netrc, netrcOfHeroku, { mode: 0o600 });
  writeFileSync(gitconfig, gitconfigOfPerson);

  const turns = Array.from({ length: startsAtOnce }, () => Promise.resolve());
  let lines = 0;
  /** Runs `stator heroku …`, when it is its turn. */
  async function run(argv: string[], input?: string): Promise<Said> {
    const turn = lines++ % startsAtOnce;
    const before = turns[turn];
    const { promise, resolve } = Promise.withResolvers<void>();
    turns[turn] = promise;
    await before;
    try {
      return await ended(person.start(["heroku", ...argv], input === undefined ? {} : { input }));
    } finally {
      resolve();
    }
  }

  /** Asks the API with a token, past all command lines. */
  const ask = (token: string, path: string, init: RequestInit = {}) =>
    fetch(`http://127.0.0.1:${stator.port}${path}`, {
      ...init,
      headers: {
        Host: `api.${domain}`,
        Accept: "application/vnd.heroku+json; version=3",
        Authorization: `Bearer ${token}`,
        ...(init.body === undefined ? {} : { "Content-Type": "application/json" }),
      },
    });

  /** The same, as its owner, for the body of a good answer. */
  async function api<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await ask(stator.credentials.token, path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  return {
    ...{ stator, person, other, domain, apiUrl, httpsPort, run, ended, ask, api, heard },
    restart: () => stator.restart(settings),
    /** The same as one that leaves dynos and router alone when it stops, as a service does. */
    restartAsService: () =>
      stator.restart({ ...settings, flags: flags.filter((flag) => flag !== "--stop-dynos") }),
    /** How many command lines were run. */
    count: () => lines,
    /**
     * Runs a line that must succeed, as in heroku`ps -a ${app}`, whose values stay one word each;
     * returns what it said on standard output.
     */
    heroku: async (texts: TemplateStringsArray, ...values: string[]): Promise<string> => {
      const argv = words(texts, values);
      const { status, out, err } = await run(argv);
      if (status !== 0) throw new Error(`heroku ${argv.join(" ")}: ${status}\n${out}${err}`);
      return out;
    },
    /** Runs a line that must fail; returns all that it said, in one line. */
    refused: async (texts: TemplateStringsArray, ...values: string[]): Promise<string> => {
      const argv = words(texts, values);
      const { status, out, err } = await run(argv);
      if (status === 0) throw new Error(`heroku ${argv.join(" ")} did not fail: ${out}${err}`);
      return `${out}${err}`.replaceAll(/\s*\n[\s›]*/g, " ");
    },
    /** The person's files of logins, and what they were before. */
    logins: () => ({
      netrc: readFileSync(netrc, "utf8"),
      gitconfig: readFileSync(gitconfig, "utf8"),
      before: { netrc: netrcOfHeroku, gitconfig: gitconfigOfPerson },
    }),
  };
}

/**
 * Heroku's command line without `stator heroku` around it, by a bridge that stays: with no token in
 * its environment, it logs in by itself, and keeps that in a home of its own.
 */
export async function herokuAlone({
  person,
  other,
}: Pick<Awaited<ReturnType<typeof herokuStory>>, "person" | "other">) {
  const bridge = person.start(["bridge"]);
  const { value } = await bridge.stdout.getReader().read();
  const url = Buffer.from(value ?? [])
    .toString()
    .trim();
  const home = commandLine();
  const env = {
    ...{ HOME: home.home, PATH: person.environment.PATH, TERM: "xterm" },
    ...{ HEROKU_HOST: url, HEROKU_LOGIN_HOST: url, HEROKU_PARTICLEBOARD_URL: url },
    ...{ HEROKU_GIT_HOST: "git.stator.example", HEROKU_NETRC_WRITE: "true" },
    ...{ DISABLE_TELEMETRY: "true", HEROKU_SKIP_NEW_VERSION_CHECK: "true", BROWSER: "true" },
  };
  const start = (argv: string[], more: object) =>
    Bun.spawn([...other.there(["heroku", ...argv])], { cwd: home.cwd, env, ...more });
  return {
    async end(): Promise<void> {
      bridge.kill();
      await bridge.exited;
      home.remove();
    },
    run: (...argv: string[]) =>
      ended(start(argv, { stdin: "ignore", stdout: "pipe", stderr: "pipe" }) as never),
    /** The same, in a terminal, in which answers are typed when they are asked for. */
    type(...argv: string[]) {
      let [all, seen] = ["", ""];
      const data = (_: unknown, bytes: Uint8Array) => {
        const text = Buffer.from(bytes).toString();
        [all, seen] = [all + text, seen + text];
      };
      const child = start(argv, { terminal: { cols: 200, rows: 40, data } });
      const sees = (word: string) =>
        until(`${word} is said`, () => Bun.stripANSI(seen).includes(word));
      return {
        sees,
        seen: () => Bun.stripANSI(all),
        async answer(word: string, keys: string) {
          await sees(word);
          seen = "";
          child.terminal?.write(keys);
        },
        ended: () => child.exited,
      };
    },
  };
}

async function ended(child: {
  stdout: ReadableStream<Uint8Array>;
  stderr: ReadableStream<Uint8Array>;
  exited: Promise<number>;
}): Promise<Said> {
  const [out, err, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out, err, status };
}

function words(texts: TemplateStringsArray, values: string[]): string[] {
  return texts.flatMap((text, index) => {
    const fixed = text.split(" ").filter((word) => word !== "");
    const value = values[index];
    return value === undefined ? fixed : [...fixed, value];
  });
}

import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { anotherMachine } from "../helpers/another-machine.ts";
import { commandLine } from "../helpers/command-line.ts";
import { freePorts } from "../helpers/free-ports.ts";
import { serveApp } from "../helpers/serve-app.ts";
import { probeFiles, until } from "../helpers/stator-server.ts";

const domain = "stator.example";
const other = await anotherMachine();
const [httpsPort] = freePorts(1);
const { stator, app } = await serveApp(probeFiles());
await stator.kill("SIGTERM");
await stator.restart({
  flags: ["--stop-dynos", "--host", "0.0.0.0", "--domain", domain, "--https", String(httpsPort)],
});
other.name(`api.${domain}`, `git.${domain}`, `${app.name}.${domain}`);
const person = commandLine(
  {
    STATOR_API: `https://api.${domain}:${httpsPort}`,
    STATOR_API_KEY: stator.credentials.token,
    STATOR_APP: app.name,
    NODE_EXTRA_CA_CERTS: join(stator.dataDir, "certificates", `${domain}.pem`),
    TERM: "xterm",
  },
  other.there,
);
afterAll(() => person.remove());

async function say(argv: string[], input?: string) {
  const child = person.start(argv, { ...(input === undefined ? {} : { input }) });
  const [out, err, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out, err, status };
}

/** Types `lines` into a terminal there, each when what came before it was answered. */
async function type(argv: string[], lines: [await_: string | RegExp, typed: string][]) {
  let seen = "";
  const { child, terminal } = person.startInTerminal(argv, {
    ...{ columns: 91, lines: 33 },
    onOutput: (text) => (seen += text),
  });
  for (const [answer, typed] of lines) {
    await until(`${answer} stands in ${JSON.stringify(seen)}`, () => seen.search(answer) >= 0);
    terminal.write(typed);
  }
  return { status: await child.exited, seen };
}

test("run from another machine over HTTPS: a line, its exit status, piped input byte by byte", async () => {
  expect(await say(["run", "-x", "--", "sh", "-c", "echo here; echo $DYNO; exit 7"])).toMatchObject(
    {
      out: expect.stringMatching(/^here\s+run\.\d+\s+$/) as string,
      status: 7,
    },
  );
  const input = "line\n".repeat(20_000);
  const counted = await say(["run", "--no-tty", "--", "wc", "-c"], input);
  expect(counted).toMatchObject({ out: `${input.length}\n`, status: 0 });
});

test("run in a terminal from another machine: its size, Ctrl-C, Ctrl-D", async () => {
  const { status, seen } = await type(
    ["run", "bash --norc"],
    [
      [/\$ $/, "stty size; sleep 1000\r"],
      ["33 91", "\u0003"],
      [/\^C.*\$ $/s, "echo done $?; (exit 5)\r"],
      [/done 130\s.*\$ $/s, "\u0004"],
    ],
  );
  expect(seen).toContain("exit");
  expect(status).toBe(5);
});

test("ps:exec from another machine: a shell inside the dyno that runs", async () => {
  const { out, status } = await say(["ps:exec", "--no-tty", "--", "ps", "-eo", "args"]);
  expect(out).toContain("node server.js");
  expect(status).toBe(0);
  const { status: left } = await type(
    ["ps:exec", "-d", "web.1"],
    [
      [/\$ $/, "echo in $DYNO\r"],
      ["in web.1", "exit 3\r"],
    ],
  );
  expect(left).toBe(3);
});

test("a stranger there gets in by no key, and a server that is not trusted by no request", async () => {
  const stranger = commandLine({ ...person.environment, STATOR_API_KEY: "wrong" }, other.there);
  const trustless = commandLine({ ...person.environment, NODE_EXTRA_CA_CERTS: "" }, other.there);
  for (const [who, told] of [
    [stranger, "Invalid credentials"],
    [trustless, "Cannot trust the server"],
  ] as const) {
    const child = who.start(["run", "id"]);
    expect(await new Response(child.stderr).text()).toContain(told);
    expect(await child.exited).not.toBe(0);
    who.remove();
  }
});

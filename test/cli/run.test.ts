import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { parseCommand } from "../../src/cli/parse.ts";
import { commands } from "../../src/cli/commands/registry.ts";
import { remoteCommand } from "../../src/cli/remote-command.ts";
import type { Command } from "../../src/cli/command.ts";
import { commandLine } from "../helpers/command-line.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
let person: ReturnType<typeof commandLine>;
beforeAll(async () => {
  served = serveLocalPlatform();
  const app = await served.platform.createApp({ name: "shop", user: served.account });
  served.deploy(app, { web: "npm start" });
  person = commandLine({
    STATOR_API: served.apiUrl,
    STATOR_API_KEY: served.token,
    STATOR_APP: "shop",
    TERM: "xterm",
  });
});
afterAll(async () => {
  await served.stop();
  person.remove();
});

const sha = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("flags before -- are ours, what is after it is the program's", () => {
  const parse = (...argv: string[]) => parseCommand("run", commands.get("run") as Command, argv);
  expect(parse("-a", "x", "--", "ls", "-a")).toEqual({ flags: { app: "x" }, args: ["ls", "-a"] });
  expect(parse("ls", "-l", "-a", "x")).toEqual({ flags: { app: "x" }, args: ["ls", "-l"] });
  expect(parse("--app=x", "-x", "bash")).toEqual({
    flags: { app: "x", "exit-code": true },
    args: ["bash"],
  });
  expect(parse("node", "-h")).toEqual({ flags: {}, args: ["node", "-h"] });
  expect(parse("--no-tty", "--", "--", "--help").args).toEqual(["--", "--help"]);
  expect(() => parse("-a", "x")).toThrow("COMMAND is missing");
});

test("words stay words on their way to the remote shell", async () => {
  for (const words of [
    ["echo", "a  b", "it's", '"q"', "$(x)", "`y`", "*", "a\\b", "", "é", "\n"],
    ["node", "-e", "console.log(1)"],
  ]) {
    const line = remoteCommand(["printf", "%s\\0", ...words]);
    const child = Bun.spawn(["bash", "-c", line]);
    expect((await new Response(child.stdout).text()).split("\0").slice(0, -1)).toEqual(words);
  }
  expect(remoteCommand(["ls | wc -l"])).toBe("ls | wc -l");
  expect(remoteCommand(["echo", "$PORT"])).toBe("echo $PORT");
});

test("the exit status and the output are the command's own; what is said goes to stderr", async () => {
  const child = person.start(["run", "--", "sh", "-c", "exit 42", "-e", "X"]);
  expect(await child.exited).toBe(42);
  const named = person.start(["run", "-e", "GREETING=hi;B=2", "echo $GREETING $B"]);
  expect(await new Response(named.stdout).text()).toBe("hi 2\n");
  expect(await new Response(named.stderr).text()).toMatch(
    /^Running echo \$GREETING \$B on ⬢ shop\.\.\. done, run\.\d+\n$/,
  );
  expect(await named.exited).toBe(0);
});

test("a large input and a large output arrive whole", async () => {
  const bytes = randomBytes(20_000_000);
  const child = person.start(["run", "--", "cat"], { input: bytes });
  const output = new Uint8Array(await new Response(child.stdout).arrayBuffer());
  expect(output.length).toBe(bytes.length);
  expect(sha(output)).toBe(sha(bytes));
  expect(await child.exited).toBe(0);
});

test("a refusal is told, with status 1", async () => {
  const child = person.start(["run", "refuse"]);
  expect(await child.exited).toBe(1);
  expect(await new Response(child.stderr).text()).toContain(
    "... !\n ▸    No more dynos may run.\n",
  );
});

test("a terminal is handed over: size, later sizes, keys, Ctrl-C, status", async () => {
  let seen = "";
  const heard = async (text: string) => {
    const end = Date.now() + 120_000;
    while (!seen.includes(text)) {
      if (Date.now() > end) throw new Error(`never heard ${text} in: ${seen}`);
      await Bun.sleep(10);
    }
  };
  const script =
    "stty size; echo $TERM; trap 'echo interrupted' INT; read a; echo got $a; sleep 5; stty size; exit 9";
  const { child, terminal } = person.startInTerminal(["run", script], {
    columns: 93,
    lines: 31,
    onOutput: (text) => (seen += text),
  });
  await heard("31 93");
  await heard("xterm");
  terminal.write("word\r");
  await heard("got word");
  terminal.resize(77, 22);
  await Bun.sleep(1500);
  terminal.write("\u0003");
  await heard("interrupted");
  await heard("22 77");
  expect(await child.exited).toBe(9);
});

test("logs --tail goes on until it is stopped", async () => {
  const app = await served.platform.createApp({ name: "talker", user: served.account });
  const say = (message: string) =>
    served.platform.logs.write(app.id, {
      at: "2024-05-01T12:00:00.000000+00:00",
      source: "app",
      dyno: "web.1",
      message,
    });
  say("first");
  const child = person.start(["logs", "--tail", "-a", "talker"]);
  const reader = child.stdout.getReader();
  const next = async () => Buffer.from((await reader.read()).value ?? []).toString();
  expect(await next()).toEndWith("app[web.1]: first\n");
  say("second");
  expect(await next()).toEndWith("app[web.1]: second\n");
  child.kill("SIGINT");
  expect(await child.exited).not.toBe(0);
});

test("logs --tail goes on through a restart of the server, without gap or double", async () => {
  const app = await served.platform.createApp({ name: "lasting", user: served.account });
  let said = 0;
  const say = () =>
    served.platform.logs.write(app.id, {
      at: "2024-05-01T12:00:00.000000+00:00",
      source: "app",
      dyno: "web.1",
      stream: "stderr",
      message: `line ${said++}`,
    });
  const child = person.start(["logs", "--tail", "--json", "-a", "lasting"]);
  let [out, err] = ["", ""];
  const listen = async (stream: ReadableStream<Uint8Array>, heard: (text: string) => void) => {
    for await (const chunk of stream) heard(Buffer.from(chunk).toString());
  };
  void listen(child.stdout, (text) => (out += text));
  void listen(child.stderr, (text) => (err += text));
  const speaking = setInterval(say, 2);
  const printed = () => out.split("\n").length - 1;
  for (let restart = 1; restart <= 2; restart++) {
    const before = printed();
    while (printed() < before + 20) await Bun.sleep(5);
    await served.shut();
    while (err.split("Waiting for the server").length <= restart) await Bun.sleep(5);
    await Bun.sleep(300);
    served.reopen();
    while (err.split("Connected again").length <= restart) await Bun.sleep(5);
  }
  clearInterval(speaking);
  say();
  while (!out.includes(`line ${said - 1}"`)) await Bun.sleep(5);
  const lines = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, string>);
  const first = Number(lines[0]?.message?.slice("line ".length));
  expect(lines.map(({ message }) => message)).toEqual(
    lines.map((_, index) => `line ${first + index}`),
  );
  expect(lines[0]?.stream).toBe("stderr");
  child.kill("SIGINT");
  await child.exited;
});

test("logs --tail of an app that is gone after a restart ends with what the server says", async () => {
  const app = await served.platform.createApp({ name: "fleeting", user: served.account });
  served.platform.logs.write(app.id, { at: "x", source: "app", dyno: "web.1", message: "first" });
  const child = person.start(["logs", "--tail", "-a", "fleeting"]);
  await child.stdout.getReader().read();
  await served.shut();
  await served.platform.destroyApp(app);
  served.reopen();
  expect(await child.exited).toBe(1);
  expect(await new Response(child.stderr).text()).toEndWith(
    ' ▸    Couldn\'t find that app: "fleeting".\n',
  );
});

test("a token is asked for without being shown", async () => {
  const other = commandLine();
  let seen = "";
  const { child, terminal } = other.startInTerminal(["login", "--api", served.apiUrl], {
    columns: 80,
    lines: 24,
    onOutput: (text) => (seen += text),
  });
  while (!seen.includes("Token for")) await Bun.sleep(10);
  terminal.write(`${served.token}\r`);
  while (!seen.includes("as owner@example.com")) await Bun.sleep(10);
  expect(await child.exited).toBe(0);
  expect(seen).not.toContain(served.token);
  other.remove();
});

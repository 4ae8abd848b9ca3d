import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import packageJson from "../../package.json";
import { commands, topics } from "../../src/cli/commands/registry.ts";
import { parseCommand } from "../../src/cli/parse.ts";
import { commandReference } from "../../src/cli/reference.ts";
import { version } from "../../src/lib/version.ts";
import { commandLine } from "../helpers/command-line.ts";

const person = commandLine();
const stator = (...argv: string[]) => person.stator(...argv);
afterAll(() => person.remove());

test("general help names every topic", async () => {
  for (const argv of [[], ["help"], ["--help"], ["-h"]]) {
    const { status, out } = await stator(...argv);
    expect(status).toBe(0);
    for (const { name, summary } of topics) expect(out).toMatch(new RegExp(`${name} +${summary}`));
  }
});

test("every topic and every command explains itself, with all of its flags", async () => {
  expect(commands.size).toBeGreaterThan(30);
  for (const topic of topics) {
    const { status, out } = await stator("help", topic.name);
    expect(status).toBe(0);
    for (const name of Object.keys(topic.commands)) expect(out).toContain(name);
  }
  for (const [name, command] of commands) {
    const { status, out } = await stator(name, "--help");
    expect(status).toBe(0);
    expect(out).toStartWith(command.summary);
    for (const flag of Object.keys(command.flags)) expect(out).toContain(`--${flag}`);
  }
});

test("docs/commands.md says what the program says: bun run docs", async () => {
  const path = join(import.meta.dir, "../../docs/commands.md");
  expect(await Bun.file(path).text()).toBe(commandReference(topics));
});

test("every command takes --json, but those that stand here with the reason", () => {
  const others = {
    run: "what it prints is the program's",
    "run:inside": "what it prints is the program's",
    "ps:exec": "what it prints is the program's",
    heroku: "what it prints is the program's",
    "git:clone": "what it prints is git's",
    "releases:output": "what it prints is the release command's",
    "builds:output": "what it prints is the build's",
    "git:credentials": "it speaks the language of git's helpers",
    completion: "it speaks a shell's language",
    env: "it speaks a shell's language",
    bridge: "it goes on, and prints one address",
    server: "it goes on, and prints a log",
  };
  const without = topics.flatMap((topic) =>
    Object.entries(topic.commands).flatMap(([name, { flags }]) => ("json" in flags ? [] : [name])),
  );
  expect(without.toSorted()).toEqual(Object.keys(others).toSorted());
});

test("a command whose usage says so takes many arguments, and no other does", () => {
  for (const [name, command] of commands) {
    const { usage = "", runsProgram, passesAllOn } = command;
    if (runsProgram || passesAllOn) continue;
    expect(`${name} ${usage}`).not.toContain("..");
    const many = () =>
      parseCommand(
        name,
        command,
        Array.from({ length: 9 }, () => "word"),
      );
    if (usage.includes("…")) expect(many().args).toHaveLength(9);
    else expect(many).toThrow("Unexpected argument: word");
  }
});

test("what was mistyped is told, with the nearest word, and status 2", async () => {
  expect(await stator("relases")).toMatchObject({
    status: 2,
    out: "",
    err: " ▸    relases is not a stator command.\n ▸    Did you mean releases?\n ▸    See all: stator help\n",
  });
  expect((await stator("zzzzzzzz")).err).not.toContain("Did you mean");
  expect((await stator("help", "confg")).err).toContain("Did you mean config?");
  const flag = await stator("apps", "--nope");
  expect(flag.status).toBe(2);
  expect(flag.err).toContain("'--nope'");
  expect(flag.err).toContain("See stator apps --help");
  expect(flag.err).not.toContain("Did you mean");
  expect((await stator("apps", "--jsno")).err).toContain("Did you mean --json?");
  expect(await stator("rename")).toMatchObject({ status: 2 });
  expect((await stator("rename")).err).toStartWith(" ▸    NEWNAME is missing.");
  expect((await stator("apps", "x")).err).toStartWith(" ▸    Unexpected argument: x");
  expect((await stator("ps", "--app")).status).toBe(2);
});

test("the version is that of the package", async () => {
  expect(version).toBe(packageJson.version);
  for (const argv of ["version", "--version", "-v"])
    expect((await stator(argv)).out).toBe(
      `stator/${version} ${process.platform}-${process.arch}\n`,
    );
});

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { command, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { CommandFailure } from "../failures.ts";
import type { World } from "../world.ts";

const usualNames = ["id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub"];

const list = command({
  summary: "list your SSH keys",
  flags: { ...jsonFlag, long: { type: "boolean", short: "l", summary: "the whole keys" } },
  async run({ api, flags, paint, print, printJson }) {
    const keys = await answerOf(api.account.keys.$get());
    if (flags.json) return printJson(keys);
    const [first] = keys;
    if (!first) return print("You have no SSH keys. Add one: stator keys:add");
    print(paint.header(`${first.email} keys`));
    print();
    for (const key of keys)
      print(flags.long ? key.public_key : `${key.fingerprint} ${key.comment}`.trim());
  },
});

const add = command({
  summary: "add an SSH key",
  usage: "[FILE]",
  details: `Without a file it is the first of ${usualNames.map((name) => `~/.ssh/${name}`).join(", ")}.`,
  examples: ["stator keys:add", "stator keys:add ~/.ssh/work.pub"],
  flags: {
    yes: { type: "boolean", short: "y", summary: "ask nothing (always done)" },
    ...jsonFlag,
  },
  async run({ api, args, flags, action, printJson, world }) {
    const path = args[0] ?? usualKey(world);
    const text = readKey(path);
    const key = await action(`Uploading ${path} SSH key`, () =>
      answerOf(api.account.keys.$post({ json: { public_key: text } })),
    );
    if (flags.json) printJson(key);
  },
});

function usualKey({ settings }: World): string {
  const paths = usualNames.map((name) => join(settings.home, ".ssh", name));
  const found = paths.find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new CommandFailure(
    `No SSH key was found: ${paths.join(", ")}.\nMake one: ssh-keygen -t ed25519\nOr name its file: stator keys:add FILE`,
  );
}

function readKey(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new CommandFailure(`Cannot read ${path}: ${(error as Error).message}`);
  }
  // Nothing of a private key leaves this machine.
  if (text.includes("PRIVATE KEY"))
    throw new CommandFailure(`${path} is a private key. Give its public half: ${path}.pub`);
  return text;
}

const remove = command({
  summary: "remove an SSH key",
  usage: "KEY",
  details: "KEY is what the list shows: its comment or fingerprint.",
  flags: jsonFlag,
  async run({ api, args, flags, action, printJson }) {
    const [wanted = ""] = args;
    const keys = await answerOf(api.account.keys.$get());
    const key = keys.find((one) => [one.comment, one.fingerprint, one.id].includes(wanted));
    if (!key) throw new CommandFailure(`SSH key ${wanted} not found.\nSee them: stator keys`);
    const param = { key: encodeURIComponent(key.id) };
    await action(`Removing ${wanted} SSH key`, () =>
      answerOf(api.account.keys[":key"].$delete({ param })),
    );
    if (flags.json) printJson(key);
  },
});

const clear = command({
  summary: "remove all of your SSH keys",
  flags: jsonFlag,
  async run({ api, flags, action, printJson }) {
    const keys = await answerOf(api.account.keys.$get());
    await action("Removing all SSH keys", async () => {
      for (const { id } of keys)
        await answerOf(api.account.keys[":key"].$delete({ param: { key: id } }));
    });
    if (flags.json) printJson(keys);
  },
});

export default {
  name: "keys",
  summary: "your SSH keys",
  commands: { keys: list, "keys:add": add, "keys:remove": remove, "keys:clear": clear },
} satisfies Topic;

import { afterAll, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commands, topics } from "../../src/cli/commands/registry.ts";
import { complete } from "../../src/cli/completion.ts";
import { commandLine } from "../helpers/command-line.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

const served = serveLocalPlatform();
const person = commandLine({ STATOR_API: served.apiUrl, STATOR_API_KEY: served.token });
for (const name of ["shop", "shop-staging", "blog"])
  await served.platform.createApp({ name, user: served.account });
afterAll(async () => {
  await served.stop();
  person.remove();
});

const words = (line: string) =>
  complete(line, { topics, commands }).candidates.map(({ word }) => word);

test("the first word becomes a command or a topic, and one after help too", () => {
  expect(words("stator ps:sc")).toEqual(["ps:scale"]);
  expect(words("stator rel")).toContain("releases:info");
  expect(words("stator help maint")).toContain("maintenance:on");
  expect(words("stator ")).toContain("help");
});

test("a flag that stands already is not offered again, and none of what belongs to a program", () => {
  expect(words("stator logs --t")).toEqual(["--tail"]);
  expect(words("stator logs --tail --t")).toEqual([]);
  expect(words("stator run -- ls --")).toEqual([]);
  expect(words("stator nonsense --")).toEqual([]);
});

test("the value of --app is one of the apps that the server knows", async () => {
  expect(complete("stator logs -a sh", { topics, commands }).wantsApps).toBe(true);
  const { out } = await person.stator("completion", "--line", "stator logs -a sh");
  expect(out.split("\n").map((row) => row.split("\t")[0])).toEqual(["shop", "shop-staging", ""]);
});

test("without a server Tab says nothing, and fails nobody", async () => {
  const alone = commandLine({ STATOR_API: "http://127.0.0.1:1", STATOR_API_KEY: "x" });
  const answer = await alone.stator("completion", "--line", "stator logs -a sh");
  expect(answer).toMatchObject({ out: "", status: 0 });
  expect((await alone.stator("completion", "tcsh")).err).toContain("bash, zsh, fish");
  alone.remove();
});

test("bash completes words with a colon in them, flags and apps", async () => {
  const program = join(person.home, "stator");
  const cli = join(import.meta.dir, "../helpers/cli-process.ts");
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${cli}' "$@"\n`);
  chmodSync(program, 0o700);
  const script = `eval "$(stator completion bash)"
for line in "stator ps:sc" "stator logs --t" "stator logs -a sh"; do
  COMP_LINE=$line COMP_POINT=\${#line} _stator; echo "\${COMPREPLY[*]}"
done`;
  const child = Bun.spawn(["bash", "-c", script], {
    env: { ...person.environment, PATH: `${person.home}:/usr/bin:/bin` },
    stderr: "inherit",
  });
  const rows = (await new Response(child.stdout).text()).trim().split("\n");
  expect(rows).toEqual(["scale", "--tail", "shop shop-staging"]);
});

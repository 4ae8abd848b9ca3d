import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandLine } from "../helpers/command-line.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";

const person = commandLine({ TERM: "dumb" });
const environment = { ...person.environment, PATH: `${person.home}:/usr/bin:/bin` };
beforeAll(async () => {
  await ensurePrograms({ zsh: "zsh", fish: "fish" });
  const cli = join(import.meta.dir, "../helpers/cli-process.ts");
  const program = join(person.home, "stator");
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${cli}' "$@"\n`);
  chmodSync(program, 0o700);
});
afterAll(() => person.remove());

async function said(argv: string[]): Promise<string> {
  const child = Bun.spawn(argv, { env: environment, cwd: person.cwd, stderr: "inherit" });
  return new Response(child.stdout).text();
}

test("fish shows what each word means", async () => {
  const script = "stator completion fish | source; complete -C 'stator ps:sc'";
  expect(await said(["fish", "-c", script])).toStartWith("ps:scale\tchange how many dynos");
});

test("zsh, at a real terminal, completes a word with a colon in it", async () => {
  const script = `
zmodload zsh/zpty
zpty z zsh -f -i
heard() { local out all; until [[ $all == *$1* ]]; do zpty -r -t z out && all+=$out || sleep 0.05; done }
zpty -w z 'PS1="> "; autoload -U compinit; compinit -u -D; eval "$(stator completion zsh)"; bindkey "^I" complete-word; echo REA""DY'
heard READY
zpty -w -n z $'stator ps:sc\\t'
heard ps:scale
zpty -d z
echo completed`;
  expect(await said(["zsh", "-f", "-c", script])).toBe("completed\n");
});

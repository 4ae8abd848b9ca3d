import { afterAll, beforeAll, expect, test } from "bun:test";
import { saveAutomaticCertificate } from "../../src/model/automatic-certificate.ts";
import type { App } from "../../src/model/app.ts";
import { updateDyno } from "../../src/model/dyno.ts";
import { commandLine } from "../helpers/command-line.ts";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

let served: ReturnType<typeof serveLocalPlatform>;
let person: ReturnType<typeof commandLine>;
let app: App;
beforeAll(async () => {
  served = serveLocalPlatform();
  const { apiUrl, token } = served;
  person = commandLine({ STATOR_API: apiUrl, STATOR_API_KEY: token, TERM: "xterm" });
  app = await served.platform.createApp({ name: "shop", user: served.account });
  served.deploy(app, { web: "npm start" });
});
afterAll(async () => {
  await served.stop();
  person.remove();
});

const title = "Waiting for every dyno to be running v3... ";
function startTwoDynos() {
  const { database } = served.platform;
  return [1, 2].map((number) => {
    const dyno = served.startDyno(app, { type: "web", number, command: "npm start" });
    return {
      comeUp: () => updateDyno(database, dyno, { state: "up" }),
      crash: () => updateDyno(database, dyno, { state: "crashed" }),
    };
  });
}

/** What stands in the rows of a terminal after all that was written to it; `\r` begins a row anew. */
function rowsOf(written: string): string[] {
  return written
    .split("\r\n")
    .map((row) => row.split("\r\u001b[K").at(-1) ?? "")
    .map((row) => Bun.stripANSI(row));
}

function inTerminal(columns: number, ...argv: string[]) {
  let seen = "";
  const { child } = person.startInTerminal(argv, {
    ...{ columns, lines: 24 },
    onOutput: (text) => (seen += text),
  });
  const until = async (text: string | RegExp) => {
    const end = Date.now() + 120_000;
    while (typeof text === "string" ? !seen.includes(text) : !text.test(seen)) {
      if (Date.now() > end) throw new Error(`never saw ${text} in: ${JSON.stringify(seen)}`);
      await Bun.sleep(10);
    }
  };
  return { child, until, seen: () => seen };
}

test("in a terminal long work is one line that moves: how far it is, how long it takes, and at last how it went", async () => {
  const [one, other] = startTwoDynos();
  const { child, until, seen } = inTerminal(100, "ps:wait", "-a", "shop", "-w", "0.05");
  await until("0 / 2");
  await until("0 / 2, 1s");
  one?.comeUp();
  await until("1 / 2");
  other?.comeUp();
  expect(await child.exited).toBe(0);
  await until("done\r\n");
  expect(rowsOf(seen())).toEqual([`${title}2 / 2, done`, ""]);
  expect(seen()).not.toMatch(/1 \/ 2[^\r]*\n/);
});

test("in a terminal too narrow for that the same is told in whole lines", async () => {
  const { child, until, seen } = inTerminal(40, "ps:wait", "-a", "shop");
  expect(await child.exited).toBe(0);
  await until("done\r\n");
  expect(seen()).toBe(`${title}2 / 2, done\r\n`);
});

test("a failure ends the line with an exclamation mark, and stands below it", async () => {
  const [crashing] = startTwoDynos();
  const { child, until, seen } = inTerminal(100, "ps:wait", "-a", "shop", "-w", "0.05");
  await until("2 / 4");
  crashing?.crash();
  expect(await child.exited).toBe(1);
  await until("stator logs");
  const [first, second] = rowsOf(seen());
  expect(first).toBe(`${title}!`);
  expect(second).toContain("web.1 has crashed on ⬢ shop");
});

test("into a pipe go whole lines without a clock and without a code of a terminal, and the answer alone to standard output", async () => {
  const child = person.start(["ps:wait", "-a", "shop", "--json"]);
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect(await child.exited).toBe(1);
  expect(out).toBe("");
  expect(err).toMatch(/^Waiting for every dyno to be running v3\.\.\. !\n ▸ {4}web\.1 has crashed/);
  for (const argv of [
    ["features:enable", "preboot", "-a", "shop"],
    ["config:set", "A=1", "-a", "shop", "--json"],
  ]) {
    const quiet = person.start(argv);
    const said = await new Response(quiet.stderr).text();
    expect(said).toMatch(/^[^\n]+\.\.\. done[^\n]*\n$/);
    for (const code of ["\r", "\u001b"]) expect(said).not.toContain(code);
    expect(await quiet.exited).toBe(0);
  }
});

test("a domain that is waited for says what is in the way in lines of its own, in a terminal too", async () => {
  const certificate = (status: "failing" | "issued", reason: string | null) =>
    saveAutomaticCertificate(served.platform.database, {
      ...{ host: "www.shop.test", status, reason, failures: 1, nextAttemptAt: new Date(0) },
      ...{ certificateChain: null, sealedKey: null, directoryUrl: null, issuer: null },
      ...(status === "issued"
        ? { startsAt: new Date(0), expiresAt: new Date() }
        : { startsAt: null, expiresAt: null }),
    });
  expect((await person.stator("domains:add", "www.shop.test", "-a", "shop")).status).toBe(0);
  certificate("failing", "It points elsewhere.");
  const { child, until, seen } = inTerminal(100, "domains:wait", "www.shop.test", "-a", "shop");
  await until("It points elsewhere.");
  certificate("issued", null);
  expect(await child.exited).toBe(0);
  await until("done\r\n");
  expect(rowsOf(seen())).toEqual([
    " ▸    It points elsewhere.",
    "Waiting for www.shop.test... done",
    "",
  ]);
});

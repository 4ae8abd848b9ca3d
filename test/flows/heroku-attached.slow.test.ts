import { expect, test } from "bun:test";
import { codeAt } from "../../src/lib/one-time-code.ts";
import { herokuAlone, herokuStory } from "../helpers/heroku-cli.ts";
import { probeFiles, until } from "../helpers/stator-server.ts";

/** `heroku run`, `logs` and both ways to log in, by Heroku's own command line. */
const story = await herokuStory({ version: "11.10.0", apps: { shop: probeFiles() } });
const { heroku, api, person, run } = story;

test.concurrent("clause 21: run gives a line's output and, with -x, its exit status", async () => {
  expect(await heroku`run -a shop -- echo hello world`).toBe("hello world\n");
  for (const status of [0, 9]) {
    const said = await run(["run", "-x", "-a", "shop", "--", `sh -c 'echo $DYNO; exit ${status}'`]);
    expect(said).toMatchObject({
      status,
      out: expect.stringMatching(/^run\.\d+\n/) as string,
    });
  }
  const lines = (await heroku`run -x -a shop -- seq 1000`).trim().split("\n");
  expect(lines).toEqual(Array.from({ length: 1000 }, (_, index) => String(index + 1)));
});

test.concurrent(
  "run takes piped input to its end: echoed once by a terminal, untouched without one",
  async () => {
    const numbers = Array.from({ length: 1000 }, (_, index) => `${index + 1}\n`).join("");
    const shown = await run(["run", "-a", "shop", "--", "cat"], "one line\n");
    expect(shown.out).toBe("one line\none line\n");
    const counted = await run(["run", "-x", "--no-tty", "-a", "shop", "--", "wc -l"], numbers);
    expect(counted).toMatchObject({ status: 0, out: "1000\n" });
    const typed = await run(["run", "-x", "-a", "shop", "--", "wc -l"], numbers);
    expect(typed.out).toBe(`${numbers}1000\n`);
  },
);

test.concurrent("run in a terminal: keys, its size, Ctrl-C, the end", async () => {
  let seen = "";
  const { child, terminal } = person.startInTerminal(
    ["heroku", "run", "-a", "shop", "--", "bash --norc"],
    { columns: 91, lines: 33, onOutput: (text) => (seen += text) },
  );
  const steps: [string, string][] = [
    ["$ ", "stty size; sleep 1000\r"],
    ["33 91", "\u0003"],
    ["^C", "echo done $?\r"],
    ["done 130", "exit\r"],
  ];
  for (const [answer, keys] of steps) {
    await until(`${answer} is in ${JSON.stringify(seen)}`, () => seen.includes(answer));
    terminal.write(keys);
  }
  expect(await child.exited).toBe(0);
});

test.concurrent("run:detached and run:inside: where they run is seen", async () => {
  const detached = await heroku`run:detached -a shop -- echo left alone`;
  const [, name = ""] = /--dyno (run\.\d+)/.exec(detached) ?? [];
  await until("its output is in the log", async () =>
    (await heroku`logs -a shop --dyno-name ${name}`).includes(`app[${name}]: left alone`),
  );
  const inside = await heroku`run:inside web.1 -a shop -- ${"echo $DYNO; ps -eo args"}`;
  expect(inside).toMatch(/^web\.1\n[^]*node server\.js/);
});

test.concurrent("logs: so many lines, of a source, of a dyno", async () => {
  await heroku`config:set NOISE=1 -a shop`;
  expect(await heroku`logs -a shop --source heroku`).not.toContain(" app[web.1]");
  const lines = (await heroku`logs -a shop -n 3`).trim().split("\n");
  expect(lines).toHaveLength(3);
  const ofApi = await heroku`logs -a shop --source app --dyno-name api`;
  expect(ofApi).toContain("app[api]: Set NOISE config vars by user");
});

test.concurrent("clause 95: login -i and with a browser, second factor, logout", async () => {
  const { email } = story.stator.credentials;
  const password = "a long password";
  const sessions = async () => (await api<unknown[]>("GET", "/oauth/sessions")).length;
  await api("PATCH", "/account", { new_password: password });
  const alone = await herokuAlone(story);

  const login = alone.type("login", "-i");
  await login.answer("Email", `${email}\r`);
  await login.answer("Password", `${password}\r`);
  await login.sees(`Logged in as ${email}`);
  expect(await login.ended()).toBe(0);
  expect(await sessions()).toBe(1);
  expect((await alone.run("whoami")).out).toContain(email);
  await alone.run("logout");
  expect(await sessions()).toBe(0);
  expect((await alone.run("auth:token")).out).not.toContain("STTR-");

  // The page is asked for and sent as a browser does it.
  const browser = alone.type("login");
  await browser.answer("Press any key", "x");
  await browser.sees("/login/");
  const [, path = ""] = /(\/login\/[\w-]{20,})/.exec(browser.seen()) ?? [];
  const page = `http://127.0.0.1:${story.stator.port}${path}`;
  const headers = { Host: `api.${story.domain}` };
  expect(await (await fetch(page, { headers })).text()).toContain("wants to act for you");
  const wrong = new URLSearchParams({ email, password: "another one" });
  expect((await fetch(page, { method: "POST", body: wrong, headers })).status).toBe(401);
  const form = new URLSearchParams({ email, password });
  const sent = await fetch(page, { method: "POST", body: form, headers });
  expect(await sent.text()).toContain("You are logged in");
  expect([await browser.ended(), await sessions()]).toEqual([0, 1]);

  const { secret } = await api<{ secret: string }>("POST", "/account/second-factor", { password });
  const code = codeAt(secret, Math.floor(Date.now() / 30_000));
  const { recovery_codes: codes } = await api<{ recovery_codes: string[] }>(
    ...(["POST", "/account/second-factor/actions/confirm", { code }] as const),
  );
  const second = alone.type("login", "-i");
  await second.answer("Email", `${email}\r`);
  await second.answer("Password", `${password}\r`);
  await second.answer("Two-factor code", `${codes[0]}\r`);
  expect([await second.ended(), await sessions()]).toEqual([0, 2]);
  await alone.end();
});

/** A log that is followed by a command line, and a word in the app's log, said until it is heard. */
function follow(argv: string[]) {
  const child = person.start(argv);
  let seen = "";
  void (async () => {
    for await (const bytes of child.stdout) seen += Buffer.from(bytes).toString();
  })();
  const say = (word: string) =>
    fetch(`http://127.0.0.1:${story.stator.port}/log/${word}`, {
      headers: { Host: `shop.${story.domain}` },
    });
  return {
    child,
    say,
    seen: () => seen,
    isHeard: (word: string) => seen.includes(`app[web.1]: ${word}`),
    sayUntilHeard: (word: string) =>
      until(`${word} is in the log`, async () => {
        await say(word);
        return seen.includes(`app[web.1]: ${word}`);
      }),
  };
}

test("logs --tail goes on over a restart of the server, and over its death", async () => {
  await story.stator.kill("SIGKILL");
  await story.restartAsService();
  const own = follow(["logs", "--tail", "-n", "1", "-a", "shop"]);
  const heroku = follow(["heroku", "logs", "--tail", "-n", "1", "-a", "shop"]);
  await own.sayUntilHeard("before");
  await heroku.sayUntilHeard("before");

  await story.stator.kill("SIGTERM");
  await own.say("meanwhile");
  await story.restartAsService();
  await heroku.sayUntilHeard("again");
  await own.sayUntilHeard("again");
  for (const { seen } of [own, heroku])
    expect(seen().match(/app\[web\.1\]: meanwhile/g)).toHaveLength(1);

  // With a server that dies Heroku's own tail breaks off, as at Heroku, and says so; ours goes on.
  await story.stator.kill("SIGKILL");
  await story.restart();
  await own.sayUntilHeard("after");
  expect(await heroku.child.exited).not.toBe(0);
  own.child.kill("SIGINT");
  await own.child.exited;
});

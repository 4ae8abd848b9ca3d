import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { type DynoAnswer as Dyno, serveApp } from "../helpers/serve-app.ts";
import { findProcesses, probeFiles, until } from "../helpers/stator-server.ts";

const { stator, app } = await serveApp(
  probeFiles("one", {
    Procfile: "web: node server.js one\nsay: echo said\n",
    ".profile.d/add.sh": "export FROM_PROFILE_D=yes\n",
    ".profile": "export FROM_PROFILE=$FROM_PROFILE_D\n",
  }),
  { config: { WORD: "xyzzy" } },
);

/** Attaches to a dyno by a WebSocket through the router, as the command line does. */
async function attach(path: string, order: object) {
  const { attach_url: address, name } = await app.api<Dyno>("POST", path, order);
  const url = new URL(address ?? "");
  const { host } = url;
  url.hostname = "127.0.0.1";
  const socket = new WebSocket(url.href, {
    headers: { Host: host, Authorization: `Bearer ${stator.credentials.token}` },
  } as never);
  socket.binaryType = "arraybuffer";
  let text = "";
  let status: number | undefined;
  socket.addEventListener("message", ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (typeof data === "string") status = (JSON.parse(data) as { exit: number }).exit;
    else text += Buffer.from(data).toString();
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", reject);
  });
  const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
  return {
    name,
    socket,
    text: () => text,
    hears: (word: string) => until(`it says ${word}`, () => text.includes(word)),
    type: (words: string) => socket.send(Buffer.from(words)),
    control: (message: object) => socket.send(JSON.stringify(message)),
    async exit() {
      await closed;
      return status;
    },
    /** Ctrl-D, which a shell hears only at its prompt. */
    async leave() {
      const again = setInterval(() => socket.send(Buffer.from("\u0004")), 100);
      await closed;
      clearInterval(again);
      return status;
    },
  };
}

const run = (command: string, more: object = {}) =>
  attach("/dynos", { command, attach: true, force_no_tty: true, ...more });
const terminal = { force_no_tty: false, env: { TERM: "xterm", COLUMNS: "91", LINES: "33" } };
const dynos = () => app.api<Dyno[]>("GET", "/dynos");
const lines = async (dyno: string) =>
  (await app.logs())
    .split("\n")
    .filter((line) => line.includes(`[${dyno}]: `))
    .map((line) => line.replace(/^\S+ /, ""));

test("clause 7, 21, 36: a one-off has the slug, the config vars and the profile, and its exit status is told", async () => {
  const one = await run("pwd; echo $WORD $FROM_PROFILE $DYNO; ls server.js; cat; exit 7");
  one.type("typed\n");
  one.control({ eof: true });
  expect(await one.exit()).toBe(7);
  expect(one.text()).toBe(`/app\nxyzzy yes ${one.name}\nserver.js\ntyped\n`);
  expect(one.name).toMatch(/^run\.\d{4}$/);
});

test("clause 22: a process type as the first word is its command", async () => {
  const one = await run("say more words");
  expect(await one.exit()).toBe(0);
  expect(one.text()).toBe("said more words\n");
});

test("in a terminal: a real one with its size, later sizes, Ctrl-C and Ctrl-D", async () => {
  const one = await run("bash --norc", terminal);
  one.type("tty; stty size\n");
  await one.hears("33 91");
  expect(one.text()).toContain("/dev/pts/");
  one.control({ resize: { columns: 100, lines: 40 } });
  // The new size goes its own way inside.
  await until("it has the new size", async () => {
    one.type("stty size\n");
    await Bun.sleep(50);
    return one.text().includes("40 100");
  });
  one.type("sleep 1000\n");
  // Ctrl-C throws away what was typed ahead of it.
  await until("it is back from sleep", async () => {
    one.type("\u0003");
    await Bun.sleep(50);
    one.type("echo back-$((40 + 2))\n");
    await Bun.sleep(50);
    return one.text().includes("back-42");
  });
  expect(await one.leave()).toBe(0);
});

test("clause 29: it is listed, is never started again, and is ended by ps:stop", async () => {
  const one = await run("sleep 1000", { size: "standard-2x" });
  const listed = (await dynos()).find(({ name }) => name === one.name);
  expect(listed).toMatchObject({ state: "up", size: "Standard-2X", command: "sleep 1000" });
  await app.api("POST", `/dynos/${one.name}/actions/stop`);
  expect(await one.exit()).toBe(143);
  await until("it is gone", async () => !(await dynos()).some(({ name }) => name === one.name));
  expect(await lines(one.name)).toEqual([
    `heroku[${one.name}]: Starting process with command \`sleep 1000\``,
    `heroku[${one.name}]: State changed from starting to up`,
    `heroku[${one.name}]: Stopping all processes with SIGTERM`,
    `heroku[${one.name}]: Process exited with status 143`,
    `heroku[${one.name}]: State changed from up to complete`,
  ]);
});

test("its size is a limit", async () => {
  const memory = async (size: string) => {
    const one = await run(
      "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null",
      { size },
    );
    await one.exit();
    return Number(one.text());
  };
  expect(await memory("standard-2x")).toBe(1024 ** 3);
  expect(await memory("basic")).toBe(512 * 1024 ** 2);
});

test("a client that leaves is followed by SIGHUP", async () => {
  const one = await run(
    "trap 'echo hung up >> /proc/1/fd/2; exit 3' HUP; echo ready; sleep 1000 & wait",
  );
  await one.hears("ready");
  one.socket.close();
  await until("it has ended", async () => !(await dynos()).some(({ name }) => name === one.name));
  const said = await lines(one.name);
  expect(said).toContain(
    `heroku[${one.name}]: Client connection closed. Sending SIGHUP to all processes`,
  );
  expect(said.join()).not.toContain("R16");
});

test("run:detached: its output goes to the log, and it lives on when the server dies", async () => {
  const mark = `one-off-${crypto.randomUUID()}`;
  const { name, attach_url: address } = await app.api<Dyno>("POST", "/dynos", {
    command: `trap 'echo end; exit 4' USR1; echo begin $WORD; while sleep 0.1; do :; done # ${mark}`,
  });
  expect(address).toBeNull();
  await until("it speaks", async () => (await lines(name)).includes(`app[${name}]: begin xyzzy`));
  await stator.kill("SIGKILL");
  await stator.restart();
  expect((await dynos()).map((dyno) => dyno.name)).toContain(name);
  const [shell] = findProcesses(mark).filter(({ argv }) => argv[0] === "bash");
  process.kill(shell?.pid as number, "SIGUSR1");
  await until("it has ended", async () =>
    (await lines(name)).includes(`heroku[${name}]: State changed from up to complete`),
  );
  expect((await lines(name)).slice(2)).toEqual([
    `app[${name}]: begin xyzzy`,
    `app[${name}]: end`,
    `heroku[${name}]: Process exited with status 4`,
    `heroku[${name}]: State changed from up to complete`,
  ]);
});

test("it is ended when its time is over", async () => {
  const { name } = await app.api<Dyno>("POST", "/dynos", {
    ...{ command: "sleep 1000", time_to_live: 1, type: "job" },
  });
  expect(name).toMatch(/^job\.\d{4}$/);
  await until("it is gone", async () => !(await dynos()).some((dyno) => dyno.name === name));
});

test("what is wrong with an order is told", async () => {
  for (const [order, message] of [
    [{ command: "x", size: "huge" }, "No such size"],
    [{ command: "x", type: "web" }, "is a process type of"],
    [{ command: "x", time_to_live: 0 }, "at least 1"],
    [{ command: "x", env: { "1A": "x" } }, "is not a name"],
  ] as const)
    expect(app.api("POST", "/dynos", order)).rejects.toThrow(message);
});

test("ps:exec: a program inside a running dyno sees its processes and files, in a terminal too", async () => {
  await app.shell("echo mine > /tmp/mine");
  const one = await attach("/dynos/web.1", {
    ...{ command: "cat /tmp/mine; echo $DYNO $WORD; cat /proc/*/cmdline | tr '\\0' ' '; exit 5" },
    force_no_tty: true,
  });
  expect(await one.exit()).toBe(5);
  expect(one.text()).toStartWith("mine\nweb.1 xyzzy\n");
  expect(one.text()).toContain("node server.js one");
  const shell = await attach("/dynos/web.1", { command: "bash --norc", ...terminal });
  shell.type(
    "stty size; id -u; grep -c . /proc/self/status; grep -E '^(CapBnd|NoNewPrivs)' /proc/self/status\n",
  );
  await shell.hears("33 91");
  await shell.hears("NoNewPrivs:\t1");
  await shell.hears("CapBnd:\t0000000000000000");
  expect(await shell.leave()).toBe(0);
  expect((await app.get()).status).toBe(200);
});

test("ps:exec into what does not run is refused in words", async () => {
  expect(app.api("POST", "/dynos/web.9", { command: "bash" })).rejects.toThrow("web.9");
});

test("Heroku's own clients attach by rendezvous: TLS with the platform's certificate, then bytes", async () => {
  const order = { command: "cat; echo $WORD", attach: true, force_no_tty: true };
  const response = await stator.ask("api", `/apps/${app.name}/dynos`, {
    ...{ method: "POST", body: JSON.stringify(order) },
    headers: {
      accept: "application/vnd.heroku+json; version=3",
      authorization: `Bearer ${stator.credentials.token}`,
      "content-type": "application/json",
    },
  });
  const { attach_url: address } = (await response.json()) as Dyno;
  const { hostname, port, pathname } = new URL(address ?? "");
  expect(hostname).toBe("localhost");
  const ca = readFileSync(join(stator.dataDir, "certificates/localhost.pem"));
  const socket = connect({ host: "127.0.0.1", port: Number(port), ca, servername: "localhost" });
  const pieces: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => pieces.push(bytes));
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.write(`${pathname.slice(1)}\r\nearly\n`);
  await until("it greets", () => pieces.length > 0);
  socket.write("\u0004");
  await closed;
  expect(pieces[0]?.toString()).toBe("rendezvous\r\n");
  expect(Buffer.concat(pieces.slice(1)).toString()).toBe("early\nxyzzy\n");
});

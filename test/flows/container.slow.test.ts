import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeBusyboxRoot, writeImageArchive } from "../helpers/busybox-root.ts";
import { commandLine } from "../helpers/command-line.ts";
import { createContainerApp } from "../helpers/container-app.ts";
import { startStator, type StatorApp, type StatorServer, until } from "../helpers/stator-server.ts";

let stator: StatorServer;
let base: string;
beforeAll(async () => {
  // As much as the images here take, and less than a bomb.
  stator = await startStator({ variables: { STATOR_IMAGE_DISK_MEGABYTES: "96" } });
  base = join(stator.work, "base.tar.gz");
  await writeBusyboxRoot(join(stator.work, "base"), base);
});
afterAll(() => stator.stop());

const containerApp = (files: Record<string, string>, folders?: string[]) =>
  createContainerApp(stator, files, { base, ...(folders && { folders }) });

/** What a dyno answers that runs a command for each request. */
const who = (script: string) =>
  `#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\n${script}\n`;

const dockerfile = `FROM scratch AS base
ADD base.tar.gz /
FROM base AS build
ARG GREETING=nothing
RUN echo "$GREETING from $(id -u)" > /made && chown 4321:4321 /made
FROM base
WORKDIR /srv/site
COPY --from=build /made made
RUN id > /root/built-by && mkdir -p /home/app && chown app /home/app
COPY --chown=app . .
USER app
ENV A=image B=image
CMD exec httpd -f -p "$PORT"
`;

const personOf = (app: StatorApp) =>
  commandLine({
    STATOR_API: stator.credentials.api,
    STATOR_API_KEY: stator.credentials.token,
    STATOR_APP: app.name,
  });

const timed = async (app: StatorApp, what: string) => {
  const begun = performance.now();
  const push = await app.push();
  process.stdout.write(`${what}: ${((performance.now() - begun) / 1000).toFixed(1)} s\n`);
  return push;
};

test("a Dockerfile in stages is pushed, asked, pushed again with its layers, broken, and gone back from", async () => {
  const app = await containerApp({
    Dockerfile: dockerfile,
    "index.html": "one\n",
    "cgi-bin/who": who(
      'id; echo "$A $B $HOME $DYNO"; cat ../made; echo mine > /etc/mine; cat /etc/mine',
    ),
    ".dockerignore": "secret\n",
    secret: "kept out\n",
  });
  await app.api("PATCH", "/config-vars", { B: "config-var" });
  const first = await timed(app, "cold");
  expect(first.text).toContain("=== Building web (Dockerfile)\n");
  expect(first.text).toContain("=== Pushing web (Dockerfile)\n");
  expect(first.text).toContain("Verifying deploy... done.");
  const asked = async () => (await app.get("/cgi-bin/who")).text();
  expect(await (await app.get("/")).text()).toBe("one\n");
  expect((await app.get("/secret")).status).toBe(404);
  expect(await asked()).toBe(
    "uid=1000(dyno) gid=1000(dyno)\nimage config-var /home/app web.1\nnothing from 0\nmine\n",
  );

  app.write({ "index.html": "two\n" });
  await app.commit("Two");
  const second = await timed(app, "warm");
  expect(second.text).toContain("Using cache");
  expect(await (await app.get("/")).text()).toBe("two\n");

  app.write({ Dockerfile: dockerfile.replace("id >", "no-such-program >") });
  await app.commit("Broken");
  const broken = await app.push();
  expect(broken.exitCode).not.toBe(0);
  expect(broken.text).toContain("no-such-program: not found");
  expect(broken.text).toContain("=!= web (Dockerfile) cannot be built.");
  expect(await (await app.get("/")).text()).toBe("two\n");

  const releases = await app.api<{ version: number; description: string }[]>("GET", "/releases");
  const deploys = releases.filter(({ description }) => description.startsWith("Deploy"));
  expect(deploys).toHaveLength(2);
  await app.api("POST", "/releases", { release: `v${deploys[0]?.version}` });
  await until("the first one is back", async () => (await (await app.get("/")).text()) === "one\n");
});

test("app.json can say that an app is a container; an image whose layers are all there is not packed again", async () => {
  const app = await stator.createApp({
    ...{ Dockerfile: dockerfile, "index.html": "same\n" },
    "app.json": '{ "stack": "container" }',
  });
  copyFileSync(base, join(app.folder, "base.tar.gz"));
  await app.commit("Its root");
  await app.api("PATCH", "/config-vars", { PASSWORD_OF_ALL: "never-in-a-build" });
  expect((await app.push()).text).toContain("=== Building web (Dockerfile)\n");
  await app.commit("The same");
  const again = await timed(app, "the same");
  expect(again.text).toMatch(/sha256:[0-9a-f]{64} is here already/);
  expect(await (await app.get("/")).text()).toBe("same\n");
});

const manifest = `setup:
  addons:
    - plan: heroku-postgresql
build:
  docker:
    web: Dockerfile
    worker: jobs/Dockerfile
  config:
    GREETING: hello
    ODD: "a b; $(id)"
release:
  image: worker
  command:
    - echo releasing "$WORD"
    - cat /image
run:
  web: exec httpd -f -p "$PORT" -h /srv/site
  clock:
    command:
      - 'trap "exit 0" TERM; echo "tick of $(cat /image)"; sleep 1000 & wait'
    image: worker
`;
const worker = `FROM scratch
ADD base.tar.gz /
ARG ODD
RUN echo "worker [$ODD]" > /image
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["echo working in $PWD; sleep 1000"]
`;

test("heroku.yml: an image for each type, its commands, a release phase, one-offs and programs inside", async () => {
  const files = { "heroku.yml": manifest, Dockerfile: dockerfile, "jobs/Dockerfile": worker };
  const app = await containerApp({ ...files, "index.html": "web\n" }, [".", "jobs"]);
  await app.api("PATCH", "/config-vars", { WORD: "xyzzy-and-more" });
  const { text } = await app.push();
  expect(text).toContain("=== Building worker (jobs/Dockerfile)\n");
  expect(text).toContain("releasing [MASKED]\nworker [a b; $(id)]\n");
  expect(text).toContain("Waiting for release.... done.");
  expect(await (await app.get("/")).text()).toBe("web\n");

  const types = await app.api<{ type: string; command: string }[]>("GET", "/formation");
  expect(types.map(({ type, command }) => [type, command.slice(0, 20)])).toEqual([
    ["clock", 'trap "exit 0" TERM; '],
    ["release", 'echo releasing "$WOR'],
    ["web", 'exec httpd -f -p "$P'],
    ["worker", "/bin/sh -c 'echo wor"],
  ]);
  await app.api("PATCH", "/formation", {
    updates: ["clock", "worker"].map((type) => ({ type, quantity: 1 })),
  });
  await until("both speak", async () => {
    const said = await app.logs();
    return (
      said.includes("app[clock.1]: tick of worker [a b; $(id)]") &&
      said.includes("app[worker.1]: working in /")
    );
  });

  const person = personOf(app);
  const ran = async (...argv: string[]) => {
    const child = person.start(argv);
    return [await new Response(child.stdout).text(), await child.exited] as const;
  };
  expect(await ran("run", "--no-tty", "cat made; echo $WORD; exit 3")).toEqual([
    "hello from 0\nxyzzy-and-more\n",
    3,
  ]);
  expect((await ran("run", "--no-tty", "--type=worker", "cat /image"))[0]).toBe(
    "worker [a b; $(id)]\n",
  );
  expect(await ran("ps:exec", "--dyno=clock.1", "cat /image; id -u")).toEqual([
    "worker [a b; $(id)]\n1000\n",
    0,
  ]);
  person.remove();
  const releases = await app.api<{ slug: { id: string } | null }[]>("GET", "/releases");
  const slug = await app.api<object>("GET", `/slugs/${releases.at(-1)?.slug?.id}`);
  expect(slug).toMatchObject({ stack: { name: "container" } });
});

test("a Dockerfile gets nowhere: not to the host, its loopback, config vars, or rights that an image keeps", async () => {
  const app = await containerApp({
    ...{ "index.html": "safe\n", "context/file": "inside\n" },
    Dockerfile: `FROM scratch
ADD base.tar.gz /
WORKDIR /seen
RUN (cat /proc/1/environ /proc/1/root/etc/shadow; ls /proc/1/root /run/stator /opt/stator/images; env) > host 2>&1 || true
RUN (mount -t tmpfs none /tmp; mknod /disk b 8 0; echo 1 > /proc/sys/kernel/panic; dd if=/dev/vda of=/dev/null count=1) > rights 2>&1; true
RUN (for host in 127.0.0.1 ::1; do nc -w 3 $host ${stator.port} </dev/null && echo reached; done; wget -T 3 -O - http://127.0.0.1:${stator.port}/; echo done) > loopback 2>&1
RUN cp /bin/busybox /bin/rooted && chmod 4755 /bin/rooted
RUN (trap '' HUP TERM; while true; do sleep 1; done) >/dev/null 2>&1 &
COPY out etc
CMD exec httpd -f -p "$PORT"
`,
  });
  await app.api("PATCH", "/config-vars", { PASSWORD_OF_ALL: "never-in-a-build" });
  symlinkSync("/etc", join(app.folder, "out"));
  await app.commit("A way out");
  const away = await app.push();
  expect(away.text).toMatch(/Error: .*"?\/?out"?/);
  app.write({
    Dockerfile: readFileSync(join(app.folder, "Dockerfile"), "utf8").replace("COPY out etc\n", ""),
  });
  await app.commit("Without it");
  const { text } = await app.push();
  expect(text).toContain("Verifying deploy... done.");
  const seen = async (name: string) => (await app.get(`/${name}`)).text();
  const host = await seen("host");
  expect(host).toContain("PATH=");
  expect(host).not.toContain("never-in-a-build");
  expect(host).not.toMatch(/root:[*!$]|box|storage/);
  const rights = await seen("rights");
  expect(rights).toContain("mount: ");
  expect(rights).toContain("mknod: /disk: Operation not permitted");
  expect(rights).toContain("can't create /proc/sys/kernel/panic");
  expect(rights).not.toContain("1+0 records");
  const loopback = await seen("loopback");
  expect(loopback).toContain("refused");
  expect(loopback).toEndWith("done\n");
  expect(loopback).not.toContain("reached");

  const person = personOf(app);
  const child = person.start([
    "run",
    "--no-tty",
    "ls -l /bin/rooted | cut -c1-10; cat /proc/self/status",
  ]);
  const inside = await new Response(child.stdout).text();
  person.remove();
  expect(inside).toStartWith("-rwxr-xr-x\n");
  expect(inside).toContain("CapBnd:\t0000000000000000\n");
});

test("manifests and images that would lead out, fill the disk or never end are refused, and the next build works", async () => {
  const good = { Dockerfile: dockerfile, "index.html": "still\n" };
  const app = await containerApp(good);
  const refused = async (files: Record<string, string>, message: string) => {
    app.write({ ...good, "heroku.yml": "build:\n  docker:\n    web: Dockerfile\n", ...files });
    await app.commit("An attempt");
    const { text, exitCode } = await app.push();
    if (!text.includes(message)) throw new Error(`not ${message}, but: ${text}`);
    expect(exitCode).not.toBe(0);
  };
  const start = "FROM scratch\nADD base.tar.gz /\n";
  const build = (path: string) => `build:\n  docker:\n    web: ${path}\n`;
  await refused({ "heroku.yml": build("../../etc/passwd") }, "without ..");
  await refused({ "heroku.yml": build('"Dockerfile; touch /tmp/x"') }, "Dockerfile; touch /tmp/x");
  await refused({ "heroku.yml": "run:\n  web: x\n" }, "build: must be there");
  await refused(
    { Dockerfile: "FROM oci:../../../etc\nCMD x\n" },
    "=!= web (Dockerfile) cannot be built",
  );
  await refused({ Dockerfile: "FROM --platform=$(id) scratch\n" }, "cannot be built");
  await refused(
    { Dockerfile: `${start}RUN dd if=/dev/zero of=/bomb bs=1M count=4000\n` },
    "No space left on device",
  );
  await refused(
    { Dockerfile: `${start}RUN dd if=/dev/zero of=/sparse bs=1M seek=9000000 count=1\nCMD x\n` },
    "=!= web (Dockerfile) cannot be built",
  );
  await refused({ Dockerfile: start }, "web has no command");
  app.write({ ...good, "heroku.yml": build("Dockerfile") });
  await app.commit("Good again");
  await app.push();
  expect(await (await app.get("/")).text()).toBe("still\n");
});

test("an image's archive is pushed for a type, released, gone back from, and taken out again", async () => {
  const app = await stator.createApp({ nothing: "" });
  const person = personOf(app);
  const ran = async (...argv: string[]) => {
    const child = person.start(argv);
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { out, err, status: await child.exited };
  };
  expect(await ran("stack:set", "container")).toMatchObject({ status: 0 });
  const archive = join(stator.work, "site.tar");
  const says = async (word: string) => {
    await writeImageArchive(archive, {
      root: base,
      config: {
        Env: ["PATH=/bin", `WORD=${word}`],
        WorkingDir: "/tmp",
        Cmd: ["sh", "-c", 'echo "$WORD" > index.html; exec httpd -f -p "$PORT"'],
      },
    });
    const { out, status } = await ran("container:push", "web", "--archive", archive);
    expect(out).toContain("=== Loading the image\n");
    expect(status).toBe(0);
  };
  await says("first");
  expect((await ran("container")).out).toMatch(/^web +sha256:[0-9a-f]{12} /);
  expect(await (await app.get("/")).text()).toContain("nothing deployed here yet");
  const released = await ran("container:release", "web");
  expect(released.err).toContain(`Releasing images web to ⬢ ${app.name}... done`);
  const answers = (text: string) =>
    until(`it says ${text}`, async () => (await (await app.get("/")).text()) === `${text}\n`);
  await answers("first");
  await says("second");
  await ran("container:release", "web");
  await answers("second");
  expect((await ran("releases")).out).toMatch(/v4 +Deployed web \([0-9a-f]{12}\)/);
  expect((await ran("rollback")).status).toBe(0);
  await answers("first");
  expect((await ran("container:release", "worker")).err).toContain(
    "No image was pushed for worker.",
  );
  expect((await ran("container:rm", "web")).err).toContain("would have no image left");

  writeFileSync(archive, "no image at all");
  const refused = await ran("container:push", "web", "--archive", archive);
  expect(refused.out).toContain("=!= The archive has no image that can be used.");
  expect(refused.status).toBe(1);
  const blob = { url: "http://127.0.0.1:9/x", checksum: `SHA256:${"0".repeat(64)}` };
  await app.api("POST", "/builds", { source_blob: blob, docker_image: { process_type: "web" } });
  await until("that one fails too", async () => {
    const all = await app.api<{ status: string }[]>("GET", "/builds");
    return all.filter(({ status }) => status === "failed").length === 2;
  });
  person.remove();
  await answers("first");
});

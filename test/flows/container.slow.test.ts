import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { writeBusyboxRoot } from "../helpers/busybox-root.ts";
import { startStator, type StatorApp, type StatorServer } from "../helpers/stator-server.ts";

setDefaultTimeout(240_000);
let stator: StatorServer;
let base: string;
beforeAll(async () => {
  stator = await startStator();
  base = join(stator.work, "base.tar.gz");
  await writeBusyboxRoot(join(stator.work, "base"), base);
});
afterAll(() => stator.stop());

/** An app of the stack `container`, with a root to begin with beside its files. */
async function containerApp(files: Record<string, string>): Promise<StatorApp> {
  const app = await stator.createApp(files);
  copyFileSync(base, join(app.folder, "base.tar.gz"));
  await app.commit("The base");
  await app.api("PATCH", "", { build_stack: "container" });
  return app;
}

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
    "cgi-bin/who": who('id; pwd; echo "$A $B $HOME $DYNO"; cat made; echo mine > /etc/mine; cat /etc/mine'),
    ".dockerignore": "secret\n",
    secret: "kept out\n",
  });
  await stator.run("chmod", "+x", join(app.folder, "cgi-bin/who"));
  await app.commit("It can run");
  await app.api("PATCH", "/config-vars", { B: "config-var" });
  const first = await timed(app, "first push");
  expect(first.text).toContain("=== Building web (Dockerfile)\n");
  expect(first.text).toContain("=== Pushing web (Dockerfile)\n");
  expect(first.text).toContain("Verifying deploy... done.");
  expect(await (await app.get("/")).text()).toBe("one\n");
  expect((await app.get("/secret")).status).toBe(404);
  expect((await (await app.get("/cgi-bin/who")).text()).split("\n")).toEqual([
    "uid=1000(dyno) gid=1000(dyno) groups=1000(dyno)",
    "/srv/site/cgi-bin",
    "image config-var /home/app web.1",
    "nothing from 0",
    "mine",
    "",
  ]);
});

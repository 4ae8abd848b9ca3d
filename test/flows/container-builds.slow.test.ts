import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec, execOk, spawn } from "../../src/lib/exec.ts";
import { writeBusyboxRoot, writeImageArchive } from "../helpers/busybox-root.ts";
import { createContainerApp } from "../helpers/container-app.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { startOutsideServer } from "../helpers/outside-server.ts";
import { startStator, type StatorServer, until } from "../helpers/stator-server.ts";

let stator: StatorServer;
let base: string;
let outside: Awaited<ReturnType<typeof startOutsideServer>>;
let registry: { address: string; stop(): Promise<void> };

beforeAll(async () => {
  outside = await startOutsideServer();
  const certificate = outside.path("certificate.pem");
  registry = await startSecureRegistry(certificate);
  stator = await startStator({
    variables: {
      STATOR_BUILD_CA_BUNDLE: certificate,
      STATOR_BUILD_ENV_MIRROR: "https://mirror.example.com/",
    },
  });
  base = join(stator.work, "base.tar.gz");
  await writeBusyboxRoot(join(stator.work, "base"), base);
});
afterAll(async () => {
  await registry.stop();
  await outside.stop();
  await stator.stop();
});

/** Debian's docker-registry, where builds reach it, with a certificate that only they trust. */
async function startSecureRegistry(certificate: string) {
  await ensurePrograms({ "docker-registry": "docker-registry", skopeo: "skopeo" });
  const { namespace, address: ip } = outside.there;
  const folder = outside.path("registry");
  mkdirSync(folder);
  const key = join(folder, "key.pem");
  await execOk([
    ...(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"] as const),
    ...["-subj", "/CN=registry", "-addext", `subjectAltName=IP:${ip}`],
    ...["-keyout", key, "-out", certificate],
  ]);
  const settings = {
    version: 0.1,
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: join(folder, "store") } },
    http: { addr: `${ip}:5000`, tls: { certificate, key } },
  };
  writeFileSync(join(folder, "settings.json"), JSON.stringify(settings));
  const program = ["docker-registry", "serve", join(folder, "settings.json")];
  const server = spawn(["ip", "netns", "exec", namespace, ...program], {
    ...{ stdout: "ignore", stderr: "ignore" },
  });
  const address = `${ip}:5000`;
  await until("the registry answers", async () => {
    const asked = await exec(["curl", "-sfk", "--max-time", "1", `https://${address}/v2/`]);
    return asked.exitCode === 0;
  });
  return {
    address,
    async stop() {
      server.kill();
      await server.exited;
    },
  };
}

const serve = 'CMD exec httpd -f -p "$PORT" -h /srv\n';

test("FROM takes an image of a registry, over TLS that the operator vouches for, and by its digest if it has one", async () => {
  const archive = join(stator.work, "base.tar");
  const config = { Env: ["FROM_BASE=yes"], Cmd: ["sh"] };
  await writeImageArchive(archive, { root: base, config });
  const name = `${registry.address}/team/base:1`;
  const copy = ["skopeo", "copy", "--dest-tls-verify=false"] as const;
  await execOk([...copy, `oci-archive:${archive}`, `docker://${name}`]);
  const dockerfile = `FROM ${name}\nRUN mkdir /srv && echo "$FROM_BASE" > /srv/index.html\n${serve}`;
  const app = await createContainerApp(stator, { Dockerfile: dockerfile }, { base });
  const { text } = await app.push();
  expect(text).toContain(`STEP 1/3: FROM ${name}\n`);
  expect(text).toContain("Verifying deploy... done.");
  expect(await (await app.get("/")).text()).toBe("yes\n");

  const other = `${registry.address}/team/base@sha256:${"0".repeat(64)}`;
  app.write({ Dockerfile: dockerfile.replace(name, other) });
  await app.commit("Another digest");
  const refused = await app.push();
  expect(refused.text).toContain("manifest unknown");
  expect(refused.text).toContain("=!= web (Dockerfile) cannot be built.");
  expect(await (await app.get("/")).text()).toBe("yes\n");
});

test("a Dockerfile that declares them has the operator's certificates and variables, and the image has not", async () => {
  const seen = '"[$SSL_CERT_FILE] [$MIRROR] [$OTHER]"';
  const dockerfile = `FROM scratch
ADD base.tar.gz /
RUN mkdir /srv && echo ${seen} > /srv/before
ARG OTHER=mine
ARG SSL_CERT_FILE MIRROR=none
RUN echo ${seen} > /srv/after && cp "$SSL_CERT_FILE" /srv/ca.pem && env > /srv/built
CMD env > /srv/env && exec httpd -f -p "$PORT" -h /srv
`;
  const app = await createContainerApp(stator, { Dockerfile: dockerfile }, { base });
  const { text } = await app.push();
  expect(text).toContain("Verifying deploy... done.");
  // Not what the steps print: buildah now and then loses the last words of one that ends at once.
  expect(await (await app.get("/before")).text()).toBe("[] [] []\n");
  expect(await (await app.get("/after")).text()).toBe(
    "[/opt/stator/ca.pem] [https://mirror.example.com/] [mine]\n",
  );
  expect(await (await app.get("/ca.pem")).text()).toBe(
    readFileSync(outside.path("certificate.pem"), "utf8"),
  );
  expect(await (await app.get("/built")).text()).toContain("MIRROR=");
  const running = await (await app.get("/env")).text();
  expect(running).toContain("PORT=");
  expect(running).not.toMatch(/MIRROR|SSL_CERT_FILE/);
});

const slow = (step: string) =>
  `FROM scratch\nADD base.tar.gz /\nRUN mkdir /srv && echo built > /srv/index.html\n${step}\n${serve}`;
const sleeping = 'RUN trap "" TERM HUP INT; echo waiting; sleep 987654';
const processes = async () =>
  (await exec(["pgrep", "--full", "--count", "sleep 987654"])).stdout.trim();

test("a build of an image can be canceled, and the next one has its layers", async () => {
  const app = await createContainerApp(stator, { Dockerfile: slow(sleeping) }, { base });
  const pushing = app.push();
  const builds = () => app.api<{ id: string; status: string }[]>("GET", "/builds");
  await until("it is in the middle", async () => (await processes()) !== "0");
  const [build] = await builds();
  await app.api("DELETE", `/builds/${build?.id}`);
  const { text, exitCode } = await pushing;
  expect(text).toContain("The build was canceled by");
  expect(exitCode).not.toBe(0);
  expect(await processes()).toBe("0");
  app.write({ Dockerfile: slow("RUN true") });
  await app.commit("Faster");
  const next = await app.push();
  expect(next.text).toContain("--> Using cache");
  expect(await (await app.get("/")).text()).toBe("built\n");
});

test("a server that dies in the middle of an image leaves nothing that stays, and the next one builds", async () => {
  const app = await createContainerApp(stator, { Dockerfile: slow(sleeping) }, { base });
  const pushing = app.push();
  await until("it is in the middle", async () => (await processes()) !== "0");
  await stator.kill("SIGKILL");
  expect((await pushing).exitCode).not.toBe(0);
  await stator.restart();
  await until("what it was building ends", async () => (await processes()) === "0");
  app.write({ Dockerfile: slow("RUN true") });
  await app.commit("Faster");
  expect((await app.push()).text).toContain("Verifying deploy... done.");
  expect(await (await app.get("/")).text()).toBe("built\n");
});

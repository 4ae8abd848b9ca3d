import { expect, test } from "bun:test";
import { dynoSpec, sizeOf } from "../../src/dyno/dyno-spec.ts";
import { metadataFile } from "../../src/dyno/opened-release.ts";
import type { App } from "../../src/model/app.ts";
import type { Dyno } from "../../src/model/dyno.ts";
import { dynoSizes } from "../../src/model/dyno-size.ts";

const now = new Date(0);
const app: App = {
  ...{
    id: "app-id",
    name: "my-app",
    ownerId: "owner",
    idRange: 3,
    stack: "heroku-24",
    stackAlias: null,
  },
  region: "local",
  ...{ maintenance: false, createdAt: now, updatedAt: now },
  ...{ features: {}, sleepAfterMs: null, asleep: false, acm: true },
};
const dyno: Dyno = {
  ...{ id: "dyno-id", appId: "app-id", releaseId: "release", type: "web", number: 2 },
  ...{ command: "node server.js", size: "Basic", state: "starting", port: 5123, leaving: false },
  ...{ kind: "formation", crashes: 0, retryAt: null, expiresAt: null },
  ...{ createdAt: now, updatedAt: now },
};

const sizes = dynoSizes();

function spec(
  change: Partial<Parameters<typeof dynoSpec>[0]> & { environment?: Record<string, string> } = {},
) {
  const { environment = {} } = change;
  return dynoSpec({
    app,
    dyno,
    opened: {
      stack: { announced: "heroku-24", rootfs: undefined },
      slugFolder: "/slug",
      ...{ environment, metadata: null, image: null },
    },
    root: null,
    size: sizeOf(sizes, change.dyno ?? dyno),
    metadataFolder: null,
    folders: { upper: "/upper", work: "/work", tmp: "/tmp-of-dyno" },
    network: { slot: 1, interfaceName: "st-1", hostAddress: "a", containerAddress: "b" },
    terminal: null,
    ...change,
  });
}

test("the command is one word for a login shell, whatever is in it", () => {
  const command = `echo "$PORT" && rm -rf 'a b' ; \`id\``;
  expect(spec({ dyno: { ...dyno, command } }).argv).toEqual([
    ...["/opt/stator/bin/tini", "--", "bash", "--login", "-c"],
    command,
  ]);
});

test("clause 7: config vars are there, and what the platform gives wins over them", () => {
  const config = { WORD: "x", PORT: "1", DYNO: "fake", HOME: "/root", PATH: "/mine:/usr/bin" };
  expect(spec({ environment: config }).environment).toEqual({
    ...{ WORD: "x", PORT: "5123", DYNO: "web.2", HOME: "/app", PWD: "/app" },
    ...{ PATH: "/mine:/usr/bin", LANG: "C.UTF-8", STACK: "heroku-24" },
  });
});

test("the slug is the read-only lower half of /app, and the ids are the app's own", () => {
  const { mounts, hostIdBase, workingDirectory } = spec();
  expect(mounts).toContainEqual({
    ...{ kind: "overlay", lower: "/slug", upper: "/upper", work: "/work", target: "/app" },
  });
  expect(hostIdBase).toBe(0x7000_0000 + 3 * 65_536);
  expect(workingDirectory).toBe("/app");
});

test("clause 107: with the lab on, the release is told in variables and in /etc/heroku/dyno", () => {
  const release = { version: 7, createdAt: now, commit: "c0ffee", description: "Deploy c0ffee" };
  const metadata = { app: { id: "app-id", name: "my-app", host: "my-app.localhost" }, release };
  const told = spec({
    opened: {
      stack: { announced: "heroku-24", rootfs: undefined },
      slugFolder: "/slug",
      ...{ environment: {}, metadata, image: null },
    },
    metadataFolder: "/metadata",
  });
  expect(told.environment).toMatchObject({
    ...{ HEROKU_APP_ID: "app-id", HEROKU_APP_NAME: "my-app", HEROKU_DYNO_ID: "dyno-id" },
    ...{ HEROKU_APP_DEFAULT_DOMAIN_NAME: "my-app.localhost", HEROKU_RELEASE_VERSION: "v7" },
    ...{ HEROKU_SLUG_COMMIT: "c0ffee", HEROKU_SLUG_DESCRIPTION: "Deploy c0ffee" },
    HEROKU_RELEASE_CREATED_AT: "1970-01-01T00:00:00.000Z",
  });
  expect(told.mounts).toContainEqual({
    ...{ kind: "bind", source: "/metadata", target: "/etc/heroku", readOnly: true },
  });
  expect(JSON.parse(metadataFile(metadata, dyno))).toEqual({
    dyno: { id: "dyno-id", name: "web.2" },
    app: { id: "app-id", name: "my-app" },
    release: { id: 7, commit: "c0ffee", description: "Deploy c0ffee" },
  });
  expect(Object.keys(spec().environment).filter((name) => name.startsWith("HEROKU_"))).toEqual([]);
});

test("only web is reached, and only at its port", () => {
  expect(spec().openPort).toBe(5123);
  expect(spec({ dyno: { ...dyno, type: "worker" } }).openPort).toBeNull();
});

test("what answers no request has a quarter of its size's weight", () => {
  const weight = (type: string) => spec({ dyno: { ...dyno, type } }).limits.cpuWeight;
  expect([weight("web"), weight("worker"), weight("run")]).toEqual([100, 25, 25]);
});

test("limits are those of the size, and an unknown size is the usual one", () => {
  const limits = (size: string) => spec({ dyno: { ...dyno, size } }).limits;
  expect(limits("Standard-2X").memoryBytes).toBe(1024 * 1024 * 1024);
  expect(limits("standard-2x")).toEqual(limits("Standard-2X"));
  expect(limits("no such size")).toEqual(limits("Basic"));
});

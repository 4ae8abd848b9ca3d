import { expect, test } from "bun:test";
import { dynoSpec } from "../../src/dyno/dyno-spec.ts";
import type { App } from "../../src/model/app.ts";
import type { Dyno } from "../../src/model/dyno.ts";

const now = new Date(0);
const app: App = {
  ...{ id: "app-id", name: "my-app", ownerId: "owner", idRange: 3, stack: "heroku-24" },
  ...{ buildpack: null, maintenance: false, createdAt: now, updatedAt: now },
};
const dyno: Dyno = {
  ...{ id: "dyno-id", appId: "app-id", releaseId: "release", type: "web", number: 2 },
  ...{ command: "node server.js", size: "Basic", state: "starting", port: 5123, leaving: false },
  ...{ createdAt: now, updatedAt: now },
};

function spec(change: Partial<Parameters<typeof dynoSpec>[0]> = {}) {
  return dynoSpec({
    app,
    dyno,
    slugFolder: "/slug",
    folders: { upper: "/upper", work: "/work", tmp: "/tmp-of-dyno" },
    config: {},
    environment: {},
    network: { slot: 1, interfaceName: "st-1", hostAddress: "a", containerAddress: "b" },
    terminal: null,
    ...change,
  });
}

test("the command is one word for a login shell, whatever is in it", () => {
  const command = `echo "$PORT" && rm -rf 'a b' ; \`id\``;
  expect(spec({ dyno: { ...dyno, command } }).argv).toEqual([
    ...["/usr/bin/tini", "--", "bash", "--login", "-c"],
    command,
  ]);
});

test("clause 7: config vars are there, and what the platform gives wins over them", () => {
  const config = { WORD: "x", PORT: "1", DYNO: "fake", HOME: "/root", PATH: "/mine:/usr/bin" };
  expect(spec({ config }).environment).toEqual({
    ...{ WORD: "x", PORT: "5123", DYNO: "web.2", HOME: "/app", PWD: "/app" },
    ...{ PATH: "/mine:/usr/bin", LANG: "C.UTF-8" },
  });
});

test("variables of a one-off go over config vars", () => {
  const environment = spec({
    config: { TERM: "vt100" },
    environment: { TERM: "xterm", COLUMNS: "80" },
  }).environment;
  expect(environment).toMatchObject({ TERM: "xterm", COLUMNS: "80" });
});

test("the slug is the read-only lower half of /app, and the ids are the app's own", () => {
  const { mounts, hostIdBase, workingDirectory } = spec();
  expect(mounts).toContainEqual({
    ...{ kind: "overlay", lower: "/slug", upper: "/upper", work: "/work", target: "/app" },
  });
  expect(hostIdBase).toBe(0x7000_0000 + 3 * 65_536);
  expect(workingDirectory).toBe("/app");
});

test("limits are those of the size, and an unknown size is the smallest", () => {
  const limits = (size: string) => spec({ dyno: { ...dyno, size } }).limits;
  expect(limits("Standard-2X").memoryBytes).toBe(1024 * 1024 * 1024);
  expect(limits("standard-2x")).toEqual(limits("Standard-2X"));
  expect(limits("no such size")).toEqual(limits("Eco"));
});

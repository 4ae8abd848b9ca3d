import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAccount } from "../../src/model/account.ts";
import { createApp, deleteApp } from "../../src/model/app.ts";
import { closeDatabase, openDatabase } from "../../src/model/database.ts";
import { listFormation, plannedFormation, writeFormation } from "../../src/model/formation.ts";
import {
  createRelease,
  currentRelease,
  findRelease,
  listReleases,
  setReleaseStatus,
  settleInterruptedReleases,
} from "../../src/model/release.ts";
import type { ProcessTypes } from "../../src/model/slug.ts";
import { createToken, openToken, tokens } from "../../src/model/token.ts";
import { openVault } from "../../src/model/vault.ts";

function store() {
  const folder = mkdtempSync(join(tmpdir(), "stator-store-"));
  const database = openDatabase(":memory:");
  const vault = openVault(join(folder, "key"));
  const owner = createAccount(database, "owner@example.com");
  const app = createApp(database, { name: "my-app", owner, stack: "heroku-24" });
  const release = (
    status: "pending" | "succeeded" | "failed",
    { of = app, ofPush = false }: { of?: typeof app; ofPush?: boolean } = {},
  ) =>
    createRelease(database, vault, {
      ...{ app: of, user: owner, description: "A release", slugId: null, config: {}, status },
      ofPush,
    });
  return {
    ...{ database, vault, owner, app, release },
    [Symbol.dispose]() {
      closeDatabase(database);
      rmSync(folder, { recursive: true });
    },
  };
}

test("versions go up by one, per app, also after failed ones", () => {
  using world = store();
  const other = createApp(world.database, { name: "other", owner: world.owner, stack: "s" });
  const made = [world.release("succeeded"), world.release("failed"), world.release("pending")];
  expect(made.map(({ version }) => version)).toEqual([1, 2, 3]);
  expect(world.release("succeeded", { of: other }).version).toBe(1);
  expect(listReleases(world.database, world.app).map(({ version }) => version)).toEqual([3, 2, 1]);
});

test("the current release is the newest that succeeded", () => {
  using world = store();
  expect(currentRelease(world.database, world.app)).toBeUndefined();
  const [one] = [world.release("succeeded"), world.release("failed"), world.release("pending")];
  expect(currentRelease(world.database, world.app)?.id).toBe(one?.id as string);
});

test("a push that the server's death has interrupted has failed; nobody was told of its release", () => {
  using world = store();
  const [old, pushed] = [world.release("succeeded"), world.release("pending", { ofPush: true })];
  expect(settleInterruptedReleases(world.database)).toEqual([]);
  const status = (id: string) => findRelease(world.database, world.app, id).status;
  expect([status(old.id), status(pushed.id)]).toEqual(["succeeded", "failed"]);
});

test("acknowledged releases survive the server's death: the newest one of each app is rolled out", () => {
  using world = store();
  const other = createApp(world.database, { name: "other", owner: world.owner, stack: "s" });
  world.release("succeeded");
  const [first, second] = [world.release("pending"), world.release("pending")];
  const ofOther = world.release("pending", { of: other });
  const toRollOut = settleInterruptedReleases(world.database).map(({ id }) => id);
  expect(toRollOut.toSorted()).toEqual([second.id, ofOther.id].toSorted());
  expect(findRelease(world.database, world.app, first.id).status).toBe("succeeded");
});

test("a release is found by id, v2 and 2, and not in another app", () => {
  using world = store();
  const other = createApp(world.database, { name: "other", owner: world.owner, stack: "s" });
  const release = setReleaseStatus(world.database, world.release("pending"), "succeeded");
  for (const name of [release.id, "v1", "1"])
    expect(findRelease(world.database, world.app, name).id).toBe(release.id);
  for (const name of ["v2", "", "v", "1.0", "v1; DROP TABLE releases"])
    expect(() => findRelease(world.database, world.app, name)).toThrow("Couldn't find release");
  expect(() => findRelease(world.database, other, release.id)).toThrow("Couldn't find release");
});

test("a token lets in although the database cannot be written, as on a full disk", () => {
  using world = store();
  const token = createToken(world.database, { account: world.owner, description: "test" });
  world.database.run("PRAGMA query_only = ON");
  expect(() => createToken(world.database, { account: world.owner, description: "no" })).toThrow();
  expect(openToken(world.database, token)?.account.id).toBe(world.owner.id);
});

test("a token is known by its text alone, and only its hash is stored", () => {
  using world = store();
  const token = createToken(world.database, { account: world.owner, description: "x" });
  expect(token).toMatch(/^STTR-[\w-]{43}$/);
  expect(openToken(world.database, token)?.account.id).toBe(world.owner.id);
  const [stored] = world.database.select().from(tokens).all();
  expect(JSON.stringify(stored)).not.toContain(token.slice(5));
  for (const wrong of [
    "",
    token.slice(0, -1),
    `${token}x`,
    token.toLowerCase(),
    stored?.sha256 ?? "",
  ])
    expect(openToken(world.database, wrong)).toBeUndefined();
});

test("a token of a store from before scopes opens as it did, all there is", () => {
  using world = store();
  const { $client: sqlite } = world.database;
  sqlite
    .query(
      "INSERT INTO tokens (id, accountId, description, sha256, createdAt) VALUES ('old', ?, '', ?, 1)",
    )
    .run(world.owner.id, new Bun.CryptoHasher("sha256").update("STTR-old").digest("hex"));
  expect(openToken(world.database, "STTR-old")?.token.scope).toEqual(["global"]);
});

test("clause 4: web is 1 in an untouched app, other types and later ones are 0", () => {
  using world = store();
  const rows = () =>
    Object.fromEntries(
      listFormation(world.database, world.app).map(({ type, quantity }) => [type, quantity]),
    );
  const deploy = (processTypes: ProcessTypes) => {
    const before = listFormation(world.database, world.app);
    writeFormation(world.database, world.app, plannedFormation(world.app, before, processTypes));
  };
  deploy({ web: "a", worker: "b", release: "c" });
  expect(rows()).toEqual({ web: 1, worker: 0, release: 0 });
  deploy({ worker: "b", clock: "d" });
  expect(rows()).toEqual({ worker: 0, clock: 0 });
  deploy({ web: "a" });
  expect(rows()).toEqual({ web: 0 });
});

test("clause 92: names of apps, taken ones and the platform's own", () => {
  using world = store();
  const make = (name: string) =>
    createApp(world.database, { name, owner: world.owner, stack: "heroku-24" });
  for (const name of [
    "",
    "ab",
    "1abc",
    "-abc",
    "abc-",
    "Abc",
    "a_b_c",
    "a.b.c",
    "a".repeat(31),
    "abc\n",
  ])
    expect(() => make(name)).toThrow("Name must start with a letter");
  for (const name of ["my-app", "api", "git"]) expect(() => make(name)).toThrow("already taken");
  expect(make("a".repeat(30)).name).toHaveLength(30);
});

test("an app's ids are never another one's while both are there, and everything of it goes with it", () => {
  using world = store();
  const make = (name: string) =>
    createApp(world.database, { name, owner: world.owner, stack: "heroku-24" });
  const [two, three] = [make("app-two"), make("app-three")];
  expect(new Set([world.app.idRange, two.idRange, three.idRange]).size).toBe(3);
  world.release("succeeded", { of: two });
  deleteApp(world.database, two);
  expect(make("app-four").idRange).not.toBe(three.idRange);
  expect(listReleases(world.database, two)).toEqual([]);
});

test("ids of an app that is gone are never given to another one", () => {
  using world = store();
  const make = (name: string) =>
    createApp(world.database, { name, owner: world.owner, stack: "heroku-24" });
  const last = make("app-last");
  deleteApp(world.database, last);
  expect(make("app-next").idRange).not.toBe(last.idRange);
});

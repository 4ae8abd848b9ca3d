import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKeptOutputs } from "../../src/deploy/kept-outputs.ts";
import { createAccount } from "../../src/model/account.ts";
import { createApp } from "../../src/model/app.ts";
import { createBuild, olderBuilds, outdatedBuilds } from "../../src/model/build.ts";
import { closeDatabase, openDatabase } from "../../src/model/database.ts";

test("the outputs of an app's newest builds are kept, those of others are left alone, older ones are forgotten", () => {
  const folder = mkdtempSync(join(tmpdir(), "stator-outputs-"));
  const database = openDatabase(":memory:");
  try {
    const user = createAccount(database, "owner@example.com");
    const outputs = createKeptOutputs(folder);
    const source = { url: null, version: "x", versionDescription: null, checksum: null };
    const ids = ["one", "two"].map((name) => {
      const app = createApp(database, { name: `app-${name}`, owner: user, stack: "heroku-24" });
      const made = Array.from({ length: 5 }, () => {
        const build = createBuild(database, { app, user, source });
        const kept = outputs.write(build);
        kept.add(Buffer.from("said"));
        kept.end();
        // Two in the same millisecond have no order.
        Bun.sleepSync(2);
        return build.id;
      });
      return { app, made };
    });
    const [one, two] = ids as [(typeof ids)[number], (typeof ids)[number]];
    expect(olderBuilds(database, one.app, 3)).toEqual(one.made.slice(0, 2).toReversed());
    outputs.forget(olderBuilds(database, one.app, 3));
    expect(readdirSync(folder).toSorted()).toEqual([...one.made.slice(2), ...two.made].toSorted());
    outputs.sweep((all) => outdatedBuilds(database, [...all, crypto.randomUUID()], 3));
    expect(readdirSync(folder).toSorted()).toEqual(
      [...one.made.slice(2), ...two.made.slice(2)].toSorted(),
    );
    expect(olderBuilds(database, one.app, 5)).toEqual([]);
  } finally {
    closeDatabase(database);
    rmSync(folder, { recursive: true });
  }
});

import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sweepAll } from "../../src/deploy/sweep.ts";
import { createAccount } from "../../src/model/account.ts";
import { createApp } from "../../src/model/app.ts";
import { closeDatabase, openDatabase } from "../../src/model/database.ts";
import { createRelease, listReleases } from "../../src/model/release.ts";
import { createSlug, listSlugs, slugs } from "../../src/model/slug.ts";
import { openVault } from "../../src/model/vault.ts";
import { createSlugStore } from "../../src/slug/slug-store.ts";

test("what can be gone back to is kept, what no kept release needs is swept, and running code stays", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stator-sweep-"));
  const database = openDatabase(":memory:");
  try {
    const vault = openVault(join(folder, "key"));
    const owner = createAccount(database, "owner@example.org");
    const app = createApp(database, { name: "swept", owner, stack: "heroku-22" });
    const store = createSlugStore(join(folder, "slugs"), join(folder, "unpacked"));
    const unpacked = join(folder, "unpacked", String(app.idRange));
    const names = Array.from({ length: 25 }, (_, index) => String(index + 1).padStart(64, "0"));
    for (const sha256 of names) {
      writeFileSync(join(folder, "slugs", `${sha256}.tgz`), "");
      mkdirSync(join(unpacked, sha256), { recursive: true });
      const slug = createSlug(database, {
        ...{ appId: app.id, sha256, sizeBytes: 1, commit: "c", stack: "heroku-22" },
        ...{ buildpackDescription: "Node.js", processTypes: { web: "x" } },
      });
      const release = { app, user: owner, description: "Deploy", slugId: slug.id, config: {} };
      createRelease(database, vault, { ...release, status: "succeeded" });
    }
    database
      .update(slugs)
      .set({ createdAt: new Date(0) })
      .run();
    const oldest = listReleases(database, app).at(-1);
    const running = { app, dyno: { releaseId: oldest?.id } } as never;

    await sweepAll(database, { store, liveDynos: [running] });

    const kept = [names[0], ...names.slice(5)];
    expect(readdirSync(join(folder, "slugs")).sort()).toEqual(kept.map((name) => `${name}.tgz`));
    expect(listSlugs(database, app).map(({ sha256 }) => sha256)).toEqual(kept as string[]);
    expect(readdirSync(unpacked).sort()).toEqual([names[0], ...names.slice(22)] as string[]);
    expect(listReleases(database, app)).toHaveLength(25);
  } finally {
    closeDatabase(database);
    rmSync(folder, { recursive: true, force: true });
  }
});

import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sweepAll } from "../../src/deploy/sweep.ts";
import { createAccount } from "../../src/model/account.ts";
import { createApp } from "../../src/model/app.ts";
import { closeDatabase, openDatabase } from "../../src/model/database.ts";
import { createRelease, listReleases } from "../../src/model/release.ts";
import { pushImage } from "../../src/model/pushed-image.ts";
import { createSlug, listSlugs, slugs, type TypeImage } from "../../src/model/slug.ts";
import { openVault } from "../../src/model/vault.ts";
import { createSlugStore } from "../../src/slug/slug-store.ts";

const image = (sha256: string): TypeImage => ({
  ...{ id: `sha256:${sha256}`, sha256, sizeBytes: 1, environment: {}, entrypoint: [] },
  ...{ command: ["x"], workingDirectory: "/", home: "/", ownCommand: true },
});

test("of images each type's is kept with its release, and so is one that was pushed and not released yet", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stator-sweep-"));
  const database = openDatabase(":memory:");
  try {
    const vault = openVault(join(folder, "key"));
    const owner = createAccount(database, "owner@example.org");
    const app = createApp(database, { name: "swept", owner, stack: "container" });
    const store = createSlugStore(join(folder, "slugs"), join(folder, "unpacked"));
    const unpacked = join(folder, "unpacked", String(app.idRange));
    const names = Array.from({ length: 25 }, (_, index) => String(index + 1).padStart(64, "0"));
    const [worker, pushed, nobodys] = ["a", "b", "c"].map((letter) => letter.repeat(64)) as [
      string,
      string,
      string,
    ];
    for (const sha256 of [...names, worker, pushed, nobodys]) {
      writeFileSync(join(folder, "slugs", `${sha256}.tgz`), "");
      mkdirSync(join(unpacked, sha256), { recursive: true });
    }
    for (const sha256 of names) {
      const slug = createSlug(database, {
        ...{ appId: app.id, sha256, sizeBytes: 1, commit: "c", stack: "container" },
        ...{ buildpackDescription: "Container", processTypes: { web: "x", worker: "x" } },
        images: { web: image(sha256), worker: image(worker) },
      });
      const release = { app, user: owner, description: "Deploy", slugId: slug.id, config: {} };
      createRelease(database, vault, { ...release, status: "succeeded" });
    }
    pushImage(database, app, { type: "web", image: image(pushed) });
    database
      .update(slugs)
      .set({ createdAt: new Date(0) })
      .run();

    await sweepAll(database, { store, liveDynos: [] });

    const archives = [...names.slice(5), worker, pushed].map((name) => `${name}.tgz`);
    expect(readdirSync(join(folder, "slugs")).sort()).toEqual(archives);
    expect(readdirSync(unpacked).sort()).toEqual([...names.slice(22), worker]);
  } finally {
    closeDatabase(database);
    rmSync(folder, { recursive: true, force: true });
  }
});

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

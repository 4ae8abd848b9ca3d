import { rmSync } from "node:fs";
import { freePort } from "../lib/free-port.ts";
import { createSerializer } from "../lib/lock.ts";
import { PlatformError } from "../lib/platform-error.ts";
import { type App, findApp, listApps } from "../model/app.ts";
import {
  createDyno,
  deleteDyno,
  type Dyno,
  dynoName,
  listDynos,
  updateDyno,
} from "../model/dyno.ts";
import { listFormation } from "../model/formation.ts";
import { currentRelease, type Release, setReleaseStatus } from "../model/release.ts";
import { findSlug } from "../model/slug.ts";
import type { Vault } from "../model/vault.ts";
import type { SlugStore } from "../slug/slug-store.ts";
import { type DynoContext, LiveDyno, removeDynoFolders, type Settled } from "./live-dyno.ts";
import { OneOffs } from "./one-offs.ts";
import { restartDelayMs } from "./restart-policy.ts";

/** Where the supervisor tells which dynos take requests; the caller brings it to the router. */
export interface Routes {
  /** Resolves when the router has the newest state. */
  changed(): Promise<void>;
  /** Resolves when nothing is in flight on a dyno that takes no new requests. */
  drain(dynoId: string): Promise<void>;
}

export interface SupervisorOptions extends DynoContext {
  vault: Vault;
  slugs: SlugStore;
  routes: Routes;
}

/** How a release took the place of the one before. */
export type RollOut = { live: true } | { live: false; reason: string; kept: boolean };

/** A dyno that has been up for so long has started correctly: its crashes are forgotten. */
const steadyAfterMs = 60_000;

/** Makes the dynos that run like the ones that are wanted. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #live = new Map<string, LiveDyno>();
  readonly oneOffs: OneOffs;
  /** Crashes in a row of `<app id> <dyno name>`, and the timer of the next attempt. */
  readonly #crashes = new Map<string, { count: number; timer?: Timer }>();
  readonly #inTurn = createSerializer();
  readonly #rolling = new Set<LiveDyno>();
  #closed = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.oneOffs = new OneOffs(options);
  }

  /** Dynos of the formation that are there, of one app or of all. */
  liveDynos(app?: App): LiveDyno[] {
    return [...this.#live.values()].filter((live) => !app || live.app.id === app.id);
  }

  /** The dynos that people see: those that take the place of others hide them. */
  list(app: App): Dyno[] {
    const formation = this.liveDynos(app)
      .filter((live) => !live.dyno.leaving)
      .map((live) => ({ ...live.dyno, state: live.state }));
    return [...this.oneOffs.list(app), ...formation].sort(
      (one, other) => one.type.localeCompare(other.type) || one.number - other.number,
    );
  }

  /** Takes over what an earlier server has started; ends what nobody wants any more. */
  async recover(): Promise<void> {
    const { database, runtime } = this.#options;
    const found = await runtime.list();
    for (const row of listDynos(database)) {
      const pid = found.get(row.id);
      found.delete(row.id);
      if (pid === undefined || row.type === "run") {
        await runtime.destroy(row.id);
        await removeDynoFolders(this.#options.dynosDir, row);
        deleteDyno(database, row.id);
        continue;
      }
      const live = this.#create(findApp(database, row.appId), row);
      live.recover(pid);
    }
    for (const id of found.keys()) await runtime.destroy(id);
    for (const app of listApps(database)) void this.converge(app);
  }

  /**
   * Brings a release into service: its dynos start beside the old ones, take the requests when
   * they listen, and only then do the old ones go. One that does not come up leaves the old ones.
   */
  rollOut(app: App, release: Release): Promise<RollOut> {
    return this.#inTurn(app.id, async () => {
      const old = this.liveDynos(app).filter((live) => !live.dyno.leaving);
      const fresh = await this.#startFormation(app, release);
      const web = fresh.filter((live) => live.dyno.type === "web");
      const outcomes = await Promise.all(web.map((live) => live.settled));
      const failed = outcomes.find(
        (outcome): outcome is Extract<Settled, { up: false }> => !outcome.up,
      );
      const keepOld = failed && old.some((live) => live.dyno.type === "web" && live.state === "up");
      for (const live of fresh) this.#rolling.delete(live);
      setReleaseStatus(this.#options.database, release, failed && keepOld ? "failed" : "succeeded");
      if (failed && keepOld) {
        await Promise.all(fresh.map((live) => this.#retire(live)));
        return { live: false, reason: failed.reason, kept: true };
      }
      for (const live of old) this.#leave(live);
      await this.#options.routes.changed();
      for (const live of old) void this.#retire(live);
      if (!failed) return { live: true };
      for (const live of fresh) if (live.state === "crashed") this.#afterCrash(live);
      return { live: false, reason: failed.reason, kept: false };
    });
  }

  /** Starts what is missing and stops what is too much of an app's current release. */
  converge(app: App): Promise<void> {
    return this.#inTurn(app.id, async () => {
      const release = this.#closed ? undefined : currentRelease(this.#options.database, app);
      if (!release) return;
      const wanted = new Set(this.#wantedNames(app));
      const staying = this.liveDynos(app).filter((live) => {
        if (live.dyno.leaving || !wanted.has(live.name) || live.dyno.releaseId !== release.id) {
          this.#leave(live);
          void this.#retire(live);
          return false;
        }
        return true;
      });
      const there = new Set(staying.map((live) => live.name));
      const missing = [...wanted].filter((name) => !there.has(name));
      if (missing.length > 0) {
        const fresh = await this.#startFormation(app, release, missing);
        for (const live of fresh) this.#rolling.delete(live);
      }
      await this.#options.routes.changed();
    });
  }

  /** New dynos in the place of all, one (`web.1`) or one type's (`web`). */
  async restart(app: App, name?: string): Promise<void> {
    const chosen = this.liveDynos(app).filter(
      (live) =>
        !live.dyno.leaving && (name === undefined || live.name === name || live.dyno.type === name),
    );
    if (chosen.length === 0 && name !== undefined)
      throw new PlatformError("not_found", `Couldn't find that dyno: ${JSON.stringify(name)}.`);
    await this.#inTurn(app.id, async () => {
      for (const live of chosen) {
        this.#forgetCrashes(live);
        live.log("Restarting");
        this.#leave(live);
        void this.#retire(live);
      }
    });
    await this.converge(app);
  }

  /** Stops everything of an app and waits until it is gone. */
  async stopApp(app: App): Promise<void> {
    this.oneOffs.hangUp(app);
    await this.#inTurn(app.id, async () => {
      const all = this.liveDynos(app);
      for (const live of all) this.#leave(live);
      await this.#options.routes.changed();
      await Promise.all(all.map((live) => this.#retire(live)));
    });
  }

  /** Lets go of all dynos; they go on. One-offs hang on the server and end. */
  close(): void {
    this.#closed = true;
    for (const { timer } of this.#crashes.values()) clearTimeout(timer);
    this.oneOffs.hangUp();
    for (const live of this.#live.values()) live.detach();
  }

  /** Stops all dynos of all apps. */
  async stopAll(): Promise<void> {
    this.#closed = true;
    for (const { timer } of this.#crashes.values()) clearTimeout(timer);
    this.oneOffs.hangUp();
    await Promise.all(this.liveDynos().map((live) => live.stop()));
  }

  #wantedNames(app: App): string[] {
    return listFormation(this.#options.database, app).flatMap(({ type, quantity }) =>
      Array.from({ length: quantity }, (_, index) => `${type}.${index + 1}`),
    );
  }

  /** Starts the formation's dynos, or those of the given names; they are not routed yet. */
  async #startFormation(
    app: App,
    release: Release,
    names = this.#wantedNames(app),
  ): Promise<LiveDyno[]> {
    const { database, slugs, vault } = this.#options;
    const slug = release.slugId ? findSlug(database, release.slugId) : undefined;
    if (!slug || names.length === 0) return [];
    const sizes = new Map(listFormation(database, app).map((row) => [row.type, row.size]));
    const slugFolder = await slugs.open(slug.sha256, app.idRange);
    const config = vault.open(release.sealedConfig);
    return Promise.all(
      names.map(async (name) => {
        const [type = "", number] = name.split(".");
        const row = createDyno(database, {
          appId: app.id,
          releaseId: release.id,
          type,
          number: Number(number),
          command: slug.processTypes[type] ?? "",
          size: sizes.get(type) ?? "Basic",
          port: freePort(),
        });
        const live = this.#create(app, row);
        this.#rolling.add(live);
        await live.start(slugFolder, config);
        return live;
      }),
    );
  }

  #create(app: App, row: Dyno): LiveDyno {
    for (const [id, other] of this.#live)
      if (other.state === "crashed" && other.app.id === app.id && other.name === dynoName(row))
        this.#live.delete(id);
    const live = new LiveDyno(this.#options, app, row, (changed) => this.#noticed(changed));
    this.#live.set(row.id, live);
    return live;
  }

  /** A dyno went up or ended. */
  #noticed(live: LiveDyno): void {
    const ended = live.state === "crashed" || live.state === "down";
    if (ended && (live.stopping || live.dyno.leaving)) this.#live.delete(live.dyno.id);
    if (this.#rolling.has(live)) return;
    if (live.state === "crashed" && !live.stopping && !live.dyno.leaving) this.#afterCrash(live);
    void this.#options.routes.changed();
  }

  /** The first crash is followed by a start at once, the next ones by a wait (contract §1.8). */
  #afterCrash(live: LiveDyno): void {
    if (this.#closed) return;
    const key = `${live.app.id} ${live.name}`;
    const record = this.#crashes.get(key) ?? { count: 0 };
    record.count = live.upForMs > steadyAfterMs ? 1 : record.count + 1;
    clearTimeout(record.timer);
    const again = () => {
      this.#live.delete(live.dyno.id);
      void this.converge(live.app);
    };
    record.timer = setTimeout(again, restartDelayMs(record.count));
    record.timer.unref();
    this.#crashes.set(key, record);
  }

  #forgetCrashes(live: LiveDyno): void {
    const key = `${live.app.id} ${live.name}`;
    clearTimeout(this.#crashes.get(key)?.timer);
    this.#crashes.delete(key);
  }

  /** From now on a dyno takes no new requests; said in the store, so that a later server ends it. */
  #leave(live: LiveDyno): void {
    live.dyno.leaving = true;
    updateDyno(this.#options.database, live.dyno, { leaving: true });
  }

  /** Ends a dyno after its last request. */
  async #retire(live: LiveDyno): Promise<void> {
    this.#forgetCrashes(live);
    if (live.state === "crashed" || live.state === "down") {
      this.#live.delete(live.dyno.id);
      return;
    }
    live.dyno.leaving = true;
    await this.#options.routes.changed();
    if (live.dyno.type === "web") await this.#options.routes.drain(live.dyno.id);
    await live.stop();
    this.#live.delete(live.dyno.id);
  }

  /** Folders of dynos that are no more. */
  sweepFolders(names: string[]): void {
    const known = new Set(listDynos(this.#options.database).map(({ id }) => id));
    for (const name of names)
      if (!known.has(name))
        rmSync(`${this.#options.dynosDir}/${name}`, { recursive: true, force: true });
  }
}

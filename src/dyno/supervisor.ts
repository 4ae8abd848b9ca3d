import { createSerializer } from "../lib/lock.ts";
import { PlatformError } from "../lib/platform-error.ts";
import { type App, listApps, lookUpApp, updateApp } from "../model/app.ts";
import { deleteDyno, type Dyno, dynoName, listDynos } from "../model/dyno.ts";
import { isFeatureEnabled } from "../model/feature.ts";
import {
  type Formation,
  listFormation,
  plannedFormation,
  writeFormation,
} from "../model/formation.ts";
import { currentRelease, type Release, setReleaseStatus } from "../model/release.ts";
import { findSlug } from "../model/slug.ts";
import { type LiveDyno, type Settled, tellOfDyno } from "./live-dyno.ts";
import { LiveDynos, type LiveDynosContext } from "./live-dynos.ts";
import { OneOffs } from "./one-offs.ts";
import { isDue, type Wanted, wantedDynos } from "./wanted.ts";

/** How a release took the place of the one before. */
export type RollOut = { live: true } | { live: false; reason: string; kept: boolean };

const cycleAgainAfterMs = 60 * 60_000;

/** Makes the dynos that run like the ones that are wanted. */
export class Supervisor {
  readonly #options: LiveDynosContext;
  readonly #dynos: LiveDynos;
  readonly oneOffs: OneOffs;
  readonly #inTurn = createSerializer();
  #closed = false;

  constructor(options: LiveDynosContext) {
    this.#options = options;
    this.#dynos = new LiveDynos(options, (live) => this.#noticed(live));
    this.oneOffs = new OneOffs(options);
  }

  /** Dynos of the formation that are there, of one app or of all. */
  liveDynos(app?: App): LiveDyno[] {
    return this.#dynos.all(app);
  }

  /** The dynos that people see: those that take the place of others hide them. */
  list(app: App): Dyno[] {
    return [...this.oneOffs.list(app), ...this.#dynos.holders(app).map((live) => live.dyno)].sort(
      (one, other) => one.type.localeCompare(other.type) || one.number - other.number,
    );
  }

  /** Takes over what an earlier server has started; ends what nobody wants any more. */
  async recover(): Promise<void> {
    const { database, runtime } = this.#options;
    const found = await runtime.list();
    const leaving: LiveDyno[] = [];
    for (const row of listDynos(database)) {
      const pid = found.get(row.id);
      found.delete(row.id);
      const app = lookUpApp(database, row.appId);
      if (!app || row.kind === "attached" || (pid === undefined && row.state !== "crashed")) {
        await runtime.destroy(row.id);
        deleteDyno(database, row.id);
      } else if (row.kind === "detached") this.oneOffs.recover(app, row, pid ?? null);
      else if (row.state === "crashed") {
        await runtime.destroy(row.id);
        this.#dynos.adopt(app, row);
      } else {
        const live = this.#dynos.adopt(app, row);
        live.recover(pid ?? null);
        live.replaced = row.leaving;
        if (row.leaving) leaving.push(live);
      }
    }
    // The server died before it could end these, and perhaps before the router knew of others.
    if (leaving.length > 0) await this.#options.routes.changed();
    for (const live of leaving) void this.#dynos.retire(live);
    for (const id of found.keys()) await runtime.destroy(id);
    for (const app of listApps(database)) void this.converge(app);
  }

  /**
   * Brings a release into service: its web dynos start beside the old ones, take the requests when
   * all of them listen, and only then do the old ones go; the other types are stopped and started.
   * A release whose web does not come up leaves the old dynos, and the formation, as they are.
   */
  rollOut(app: App, release: Release): Promise<RollOut> {
    return this.#inTurn(app.id, async () => {
      const { database } = this.#options;
      const now = this.#wakeUp(app);
      const formation = this.#plan(now, release);
      const result = await this.#replace(now, {
        release,
        fresh: wantedDynos(formation),
        old: this.#dynos.holders(now),
        say: "Restarting",
        keepOld: true,
        onTaken: () =>
          database.transaction(() => {
            if (release.slugId) writeFormation(database, now, formation);
            setReleaseStatus(database, release, "succeeded");
          }),
      });
      if (!result.live && result.kept) setReleaseStatus(database, release, "failed");
      return result;
    });
  }

  /** Starts what is missing and stops what is too much of an app's current release. */
  converge(app: App): Promise<void> {
    return this.#inTurn(app.id, async () => {
      const now = this.#closed ? undefined : lookUpApp(this.#options.database, app.id);
      const release = now && currentRelease(this.#options.database, now);
      if (!now || !release) return;
      const wanted = new Map(this.#wanted(now).map((one) => [dynoName(one), one]));
      const holders = this.#dynos.holders(now);
      const fit = holders.filter(
        (live) => wanted.has(live.name) && live.dyno.releaseId === release.id,
      );
      const kept = onePerName(fit);
      const tooMuch = holders.filter((live) => kept.get(live.name) !== live);
      for (const live of tooMuch) this.#dynos.leave(live);
      const there = this.#dynos.holders(now);
      const resized = there.filter(
        (live) => !live.hasEnded && live.dyno.size !== wanted.get(live.name)?.size,
      );
      const missing = [...wanted.values()].filter((one) => {
        const holder = there.find((live) => live.name === dynoName(one));
        return !holder || (holder.state === "crashed" && isDue(holder.dyno));
      });
      if (tooMuch.length > 0) {
        await this.#options.routes.changed();
        for (const live of tooMuch) void this.#dynos.retire(live);
      }
      if (missing.length > 0) await this.#dynos.start(now, release, missing);
      if (resized.length > 0)
        await this.#replace(now, {
          release,
          fresh: resized.map((live) => wanted.get(live.name) as Wanted),
          old: resized,
          say: "Restarting",
          keepOld: false,
        });
      if (missing.length + tooMuch.length > 0) await this.#options.routes.changed();
    });
  }

  /** New dynos in the place of all, one (`web.1`) or one type's (`web`). */
  async restart(app: App, name?: string): Promise<void> {
    const chosen = this.#dynos
      .holders(app)
      .filter((live) => name === undefined || live.name === name || live.dyno.type === name);
    if (chosen.length === 0 && name !== undefined)
      throw new PlatformError("not_found", `Couldn't find that dyno: ${JSON.stringify(name)}.`);
    await this.#startAnew(app, chosen, { say: "Restarting", keepOld: false });
  }

  /** Ends one-off dynos for good; a dyno of the formation is started again (contract §1.9). */
  stop(app: App, name: string): void {
    if (this.oneOffs.stop(app, name)) return;
    const chosen = this.#dynos
      .holders(app)
      .filter((live) => live.name === name || live.dyno.id === name || live.dyno.type === name);
    if (chosen.length === 0)
      throw new PlatformError("not_found", `Couldn't find that dyno: ${JSON.stringify(name)}.`);
    for (const live of chosen) void live.kick();
  }

  /** Stops an app's formation until somebody asks for it (contract §1.6). */
  sleep(app: App): Promise<void> {
    return this.#inTurn(app.id, async () => {
      updateApp(this.#options.database, app, { asleep: true });
      const holders = this.#dynos.holders(app);
      for (const live of holders) {
        live.log("Idling");
        this.#dynos.leave(live);
      }
      await this.#options.routes.changed();
      for (const live of holders) void this.#dynos.retire(live);
    });
  }

  /** Starts the formation of an app that sleeps. */
  async wake(app: App): Promise<void> {
    const now = lookUpApp(this.#options.database, app.id);
    if (!now?.asleep) return;
    this.#wakeUp(now);
    for (const one of this.#wanted({ ...now, asleep: false }))
      for (const message of ["Unidling", "State changed from down to starting"])
        tellOfDyno(this.#options.logs, now, { name: dynoName(one), message });
    await this.#options.routes.changed();
    await this.converge(now);
  }

  /** What time brings: starts after a cool-off, cycling, memory, the ends of one-offs. */
  tick(now = Date.now()): void {
    if (this.#closed) return;
    const lives = this.liveDynos();
    for (const live of lives) live.watchLife(now);
    const apps = new Map(listApps(this.#options.database).map((app) => [app.id, app]));
    for (const app of apps.values()) if (this.#isAstray(app, now)) void this.converge(app);
    for (const live of lives)
      if (live.state === "up" && !live.dyno.leaving && live.cycleAtMs < now) this.#cycle(live, now);
    this.oneOffs.endOld(now);
    for (const live of lives) live.watchMemory(now);
    this.oneOffs.watchMemory(now);
  }

  /** Stops everything of an app and waits until it is gone. */
  async stopApp(app: App): Promise<void> {
    const oneOffs = this.oneOffs.stopApp(app);
    await this.#inTurn(app.id, async () => {
      const all = this.liveDynos(app);
      for (const live of all) this.#dynos.leave(live);
      await this.#options.routes.changed();
      await Promise.all(all.map((live) => this.#dynos.retire(live)));
    });
    await oneOffs;
  }

  /** Lets go of all dynos; they go on, but for one-offs that hang on a client. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.oneOffs.close();
    for (const live of this.#dynos.all()) live.detach();
  }

  /** Stops all dynos of all apps. */
  async stopAll(): Promise<void> {
    this.#closed = true;
    this.#dynos.close();
    await Promise.all([
      this.oneOffs.stopAll(),
      ...this.liveDynos().map((live) => {
        live.replaced ||= live.dyno.leaving;
        return live.stop();
      }),
    ]);
  }

  #wanted(app: App): Wanted[] {
    return app.asleep ? [] : wantedDynos(listFormation(this.#options.database, app));
  }

  #plan(app: App, release: Release): Formation[] {
    const { database } = this.#options;
    const slug = release.slugId ? findSlug(database, release.slugId) : undefined;
    return slug ? plannedFormation(app, listFormation(database, app), slug.processTypes) : [];
  }

  /** Whether what runs is not what is wanted; dynos on their way are as good as there. */
  #isAstray(app: App, now: number): boolean {
    const holders = this.#dynos.holders(app);
    const byName = onePerName(holders);
    const wanted = currentRelease(this.#options.database, app)?.slugId ? this.#wanted(app) : [];
    return (
      holders.length !== wanted.length ||
      wanted.some((one) => {
        const holder = byName.get(dynoName(one));
        return !holder || (holder.state === "crashed" && isDue(holder.dyno, now));
      })
    );
  }

  #wakeUp(app: App): App {
    const { database } = this.#options;
    const now = lookUpApp(database, app.id) ?? app;
    return now.asleep ? updateApp(database, now, { asleep: false }) : now;
  }

  /** A fresh dyno in its place; when that does not come up it stays, and is tried again later. */
  #cycle(live: LiveDyno, now: number): void {
    live.cycleAtMs = now + cycleAgainAfterMs;
    void this.#startAnew(live.app, [live], { say: "Cycling", keepOld: true });
  }

  async #startAnew(
    app: App,
    chosen: LiveDyno[],
    how: { say: string; keepOld: boolean },
  ): Promise<void> {
    await this.#inTurn(app.id, async () => {
      const now = lookUpApp(this.#options.database, app.id);
      const release = now && currentRelease(this.#options.database, now);
      if (!now || !release || this.#closed) return;
      const old = chosen.filter((live) => !live.dyno.leaving);
      const wanted = new Map(this.#wanted(now).map((one) => [dynoName(one), one]));
      const fresh = old.flatMap((live) => wanted.get(live.name) ?? []);
      await this.#replace(now, { release, fresh, old, ...how });
    });
    await this.converge(app);
  }

  /** Fresh dynos in the place of old ones, web without a gap unless the app wants one. */
  async #replace(
    app: App,
    plan: {
      release: Release;
      fresh: Wanted[];
      old: LiveDyno[];
      say: string;
      /** Whether old web dynos that serve stay when the fresh ones do not come up. */
      keepOld: boolean;
      /** The fresh ones are in place, as far as anybody waits for them. */
      onTaken?: () => void;
    },
  ): Promise<RollOut> {
    const { release, old, keepOld } = plan;
    const before = new Map(old.map((live) => [live.name, live.state]));
    for (const live of old)
      if (plan.fresh.some((one) => dynoName(one) === live.name)) live.log(plan.say);
    const isWeb = ({ type }: { type: string }) => type === "web";
    const serving = old.some((live) => isWeb(live.dyno) && live.state === "up");
    const preboot = serving && isFeatureEnabled(app, "preboot");
    if (!preboot) await this.#dynos.letGo(old, plan.fresh);
    const web = await this.#dynos.start(app, release, plan.fresh.filter(isWeb), {
      ...{ before, waiting: preboot },
    });
    const failed = (await Promise.all(web.map((live) => live.settled))).find(didNotComeUp);
    if (failed && preboot && keepOld) {
      for (const live of web) this.#dynos.leave(live);
      for (const live of web) void this.#dynos.retire(live);
      for (const live of old)
        live.standIn(web.find((one) => one.name === live.name)?.state ?? live.state);
      return { live: false, reason: failed.reason, kept: true };
    }
    plan.onTaken?.();
    for (const live of web) live.waiting = false;
    if (preboot) await this.#dynos.letGo(old, plan.fresh);
    else await this.#options.routes.changed();
    const others = plan.fresh.filter((one) => !isWeb(one));
    await this.#dynos.start(app, release, others, { before });
    if (!failed) return { live: true };
    void this.converge(app);
    return { live: false, reason: failed.reason, kept: false };
  }

  /** A dyno went up or ended. */
  #noticed(live: LiveDyno): void {
    if (live.waiting || this.#closed) return;
    // It crashed: the first time it is started again at once.
    if (live.state === "crashed" && isDue(live.dyno)) void this.converge(live.app);
    void this.#options.routes.changed();
  }

  /** Removes what dynos that are no more have written. */
  async sweepDisks(): Promise<void> {
    const known = listDynos(this.#options.database).map(({ id }) => id);
    await this.#options.disks.sweep(new Set(known));
  }
}

/**
 * A server that died while one dyno took another's place has left both: the one that is up stays, of
 * two the newer.
 */
function onePerName(lives: LiveDyno[]): Map<string, LiveDyno> {
  const ranked = lives.toSorted(
    (one, other) =>
      Number(one.state === "up") - Number(other.state === "up") ||
      one.dyno.createdAt.getTime() - other.dyno.createdAt.getTime(),
  );
  return new Map(ranked.map((live) => [live.name, live]));
}

function didNotComeUp(settled: Settled): settled is Extract<Settled, { up: false }> {
  return !settled.up;
}

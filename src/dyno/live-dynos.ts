import { freePort } from "../lib/free-port.ts";
import { createPlaces } from "../lib/places.ts";
import type { App } from "../model/app.ts";
import {
  createDyno,
  deleteDyno,
  type Dyno,
  dynoName,
  type DynoState,
  updateDyno,
} from "../model/dyno.ts";
import type { Release } from "../model/release.ts";
import { findSlug, type Slug } from "../model/slug.ts";
import { type OpenedRelease, type OpenReleaseContext, openRelease } from "./opened-release.ts";
import { type DynoContext, LiveDyno } from "./live-dyno.ts";
import type { Wanted } from "./wanted.ts";

/** Where it is told which dynos take requests; the caller brings it to the router. */
export interface Routes {
  /** Resolves when the router has the newest state. */
  changed(): Promise<void>;
  /** Resolves when nothing is in flight on a dyno that takes no new requests. */
  drain(dynoId: string): Promise<void>;
}

export interface LiveDynosContext extends DynoContext, OpenReleaseContext {
  routes: Routes;
}

/** More at once would only wait for each other. */
const startsAtOnce = 4;

/** The dynos of all formations that are there: how they come, how they are found, how they go. */
export class LiveDynos {
  readonly #context: LiveDynosContext;
  readonly #live = new Map<string, LiveDyno>();
  readonly #places = createPlaces(startsAtOnce);
  /** Told when a dyno went up or ended. */
  readonly #changed: (live: LiveDyno) => void;
  #closed = false;

  constructor(context: LiveDynosContext, changed: (live: LiveDyno) => void) {
    this.#context = context;
    this.#changed = changed;
  }

  /** Of one app or of all, also those that are on their way out. */
  all(app?: App): LiveDyno[] {
    return [...this.#live.values()].filter((live) => !app || live.app.id === app.id);
  }

  /** Those that bear their names: none that another has taken the place of. */
  holders(app: App): LiveDyno[] {
    return this.all(app).filter((live) => !live.dyno.leaving);
  }

  /** Takes a dyno in that has a row. */
  adopt(app: App, row: Dyno): LiveDyno {
    const live = new LiveDyno(this.#context, app, row, (changed) => {
      if (changed.state === "down") this.#live.delete(changed.dyno.id);
      this.#changed(changed);
    });
    this.#live.set(row.id, live);
    return live;
  }

  /** Old dynos get no more requests, then the signal; not waited for. */
  async letGo(old: LiveDyno[], fresh: Wanted[]): Promise<void> {
    for (const live of old) {
      live.replaced = fresh.some((one) => dynoName(one) === live.name);
      this.leave(live);
    }
    await this.#context.routes.changed();
    for (const live of old) void this.retire(live);
  }

  /** Starts dynos of a release, a few at a time; those that had crashed count on. */
  async start(
    app: App,
    release: Release,
    wanted: Wanted[],
    options: { waiting?: boolean; before?: Map<string, DynoState> } = {},
  ): Promise<LiveDyno[]> {
    if (this.#closed) return [];
    const { database } = this.#context;
    const slug = release.slugId ? findSlug(database, release.slugId) : undefined;
    if (!slug || wanted.length === 0) return [];
    const opening = new Map<string, Promise<OpenedRelease>>();
    for (const { type } of wanted) {
      if (opening.has(type)) continue;
      const opened = openRelease(this.#context, app, { release, slug, type });
      opened.catch(() => {});
      opening.set(type, opened);
    }
    const started = await Promise.all(
      wanted.map((one) =>
        this.#places(async () => {
          if (this.#closed) return [];
          const before = options.before?.get(dynoName(one)) ?? this.#holderOf(app, one)?.state;
          const live = this.#create(app, { release, slug, wanted: one });
          live.waiting = options.waiting ?? false;
          await live.start(opening.get(one.type)!, before);
          return [live];
        }),
      ),
    );
    return started.flat();
  }

  /** No dyno is started any more, whatever is under way. */
  close(): void {
    this.#closed = true;
  }

  #holderOf(app: App, wanted: Wanted): LiveDyno | undefined {
    return this.holders(app).find((live) => live.name === dynoName(wanted));
  }

  #create(app: App, options: { release: Release; slug: Slug; wanted: Wanted }): LiveDyno {
    const { release, slug, wanted } = options;
    const holder = this.#holderOf(app, wanted);
    const row = createDyno(this.#context.database, {
      ...{ appId: app.id, releaseId: release.id, kind: "formation" },
      ...{ type: wanted.type, number: wanted.number, size: wanted.size },
      command: slug.processTypes[wanted.type] ?? "",
      port: freePort(),
      // The next one after a crash counts on; a release or a restart begins anew (contract §1.8).
      crashes: holder?.state === "crashed" ? holder.dyno.crashes : 0,
    });
    if (holder) {
      holder.replaced = true;
      if (holder.state === "crashed") this.#forget(holder);
    }
    return this.adopt(app, row);
  }

  #forget(live: LiveDyno): void {
    this.#live.delete(live.dyno.id);
    deleteDyno(this.#context.database, live.dyno.id);
  }

  /** From now on a dyno takes no new requests; said in the store, so that a later server ends it. */
  leave(live: LiveDyno): void {
    updateDyno(this.#context.database, live.dyno, { leaving: true });
  }

  /** Ends a dyno after its last request. */
  async retire(live: LiveDyno): Promise<void> {
    if (live.hasEnded) return this.#forget(live);
    if (live.dyno.type === "web") await this.#context.routes.drain(live.dyno.id);
    await live.stop();
    this.#live.delete(live.dyno.id);
  }
}

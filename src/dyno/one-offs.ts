import { randomInt } from "node:crypto";
import { freePort } from "../lib/free-port.ts";
import { PlatformError } from "../lib/platform-error.ts";
import { logTime } from "../logs/log-line.ts";
import type { Account } from "../model/account.ts";
import type { App } from "../model/app.ts";
import { createDyno, type Dyno, dynoName, listDynos } from "../model/dyno.ts";
import { defaultDynoSize } from "../model/dyno-size.ts";
import { listFormation, releaseType } from "../model/formation.ts";
import { currentRelease, findRelease, type Release } from "../model/release.ts";
import { findSlug, type Slug } from "../model/slug.ts";
import type { TerminalSize } from "../runtime/runtime.ts";
import {
  type AttachedDyno,
  type AttachedProgram,
  startAttachedDyno,
  startInside,
} from "./attached-dyno.ts";
import { prepareContainer } from "./dyno-container.ts";
import { dynoEnvironment } from "./dyno-spec.ts";
import { type OpenReleaseContext, openRelease, typeImage } from "./opened-release.ts";
import { shellCommand } from "./image-program.ts";
import { type DynoContext, LiveDyno } from "./live-dyno.ts";

export interface OneOffOrder {
  command: string;
  environment: Record<string, string>;
  user: Account;
  size?: string | undefined;
  /** What its name begins with: `run` when left out. */
  type?: string | undefined;
  /** It is ended after so long; a day when left out (contract §2.1). */
  timeToLiveMs?: number | undefined;
}

/** One more program inside a dyno that runs. */
export interface InsideOrder {
  dyno: Dyno;
  command: string;
  environment: Record<string, string>;
  terminal: TerminalSize | null;
}

const longestLifeMs = 24 * 60 * 60_000;

/** Dynos that run one command of a release and are never started again (contract §2). */
export class OneOffs {
  readonly #context: DynoContext & OpenReleaseContext;
  readonly #attached = new Map<string, AttachedDyno>();
  readonly #detached = new Map<string, LiveDyno>();
  /** Attached ones whose containers are being prepared. */
  readonly #coming = new Set<Promise<unknown>>();
  #closed = false;

  constructor(context: DynoContext & OpenReleaseContext) {
    this.#context = context;
  }

  list(app?: App): Dyno[] {
    return this.#all()
      .filter((one) => !app || one.app.id === app.id)
      .map(({ dyno }) => dyno);
  }

  /** Runs a command in the current release, with a client that comes for it. */
  async runAttached(
    app: App,
    order: OneOffOrder & { terminal: TerminalSize | null },
  ): Promise<AttachedDyno> {
    const { release, slug } = this.#running(app);
    const dyno = this.#create(app, { order, release, slug, kind: "attached" });
    this.#announce(app, dyno, order.user);
    return this.#attach(app, { dyno, release, slug, order });
  }

  /** Runs a command in the current release; its output goes to the log. */
  async runDetached(app: App, order: OneOffOrder): Promise<Dyno> {
    const { release, slug } = this.#running(app);
    const dyno = this.#create(app, { order, release, slug, kind: "detached" });
    this.#announce(app, dyno, order.user);
    const live = this.#follow(app, dyno);
    const { type } = dyno;
    const added = order.environment;
    await live.start(openRelease(this.#context, app, { release, slug, type, added }));
    return live.dyno;
  }

  /** Runs the release command of a release that is not in service yet (contract §4.6). */
  async runRelease(
    app: App,
    options: { release: Release; slug: Slug; user: Account; timeToLiveMs: number },
  ): Promise<AttachedDyno> {
    const { release, slug, user, timeToLiveMs } = options;
    const size = listFormation(this.#context.database, app).find(
      ({ type }) => type === releaseType,
    )?.size;
    const command = slug.processTypes[releaseType] ?? "";
    const order = {
      ...{ command, user, size, timeToLiveMs },
      ...{ environment: {}, type: releaseType, terminal: null },
    };
    const dyno = this.#create(app, { order, release, slug, kind: "attached" });
    return this.#attach(app, { dyno, release, slug, order });
  }

  /** One more program inside a dyno that runs, with the config vars of its release. */
  runInside(app: App, order: InsideOrder): AttachedProgram {
    const { dyno, command, environment: added, terminal } = order;
    if (dyno.state !== "up")
      throw new PlatformError(
        "invalid_params",
        `${dynoName(dyno)} is ${dyno.state}; a program can be run in a dyno that is up.`,
      );
    const release = findRelease(this.#context.database, app, dyno.releaseId);
    const environment = { ...this.#context.vault.open(release.sealedConfig), ...added };
    const slug = findSlug(this.#context.database, release.slugId ?? "");
    const stack = slug ? this.#context.stackOf(slug) : { announced: "", rootfs: undefined };
    const image = slug ? typeImage(slug, dyno.type) : null;
    return startInside(this.#context, dyno, {
      argv: image ? shellCommand(command) : ["bash", "--login", "-c", command],
      environment: dynoEnvironment(dyno, { environment, metadata: null, stack, image }),
      workingDirectory: image?.workingDirectory ?? "/app",
      terminal,
    });
  }

  /** Ends one by its name; false when there is none. */
  stop(app: App, name: string): boolean {
    const one = this.#all().find(
      ({ dyno }) => dyno.appId === app.id && (dynoName(dyno) === name || dyno.id === name),
    );
    void one?.stop();
    return one !== undefined;
  }

  /** Ends those of an app. */
  async stopApp(app: App): Promise<void> {
    const ofApp = ({ dyno }: { dyno: Dyno }) => dyno.appId === app.id;
    await Promise.all(
      this.#all()
        .filter(ofApp)
        .map((one) => one.stop()),
    );
  }

  /** Attached ones hang on this server and end with it; the others go on. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#coming);
    for (const live of this.#detached.values()) live.detach();
    const { runtime } = this.#context;
    await Promise.all(
      [...this.#attached.values()].map(async ({ dyno, ended }) => {
        await runtime.signal(dyno.id, "HUP");
        await Promise.race([ended, Bun.sleep(2000)]);
        await runtime.signal(dyno.id, "KILL");
        await ended;
      }),
    );
  }

  async stopAll(): Promise<void> {
    await this.close();
    await Promise.all([...this.#detached.values()].map((live) => live.stop()));
  }

  /** Takes over a detached one of an earlier server. */
  recover(app: App, dyno: Dyno, pid: number | null): void {
    this.#follow(app, dyno).recover(pid);
  }

  /** Ends what has lived for long enough. */
  endOld(now: number): void {
    for (const one of this.#all())
      if (one.dyno.expiresAt && one.dyno.expiresAt.getTime() < now) void one.stop();
  }

  watchMemory(now: number): void {
    for (const one of this.#all()) one.watchMemory(now);
  }

  #attach(
    app: App,
    options: {
      dyno: Dyno;
      release: Release;
      slug: Slug;
      order: OneOffOrder & { terminal: TerminalSize | null };
    },
  ): Promise<AttachedDyno> {
    const { dyno, release, slug, order } = options;
    const { terminal, environment: added } = order;
    const { type } = dyno;
    const come = async () => {
      if (this.#closed) throw new Error(`${dynoName(dyno)} cannot start: the server ends`);
      const opened = await openRelease(this.#context, app, { release, slug, type, added });
      const spec = await prepareContainer(this.#context, app, { dyno, opened, terminal });
      const gone = () => void this.#attached.delete(dyno.id);
      const attached = startAttachedDyno(this.#context, app, { dyno, spec, gone });
      this.#attached.set(dyno.id, attached);
      return attached;
    };
    const coming = come().finally(() => this.#coming.delete(coming));
    this.#coming.add(coming);
    return coming;
  }

  #all(): (AttachedDyno | LiveDyno)[] {
    return [...this.#attached.values(), ...this.#detached.values()];
  }

  #follow(app: App, dyno: Dyno): LiveDyno {
    const live = new LiveDyno(this.#context, app, dyno, (changed) => {
      if (changed.hasEnded) this.#detached.delete(dyno.id);
    });
    this.#detached.set(dyno.id, live);
    return live;
  }

  #create(
    app: App,
    options: { order: OneOffOrder; release: Release; slug: Slug; kind: "attached" | "detached" },
  ): Dyno {
    const { order, release, slug, kind } = options;
    const { database, sizes } = this.#context;
    const type = order.type ?? "run";
    return createDyno(database, {
      ...{ appId: app.id, releaseId: release.id, kind, type },
      number: this.#freeNumber(app, type),
      command: type === releaseType ? order.command : commandOf(slug, order.command),
      size: sizes.find(order.size ?? defaultDynoSize)?.name ?? defaultDynoSize,
      port: freePort(),
      expiresAt: new Date(
        Date.now() + Math.min(order.timeToLiveMs ?? longestLifeMs, longestLifeMs),
      ),
    });
  }

  #announce(app: App, dyno: Dyno, user: Account): void {
    const message = `Starting process with command \`${dyno.command}\` by user ${user.email}`;
    this.#context.logs.write(app.id, { at: logTime(), source: "app", dyno: "api", message });
  }

  #running(app: App): { release: Release; slug: Slug } {
    const release = currentRelease(this.#context.database, app);
    const slug = release?.slugId ? findSlug(this.#context.database, release.slugId) : undefined;
    if (!release || !slug)
      throw new PlatformError(
        "invalid_params",
        `${app.name} has no code yet: git push stator main, then run it.`,
      );
    return { release, slug };
  }

  #freeNumber(app: App, type: string): number {
    const taken = new Set(
      listDynos(this.#context.database, app).map((dyno) => `${dyno.type}.${dyno.number}`),
    );
    for (;;) {
      const number = randomInt(1000, 10_000);
      if (!taken.has(`${type}.${number}`)) return number;
    }
  }
}

/** `rake db:migrate`: a process type's name stands for its command (contract §2.1). Pure. */
export function commandOf(slug: Pick<Slug, "processTypes">, command: string): string {
  const [, first = "", rest = ""] = /^(\S+)(.*)$/s.exec(command.trim()) ?? [];
  const declared = Object.hasOwn(slug.processTypes, first) ? slug.processTypes[first] : undefined;
  return declared === undefined ? command : `${declared}${rest}`;
}

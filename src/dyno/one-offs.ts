import { randomInt } from "node:crypto";
import { freePort } from "../lib/free-port.ts";
import { PlatformError } from "../lib/platform-error.ts";
import { logTime } from "../logs/log-line.ts";
import type { Account } from "../model/account.ts";
import type { App } from "../model/app.ts";
import { createDyno, deleteDyno, type Dyno, dynoName, updateDyno } from "../model/dyno.ts";
import { currentRelease, type Release } from "../model/release.ts";
import { findSlug, type Slug } from "../model/slug.ts";
import type { Vault } from "../model/vault.ts";
import type { SlugStore } from "../slug/slug-store.ts";
import { dynoSpec } from "./dyno-spec.ts";
import { type DynoContext, makeDynoFolders, removeDynoFolders } from "./live-dyno.ts";
import type { AttachedClient, AttachedDyno } from "./one-off.ts";

export interface OneOffContext extends DynoContext {
  vault: Vault;
  slugs: SlugStore;
}

interface OneOff {
  app: App;
  dyno: Dyno;
  hangUp(): void;
}

/** Dynos that run one command of the current release and are never started again (contract §2). */
export class OneOffs {
  readonly #options: OneOffContext;
  readonly #oneOffs = new Map<string, OneOff>();

  constructor(options: OneOffContext) {
    this.#options = options;
  }

  list(app: App): Dyno[] {
    return [...this.#oneOffs.values()]
      .filter((oneOff) => oneOff.app.id === app.id)
      .map(({ dyno }) => dyno);
  }

  /** Ends those of an app, or all. */
  hangUp(app?: App): void {
    for (const oneOff of this.#oneOffs.values())
      if (!app || oneOff.app.id === app.id) oneOff.hangUp();
  }

  async runAttached(
    app: App,
    options: {
      command: string;
      environment: Record<string, string>;
      terminal: { columns: number; lines: number } | null;
      user: Account;
    },
  ): Promise<AttachedDyno> {
    const { runtime, dynosDir, database, logs } = this.#options;
    const { release, slug } = this.#running(app);
    const command = commandOf(slug, options.command);
    const dyno = createDyno(database, {
      appId: app.id,
      releaseId: release.id,
      type: "run",
      number: this.#freeRunNumber(app),
      command,
      size: "Basic",
      port: freePort(),
    });
    const log = (source: "app" | "heroku", name: string, message: string) =>
      logs.write(app.id, { at: logTime(), source, dyno: name, message });
    log("app", "api", `Starting process with command \`${command}\` by user ${options.user.email}`);
    const slugFolder = await this.#options.slugs.open(slug.sha256, app.idRange);
    const spec = dynoSpec({
      app,
      dyno,
      slugFolder,
      folders: makeDynoFolders(dynosDir, app, dyno),
      config: this.#options.vault.open(release.sealedConfig),
      environment: options.environment,
      network: runtime.reserveAddress(dyno.id),
      terminal: options.terminal,
    });
    log("heroku", dynoName(dyno), `Starting process with command \`${command}\``);
    log("heroku", dynoName(dyno), "State changed from starting to up");
    const client = Promise.withResolvers<AttachedClient>();
    let running = true;
    const attached = runtime.attach(spec, {
      output: async (bytes) => (await client.promise).output(bytes),
    });
    const hangUp = async () => {
      client.resolve(nobody);
      await runtime.signal(dyno.id, "HUP");
      await Promise.race([attached.exited, Bun.sleep(5000)]);
      await runtime.signal(dyno.id, "KILL");
    };
    updateDyno(database, dyno, { state: "up" });
    this.#oneOffs.set(dyno.id, {
      app,
      dyno: { ...dyno, state: "up" },
      hangUp: () => void hangUp(),
    });
    void attached.exited.then(async (ended) => {
      running = false;
      this.#oneOffs.delete(dyno.id);
      log("heroku", dynoName(dyno), `Process exited with status ${ended}`);
      log("heroku", dynoName(dyno), "State changed from up to complete");
      await removeDynoFolders(dynosDir, dyno);
      deleteDyno(database, dyno.id);
      (await client.promise).exit(ended);
    });
    return {
      dyno,
      attach: client.resolve,
      write: (bytes) => void attached.write(bytes),
      endInput: () => attached.endInput(),
      resize: (size) => attached.resize(size),
      hangUp: () => {
        if (running) void hangUp();
        else client.resolve(nobody);
      },
    };
  }

  /** An attached dyno whose client is the app's log. */
  async runDetached(
    app: App,
    options: { command: string; environment: Record<string, string>; user: Account },
  ): Promise<Dyno> {
    const attached = await this.runAttached(app, { ...options, terminal: null });
    const decoder = new TextDecoder();
    let pending = "";
    const write = (message: string) =>
      this.#options.logs.write(app.id, {
        at: logTime(),
        source: "app",
        dyno: dynoName(attached.dyno),
        message,
      });
    attached.endInput();
    attached.attach({
      output(bytes) {
        const rows = (pending + decoder.decode(bytes, { stream: true })).split("\n");
        pending = rows.pop() ?? "";
        for (const row of rows) write(row);
      },
      exit() {
        if (pending) write(pending);
      },
    });
    return attached.dyno;
  }

  #running(app: App): { release: Release; slug: Slug } {
    const release = currentRelease(this.#options.database, app);
    const slug = release?.slugId ? findSlug(this.#options.database, release.slugId) : undefined;
    if (!release || !slug)
      throw new PlatformError(
        "invalid_params",
        `${app.name} has no code yet: git push stator main, then run it.`,
      );
    return { release, slug };
  }

  #freeRunNumber(app: App): number {
    const taken = new Set(
      [...this.#oneOffs.values()].map(({ dyno }) => `${dyno.appId} ${dyno.number}`),
    );
    for (;;) {
      const number = randomInt(1000, 10_000);
      if (!taken.has(`${app.id} ${number}`)) return number;
    }
  }
}

/** Takes what comes when the client has gone, or never came. */
const nobody: AttachedClient = { output: () => {}, exit: () => {} };

/** `rake db:migrate`: a process type's name stands for its command (contract §2.1). Pure. */
export function commandOf(slug: Pick<Slug, "processTypes">, command: string): string {
  const [, first = "", rest = ""] = /^(\S+)(.*)$/s.exec(command.trim()) ?? [];
  const declared = Object.hasOwn(slug.processTypes, first) ? slug.processTypes[first] : undefined;
  return declared === undefined ? command : `${declared}${rest}`;
}

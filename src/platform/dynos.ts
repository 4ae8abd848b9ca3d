import { totalmem } from "node:os";
import { join } from "node:path";
import { tell } from "../deploy/release-context.ts";
import { type FormationUpdate, scale } from "../deploy/scale.ts";
import type { AttachedDyno, AttachedProgram } from "../dyno/attached-dyno.ts";
import type { InsideOrder, OneOffOrder } from "../dyno/one-offs.ts";
import { Supervisor } from "../dyno/supervisor.ts";
import type { Account } from "../model/account.ts";
import type { App } from "../model/app.ts";
import { type Dyno, dynoName } from "../model/dyno.ts";
import { type DynoSizes, readDynoSizes } from "../model/dyno-size.ts";
import type { Formation } from "../model/formation.ts";
import type { RouterClient } from "../router/router-client.ts";
import { dynosDir } from "../runtime/open-runtime.ts";
import type { TerminalSize } from "../runtime/runtime.ts";
import type { ServerSettings } from "../settings/server-settings.ts";
import type { Ground } from "./ground.ts";

/** What runs, and how many of it. */
export interface Dynos {
  /** Dynos as the kernel has them. */
  listDynos(app: App): Dyno[];
  /** All dynos of the formation, or one (`web.1`) or one type (`web`). */
  restartDynos(app: App, name?: string): Promise<void>;
  /** Ends a one-off dyno; a dyno of the formation, or those of a type, are started again. */
  stopDynos(app: App, name: string): void;
  /** Changes quantities and sizes, all or none of them. Dynos follow in the background. */
  scale(app: App, options: { updates: FormationUpdate[]; user: Account }): Formation[];
  /** The sizes that dynos can have. */
  sizes: DynoSizes;
  /** Starts an attached one-off dyno in the current release. */
  runAttached(
    app: App,
    order: OneOffOrder & { terminal: TerminalSize | null },
  ): Promise<AttachedDyno>;
  /** Starts a one-off dyno whose output goes to the log. */
  runDetached(app: App, order: OneOffOrder): Promise<Dyno>;
  /** Runs one more program inside a dyno that runs. */
  runInside(app: App, order: InsideOrder & { user: Account }): AttachedProgram;
}

const drainTimeoutMs = 30_000;
const stopTimeoutMs = 30_000;

export function openDynos(
  { dataDir, host, database, vault, logs, slugs, stacks }: Ground,
  { domain, bootTimeoutMs }: ServerSettings,
  { router, routesChanged }: { router: RouterClient; routesChanged: () => Promise<void> },
) {
  const sizes = readDynoSizes(join(dataDir, "dyno-sizes.json"));
  const supervisor = new Supervisor({
    ...{ database, logs, runtime: host.runtime, vault, slugs, sizes },
    ...{ disks: host.disks, dynosDir: dynosDir(host.box), bootTimeoutMs, stopTimeoutMs },
    stackOf: (slug) => stacks.toRun(slug),
    hostOf: (app) => `${app.name}.${domain}`,
    routes: {
      changed: routesChanged,
      async drain(dynoId) {
        await router.drain(dynoId, { timeoutMs: drainTimeoutMs }).catch(() => {});
      },
    },
  });
  const dynos: Dynos = {
    listDynos: (app) => supervisor.list(app),
    restartDynos: (app, name) => supervisor.restart(app, name),
    stopDynos: (app, name) => supervisor.stop(app, name),
    scale: (app, options) =>
      scale({ database, logs, supervisor, sizes, machineBytes: totalmem() }, app, options),
    sizes,
    runAttached: (app, options) => supervisor.oneOffs.runAttached(app, options),
    runDetached: (app, options) => supervisor.oneOffs.runDetached(app, options),
    runInside(app, options) {
      const { dyno, command, user } = options;
      tell({ logs }, app, `Running ${command} inside ${dynoName(dyno)} by user ${user.email}`);
      return supervisor.oneOffs.runInside(app, options);
    },
  };
  return { dynos, supervisor };
}

import type { Supervisor } from "../dyno/supervisor.ts";
import type { createSerializer } from "../lib/lock.ts";
import { logTime } from "../logs/log-line.ts";
import type { Logs } from "../logs/logs.ts";
import type { App } from "../model/app.ts";
import type { Database } from "../model/database.ts";
import type { Vault } from "../model/vault.ts";
import type { ReleaseOutputs } from "./release-outputs.ts";

/** What every way to a new release needs. */
export interface ReleaseContext {
  database: Database;
  vault: Vault;
  logs: Logs;
  supervisor: Supervisor;
  outputs: ReleaseOutputs;
  /** Releases of an app go live one after the other. */
  inOrder: ReturnType<typeof createSerializer>;
}

/** What the platform says of an app, as `app[api]`. */
export function tell({ logs }: Pick<ReleaseContext, "logs">, app: App, message: string): void {
  logs.write(app.id, { at: logTime(), source: "app", dyno: "api", message });
}

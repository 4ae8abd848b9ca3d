import { findAccount } from "../model/account.ts";
import type { Database } from "../model/database.ts";

/** An account as it stands in other things. */
export function personOf(database: Database, id: string): { email: string; id: string } {
  return { email: findAccount(database, id)?.email ?? "", id };
}

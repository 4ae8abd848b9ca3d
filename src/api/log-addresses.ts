import type { Vault } from "../model/vault.ts";
import type { LogSession } from "./log-stream.ts";
import { isSigned, signLink } from "./signed-links.ts";

const openWithinMs = 5 * 60_000;
const hourMs = 3_600_000;
const purpose = "log-session";

export type LogAddresses = ReturnType<typeof logAddresses>;

/**
 * The secret part of a log session's address: all that was asked for stands sealed in it, so that a
 * restart of the server loses none. It opens for five minutes; after that only for a reader who comes
 * back, which the ids of the events that he got within the last hour show.
 */
export function logAddresses(vault: Vault) {
  const thisHour = () => Math.floor(Date.now() / hourMs);
  return {
    keyOf(session: LogSession): string {
      const openUntil = String(Date.now() + openWithinMs);
      const sealed = vault.seal({ purpose, openUntil, session: JSON.stringify(session) });
      return Buffer.from(sealed).toString("base64url");
    },
    /** What a key opens for a reader whose last event had this id, if it opens anything. */
    find(key: string, lastEventId: string | undefined): LogSession | undefined {
      const opened = unseal(vault, key);
      if (opened?.["purpose"] !== purpose) return undefined;
      const ticket = lastEventId?.split("~")[1] ?? "";
      const comesBack = [0, 1].some((hours) =>
        isSigned(vault, ticket, purpose, key, String(thisHour() - hours)),
      );
      if (!comesBack && Date.now() > Number(opened["openUntil"])) return undefined;
      return JSON.parse(opened["session"] ?? "") as LogSession;
    },
    /** The id of an event at a place in the log, for the readers of one address. */
    eventIds(key: string): (place: string) => string {
      let [hour, ticket] = [0, ""];
      return (place) => {
        if (hour !== thisHour()) {
          hour = thisHour();
          ticket = signLink(vault, purpose, key, String(hour));
        }
        return `${place}~${ticket}`;
      };
    },
  };
}

/** The place in the log that an event's id names. */
export function placeOf(eventId: string): string {
  return eventId.split("~")[0] ?? "";
}

function unseal(vault: Vault, key: string): Record<string, string> | undefined {
  try {
    return vault.open(Buffer.from(key, "base64url"));
  } catch {
    return undefined;
  }
}

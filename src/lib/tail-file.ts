import { readFileSync, writeFileSync } from "node:fs";
import { type Following, followFile, type Place } from "./follow-file.ts";

/** The log holds lines back for 25 ms: a place that is written later than this is never ahead of it. */
const rememberAfterMs = 100;

/**
 * Follows a file row by row, from where the last reader of it stopped. A crash gives the last rows
 * twice, never none.
 */
export function tailFile(path: string, onRows: (rows: string[]) => void): Following {
  const beside = placeBeside<Place>(path);
  const following = followFile(path, {
    from: beside.from,
    take(bytes, place) {
      onRows(bytes.toString("utf8", 0, bytes.length - 1).split("\n"));
      beside.remember(place);
      return true;
    },
  });
  return {
    caughtUp: () => following.caughtUp(),
    close() {
      following.close();
      beside.close();
    },
  };
}

/** Keeps a place beside its file, a moment after what was read up to it has been handed on. */
function placeBeside<P extends Place>(path: string) {
  const placePath = `${path}.position`;
  let last: P | undefined;
  let timer: Timer | undefined;
  function write(): void {
    clearTimeout(timer);
    timer = undefined;
    try {
      writeFileSync(placePath, JSON.stringify(last), { mode: 0o600 });
    } catch {
      // On a full disk the next reader begins a little earlier.
    }
  }
  return {
    from: readPlace<P>(placePath),
    remember(place: P): void {
      last = place;
      timer ??= setTimeout(write, rememberAfterMs);
    },
    close(): void {
      if (timer) write();
    },
  };
}

function readPlace<P extends Place>(path: string): P | undefined {
  try {
    const place = JSON.parse(readFileSync(path, "utf8")) as Partial<P>;
    return place.file !== undefined && place.offset !== undefined ? (place as P) : undefined;
  } catch {
    return undefined;
  }
}

import type { World } from "./world.ts";

/** What a person hears of work that takes a while, on standard error. */
export interface Progress {
  /** How far it is, as `1 / 2`. */
  note: (words: string) => void;
  /** A line of its own beside the one that goes on. */
  say: (line: string) => void;
  end: (words: string) => void;
}

const shownAfterMs = 1_000;
/** Room at the end of the line for how far and how long. */
const roomForNotes = 24;

/** Does something with a line of progress, which `act` ends; a failure ends it with `!`. */
export async function withProgress<T>(
  world: World,
  title: string,
  act: (progress: Progress) => Promise<T>,
): Promise<T> {
  const progress = startProgress(world, title);
  try {
    return await act(progress);
  } catch (error) {
    progress.end("!");
    throw error;
  }
}

/**
 * Begins a line, `TITLE... `. In a terminal it is one line that moves, with how far the work is and how
 * long it takes already; into a pipe go whole lines, each new `note` one of them, and no clock.
 */
function startProgress(world: World, title: string): Progress {
  const columns = world.errColumns();
  const start = `${title}... `;
  return columns !== undefined && Bun.stringWidth(start) + roomForNotes <= columns
    ? movingLine(world, start)
    : linesOnly(world, start);
}

function linesOnly({ err }: World, title: string): Progress {
  let [start, isOpen] = [title, true];
  const line = (words: string) => {
    err(`${isOpen ? "" : start}${words}\n`);
    isOpen = false;
  };
  err(start);
  return {
    note: line,
    say(words) {
      err(`${isOpen ? "\n" : ""}${words}\n`);
      isOpen = false;
      // What it is about was said: the end needs no more than its word.
      start = "";
    },
    end: line,
  };
}

function movingLine({ err }: World, start: string): Progress {
  const begunAtMs = performance.now();
  let noted = "";
  const draw = (words: string) => err(`\r\u001b[K${start}${words}`);
  const drawNow = () => {
    const seconds = Math.floor((performance.now() - begunAtMs) / 1000);
    draw([noted, seconds > 0 ? `${seconds}s` : ""].filter((word) => word !== "").join(", "));
  };
  const clock = setInterval(drawNow, shownAfterMs);
  // It tells of the work, and does not hold the program when that is cut off.
  clock.unref();
  draw("");
  return {
    note(words) {
      noted = words;
      drawNow();
    },
    say(words) {
      err(`\r\u001b[K${words}\n`);
      drawNow();
    },
    end(words) {
      clearInterval(clock);
      draw(`${words}\n`);
    },
  };
}

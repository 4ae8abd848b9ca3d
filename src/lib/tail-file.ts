import {
  closeSync,
  existsSync,
  type FSWatcher,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  watch,
  writeFileSync,
} from "node:fs";

const pollMs = 1000;
const chunkBytes = 256 * 1024;

/**
 * Follows a file that another process appends to, from where the last reader of it stopped: the
 * position is kept beside the file. A file that was renamed away is read to its end first.
 */
export function tailFile(path: string, onRows: (rows: string[]) => void): { close(): void } {
  const positionPath = `${path}.position`;
  const buffer = Buffer.alloc(chunkBytes);
  let file: number | undefined;
  let inode = 0;
  let position = 0;
  let pending: Buffer = Buffer.alloc(0);

  function open(): boolean {
    if (file !== undefined) return true;
    if (!existsSync(path)) return false;
    file = openSync(path, "r");
    inode = fstatSync(file).ino;
    const saved = readPosition(positionPath);
    position = saved?.inode === inode ? saved.position : 0;
    pending = Buffer.alloc(0);
    return true;
  }

  function read(): void {
    if (!open()) return;
    for (;;) {
      const length = readSync(file as number, buffer, 0, chunkBytes, position);
      if (length === 0) break;
      position += length;
      take(buffer.subarray(0, length));
    }
    if (!replaced()) return;
    closeSync(file as number);
    file = undefined;
    read();
  }

  function take(bytes: Buffer): void {
    const all = pending.length > 0 ? Buffer.concat([pending, bytes]) : bytes;
    const end = all.lastIndexOf(10);
    pending = Buffer.from(all.subarray(end + 1));
    if (end < 0) return;
    onRows(all.subarray(0, end).toString("utf8").split("\n"));
    rememberPosition();
  }

  /** On a full disk the next reader begins a little earlier: better twice than never. */
  function rememberPosition(): void {
    try {
      writeFileSync(positionPath, `${inode} ${position - pending.length}`);
    } catch {
      return;
    }
  }

  function replaced(): boolean {
    try {
      return statSync(path).ino !== inode;
    } catch {
      return false;
    }
  }

  let watcher: FSWatcher | undefined;
  function tick(): void {
    if (!watcher && existsSync(path)) watcher = watch(path, read);
    read();
  }
  tick();
  const poll = setInterval(tick, pollMs);

  return {
    close() {
      clearInterval(poll);
      watcher?.close();
      read();
      if (file !== undefined) closeSync(file);
    },
  };
}

function readPosition(path: string): { inode: number; position: number } | undefined {
  try {
    const [inode, position] = readFileSync(path, "utf8").split(" ").map(Number);
    return inode !== undefined && position !== undefined ? { inode, position } : undefined;
  } catch {
    return undefined;
  }
}

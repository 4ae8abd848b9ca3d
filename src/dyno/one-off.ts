import type { Dyno } from "../model/dyno.ts";

export interface AttachedClient {
  /** The dyno's next output comes when this one is taken. */
  output(bytes: Uint8Array): void | Promise<void>;
  exit(status: number): void;
}

/** A running attached one-off dyno: bytes in, bytes out, an end. */
export interface AttachedDyno {
  dyno: Dyno;
  /** Called once by the door that serves the client; output waits for it. */
  attach(client: AttachedClient): void;
  write(bytes: Uint8Array): void;
  /** Ends standard input (Ctrl-D or the end of a pipe). */
  endInput(): void;
  resize(size: { columns: number; lines: number }): void;
  /** The client is gone: SIGHUP, then SIGKILL. */
  hangUp(): void;
}

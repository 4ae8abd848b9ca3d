import { PlatformError } from "../lib/platform-error.ts";

/** One adding of an image: where, as whom and within which bounds. */
export interface ImageJob {
  /** The user's own folder, and nobody else's. */
  work: string;
  userId: number;
  /** The only digest that will do. */
  wanted: string | undefined;
  maxBytes: number;
  maxEntries: number;
  environment: Record<string, string>;
  freeDiskBytes: () => number;
  minFreeDiskBytes: number;
  onProgress: (line: string) => void;
}

type Room = Pick<ImageJob, "freeDiskBytes" | "minFreeDiskBytes">;

export function assertRoom({ freeDiskBytes, minFreeDiskBytes }: Room): void {
  const free = freeDiskBytes();
  if (free >= minFreeDiskBytes) return;
  throw new PlatformError(
    "unavailable",
    `There is no room for an image: ${Math.floor(free / 1024 / 1024)} MB are free on the server's disk. Free some space there, or remove a stack.`,
  );
}

export async function* whileThereIsRoom(
  bytes: AsyncIterable<Uint8Array>,
  room: Room,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    assertRoom(room);
    yield chunk;
  }
}

/** An image that came is the one that was asked for. */
export function assertWanted({ wanted }: Pick<ImageJob, "wanted">, digest: string): void {
  if (wanted !== undefined && wanted !== digest)
    throw new PlatformError("invalid_params", `The image's digest is ${digest}, not ${wanted}.`);
}

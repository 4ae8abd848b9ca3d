import { rename, rm } from "node:fs/promises";
import { BuildFailure } from "./build-failure.ts";
import { warn } from "./output.ts";

const attempts = 3;
const stallTimeoutMs = 30_000;

/** The server has no such file; asking again would not help. */
export class NotFound extends Error {}

/** Reads a small text file; throws NotFound, or what went wrong at the last of three attempts. */
export async function downloadText(address: string): Promise<string> {
  return await withAttempts(address, async (signal) => {
    const response = await request(address, signal);
    return await response.text();
  });
}

/** Saves a file under `path` only when its SHA-256 is the expected one. */
export async function downloadVerified(
  address: string,
  { path, sha256 }: { path: string; sha256: string },
): Promise<void> {
  const partial = `${path}.partial`;
  try {
    const actual = await withAttempts(address, (signal, progress) =>
      save(address, { partial, signal, progress }),
    );
    if (actual !== sha256) {
      throw new BuildFailure(
        `${address} is not the file that its vendor announced, so it was not unpacked.\n` +
          `SHA-256 expected: ${sha256}\nSHA-256 received: ${actual}`,
      );
    }
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
  }
}

export async function sha256Of(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
  return hasher.digest("hex");
}

async function save(
  address: string,
  options: { partial: string; signal: AbortSignal; progress: () => void },
): Promise<string> {
  const response = await request(address, options.signal);
  const expectedBytes = Number(response.headers.get("content-length") ?? Number.NaN);
  const hasher = new Bun.CryptoHasher("sha256");
  const file = Bun.file(options.partial).writer();
  let receivedBytes = 0;
  try {
    for await (const chunk of response.body ?? []) {
      options.progress();
      receivedBytes += chunk.length;
      hasher.update(chunk);
      await file.write(chunk);
    }
  } finally {
    await file.end();
  }
  if (receivedBytes < expectedBytes) {
    throw new Error(`cut off after ${receivedBytes} of ${expectedBytes} bytes`);
  }
  return hasher.digest("hex");
}

async function request(address: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(address, { signal });
  if (response.status === 404) throw new NotFound(`${address} does not exist`);
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response;
}

async function withAttempts<T>(
  address: string,
  attempt: (signal: AbortSignal, progress: () => void) => Promise<T>,
): Promise<T> {
  for (let count = 1; ; count++) {
    const controller = new AbortController();
    const stalled = () =>
      controller.abort(new Error(`nothing received for ${stallTimeoutMs / 1000} s`));
    let timer = setTimeout(stalled, stallTimeoutMs);
    const progress = () => {
      clearTimeout(timer);
      timer = setTimeout(stalled, stallTimeoutMs);
    };
    try {
      return await attempt(controller.signal, progress);
    } catch (error) {
      if (error instanceof NotFound) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      if (count === attempts) throw new Error(`${address}: ${reason}`, { cause: error });
      warn(`Download failed (${reason}); attempt ${count + 1} of ${attempts} follows.`);
      await Bun.sleep(250 * 2 ** count);
    } finally {
      clearTimeout(timer);
    }
  }
}

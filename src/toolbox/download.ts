import { createHash } from "node:crypto";
import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { ToolFailure } from "./tool-failure.ts";

const attempts = 3;

/** The server has no such file; asking again would not help. */
export class NotFound extends Error {}

export interface DownloadOptions {
  /** Hears why an attempt failed, before the next one. */
  warn: (text: string) => void;
  maxBytes?: number;
  /** `user:password` for the server. */
  credentials?: string | undefined;
  /** The rest of the address, which is not shown. */
  query?: string;
  /** An attempt that receives nothing for so long is given up. */
  stallTimeoutMs?: number;
}

/** Reads a small text file; throws NotFound, or what went wrong at the last of three attempts. */
export function downloadText(address: string, options: DownloadOptions): Promise<string> {
  return withAttempts(address, options, async (signal) =>
    (await request(address, signal, options)).text(),
  );
}

/**
 * Saves a file, and returns its SHA-256. With an expected one, another file is deleted again and a
 * ToolFailure thrown: nobody has looked into it by then.
 */
export async function download(
  address: string,
  to: { path: string; sha256?: string },
  options: DownloadOptions,
): Promise<string> {
  const partial = `${to.path}.partial`;
  try {
    const sha256 = await withAttempts(address, options, (signal, progress) =>
      save(address, { ...options, path: partial, signal, progress }),
    );
    if (to.sha256 !== undefined && sha256 !== to.sha256)
      throw new ToolFailure(
        `${address} is not the file that was announced, so it is not unpacked.\nSHA-256 expected: ${to.sha256}\nSHA-256 received: ${sha256}`,
      );
    renameSync(partial, to.path);
    return sha256;
  } finally {
    rmSync(partial, { force: true });
  }
}

async function save(
  address: string,
  options: DownloadOptions & { path: string; signal: AbortSignal; progress: () => void },
): Promise<string> {
  const { path, signal, progress, maxBytes = Number.POSITIVE_INFINITY } = options;
  const response = await request(address, signal, options);
  const expectedBytes = Number(response.headers.get("content-length") ?? Number.NaN);
  const packed = response.headers.get("content-encoding") !== null;
  const hash = createHash("sha256");
  const file = openSync(path, "w", 0o600);
  let receivedBytes = 0;
  try {
    for await (const chunk of response.body ?? []) {
      progress();
      receivedBytes += chunk.length;
      if (receivedBytes > maxBytes)
        throw new ToolFailure(
          `${address} is larger than ${Math.floor(maxBytes / 1024 / 1024)} MB.`,
        );
      hash.update(chunk);
      writeSync(file, chunk);
    }
  } finally {
    closeSync(file);
  }
  if (!packed && receivedBytes < expectedBytes)
    throw new Error(`cut off after ${receivedBytes} of ${expectedBytes} bytes`);
  return hash.digest("hex");
}

async function request(
  address: string,
  signal: AbortSignal,
  { credentials, query = "" }: DownloadOptions,
): Promise<Response> {
  const authorization = credentials && `Basic ${Buffer.from(credentials).toString("base64")}`;
  const response = await fetch(address + query, {
    signal,
    ...(authorization && { headers: { authorization } }),
  });
  if (response.status === 404) throw new NotFound(`${address} does not exist`);
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response;
}

async function withAttempts<T>(
  address: string,
  { warn, stallTimeoutMs = 30_000 }: DownloadOptions,
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
      if (error instanceof NotFound || error instanceof ToolFailure) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      if (count === attempts) throw new Error(`${address}: ${reason}`, { cause: error });
      warn(`Download failed (${reason}); attempt ${count + 1} of ${attempts} follows.`);
      await Bun.sleep(250 * 2 ** count);
    } finally {
      clearTimeout(timer);
    }
  }
}

import { unlimitedIdleTime } from "../lib/idle-time.ts";
import type { Quarantine } from "../repository/repository.ts";

export interface RefUpdate {
  before: string;
  after: string;
  ref: string;
}

export interface PushHook {
  updates: RefUpdate[];
  quarantine: Quarantine;
  /** Writes to the pushing client; waits while it is slow. */
  write(bytes: Uint8Array | string): Promise<void>;
}

/** Decides on a push: true moves the refs. */
export type HookHandler = (hook: PushHook) => Promise<boolean>;

export const objectId = /^[0-9a-f]{40}([0-9a-f]{24})?$/;
export const noObject = /^0+$/;

/**
 * The meeting point of a push that the server has let in and the hook that git starts for it. The
 * hook knows an unguessable id, and the socket is the server's own.
 */
export function createPushHooks(socketPath: string) {
  const expected = new Map<string, HookHandler>();
  const server = Bun.serve({
    unix: socketPath,
    ...unlimitedIdleTime,
    async fetch(request: Request) {
      const handler = expected.get(new URL(request.url).pathname.slice(1));
      if (!handler) return new Response("no such push", { status: 404 });
      const { updates, quarantine } = (await request.json()) as Pick<
        PushHook,
        "updates" | "quarantine"
      >;
      return new Response(hookStream(handler, { updates, quarantine }));
    },
  });
  return {
    /** Answers the hook of one push; call the returned function when the push is over. */
    expect(handler: HookHandler): { id: string; done(): void } {
      const id = crypto.randomUUID();
      expected.set(id, handler);
      return { id, done: () => expected.delete(id) };
    },
    close: () => server.stop(true),
  };
}

/** Output as it comes; then a NUL and the verdict. NULs of the output itself are left out. */
function hookStream(
  handler: HookHandler,
  hook: Omit<PushHook, "write">,
): ReadableStream<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>(
    {},
    { highWaterMark: 16 },
    { highWaterMark: 16 },
  );
  const writer = writable.getWriter();
  const write = async (bytes: Uint8Array | string) => {
    const data = typeof bytes === "string" ? Buffer.from(bytes) : Buffer.from(bytes);
    await writer.ready;
    void writer.write(data.includes(0) ? data.filter((byte) => byte !== 0) : data).catch(() => {});
  };
  void handler({ ...hook, write })
    .catch(async (error: unknown) => {
      await write(` !     The platform failed: ${(error as Error).message}\n`).catch(() => {});
      return false;
    })
    .then(async (accepted) => {
      await writer.write(Buffer.from(accepted ? "\0yes" : "\0no"));
      await writer.close();
    })
    .catch(() => {});
  return readable;
}

/** What `stator git-hook` does, as git's child: hands the push to the server and speaks for it. */
export async function runHook(options: {
  socketPath: string;
  id: string;
  quarantine: Quarantine;
}): Promise<number> {
  const updates = (await Bun.stdin.text())
    .trim()
    .split("\n")
    .map((line) => {
      const [before = "", after = "", ...ref] = line.split(" ");
      return { before, after, ref: ref.join(" ") };
    });
  const response = await fetch(`http://stator/${options.id}`, {
    unix: options.socketPath,
    method: "POST",
    body: JSON.stringify({ updates, quarantine: options.quarantine }),
    timeout: false,
  } as RequestInit);
  if (!response.ok || !response.body) {
    process.stderr.write(" !     This push is not known to the platform any more.\n");
    return 1;
  }
  // Git has gone, and nobody listens any more: the server has been told by its own connection.
  process.stderr.on("error", () => process.exit(1));
  let verdict = "";
  let ended = false;
  for await (const chunk of response.body) {
    const end = ended ? 0 : chunk.indexOf(0);
    const output = ended ? chunk.subarray(0, 0) : end < 0 ? chunk : chunk.subarray(0, end);
    if (output.length > 0 && !process.stderr.write(output))
      await new Promise<void>((resolve) => process.stderr.once("drain", () => resolve()));
    if (end < 0) continue;
    verdict += Buffer.from(chunk.subarray(ended ? 0 : end + 1)).toString();
    ended = true;
  }
  return verdict === "yes" ? 0 : 1;
}

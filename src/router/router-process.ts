import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { Argv } from "../lib/exec.ts";
import { answerPromptly } from "../lib/time-slice.ts";
import { startMaster } from "./master.ts";
import { startRouter } from "./router.ts";

/**
 * The router as a process of its own: `--dir DIR --http PORT --https PORT --host ADDR --build ID
 * --workers N --no-log`; a port left out is not listened on, the workers are one for each processor
 * unless said otherwise. `worker` is how this program is started as one of them. Resolves when it has
 * stopped, by its control socket or a signal.
 */
export async function runRouterProcess(argv: string[], worker: Argv): Promise<void> {
  const { settings, workers } = readArguments(argv);
  const router = await startMaster({
    ...settings,
    size: workers ?? availableParallelism(),
    program: worker,
  });
  await runUntilStopped(router);
}

/** One worker: the same arguments, and `--name` for its socket. */
export async function runRouterWorker(argv: string[]): Promise<void> {
  const { settings, name } = readArguments(argv);
  if (name === undefined) throw new Error("A worker of the router needs --name NAME, its socket");
  answerPromptly(process.pid);
  await runUntilStopped(await startRouter({ ...settings, worker: name }));
}

async function runUntilStopped(router: {
  stop(): Promise<void>;
  stopped: Promise<void>;
}): Promise<void> {
  process.once("SIGTERM", () => void router.stop());
  process.once("SIGINT", () => void router.stop());
  await router.stopped;
}

function readArguments(argv: string[]) {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: argv,
    options: {
      ...{ dir: text, http: text, https: text, host: text, build: text },
      ...{ workers: text, name: text, "no-log": { type: "boolean" } },
    },
  });
  if (values.dir === undefined) throw new Error("The router needs --dir DIR, its own folder");
  return {
    settings: {
      dir: values.dir,
      http: readPort("--http", values.http),
      https: readPort("--https", values.https),
      host: values.host ?? "0.0.0.0",
      version: values.build ?? "",
      log: values["no-log"] !== true,
    },
    workers: readNumber("--workers", values.workers, { from: 1, to: 256 }),
    name: values.name,
  };
}

function readPort(flag: string, text: string | undefined): number | null {
  return readNumber(flag, text, { from: 0, to: 65_535 }) ?? null;
}

function readNumber(
  flag: string,
  text: string | undefined,
  { from, to }: { from: number; to: number },
): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (text === "" || !Number.isInteger(number) || number < from || number > to)
    throw new Error(`${flag} ${text} is not possible: give a number from ${from} to ${to}`);
  return number;
}

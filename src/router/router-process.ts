import { parseArgs } from "node:util";
import { startRouter } from "./router.ts";

/**
 * The router as a process of its own: `--dir DIR --http PORT --https PORT --host ADDR --build ID`;
 * a port left out is not listened on. Resolves when it has stopped, by its control socket or a signal.
 */
export async function runRouterProcess(argv: string[]): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: argv,
    options: { dir: text, http: text, https: text, host: text, build: text },
  });
  if (values.dir === undefined) throw new Error("The router needs --dir DIR, its own folder");
  const router = await startRouter({
    dir: values.dir,
    http: readPort("--http", values.http),
    https: readPort("--https", values.https),
    host: values.host ?? "0.0.0.0",
    version: values.build ?? "",
  });
  process.once("SIGTERM", () => void router.stop());
  process.once("SIGINT", () => void router.stop());
  await router.stopped;
}

function readPort(flag: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const port = Number(text);
  if (text === "" || !Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`${flag} ${text} is not a port: give a number from 0 to 65535`);
  return port;
}

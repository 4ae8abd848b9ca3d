import { join } from "node:path";
import { tailOutput } from "../../src/dyno/output-tail.ts";
import { spawn } from "../../src/lib/exec.ts";
import { createLogs } from "../../src/logs/log-store.ts";
import { runMonitored, speaker } from "./monitored.ts";

const program = join(import.meta.dir, "keep-output.ts");

/**
 * A dyno says numbered lines while the process that keeps them is killed and started again, every
 * 150 ms at most. Its files of 2 MB are full every two seconds: changes of files are hit, too.
 */
export async function killedReader(folder: string, { count }: { count: number }) {
  const dir = join(folder, "logs");
  const monitored = await runMonitored(
    join(folder, "dyno"),
    speaker({ count, perSecond: 10_000 }),
    { maxLogBytes: 2_000_000 },
  );
  let kills = 0;
  for (let over = false; !over; kills++) {
    const reader = spawn([process.execPath, program, dir, monitored.output]);
    await reader.stdout.getReader().read();
    over = await Promise.race([
      monitored.ended().then(() => true),
      Bun.sleep(Math.random() * 150).then(() => false),
    ]);
    reader.kill("SIGKILL");
    await reader.exited;
  }
  const logs = createLogs({ dir });
  const tail = tailOutput(monitored.output, logs.intake("app", { id: "dyno", dyno: "web.1" }));
  await tail.caughtUp();
  tail.close();
  const lines = await logs.read("app", { lines: count * 2, grep: "of the flood" });
  const overflows = await logs.read("app", { lines: 10, grep: "Error L10" });
  await logs.close();
  const numbers = lines.map(({ message }) => Number(/^line (\d+) /.exec(message)?.[1]));
  return {
    kills,
    /** Index of the first line that is not where its number says; -1 when all are. */
    firstWrong: numbers.findIndex((number, index) => number !== index),
    kept: numbers.length,
    overflows: overflows.length,
  };
}

import { runRouterProcess, runRouterWorker } from "../../src/router/router-process.ts";

/** The router as a process of its own, so that a test can measure or kill it. */
const [command, ...args] = process.argv.slice(2);
if (command === "worker") await runRouterWorker(args);
else await runRouterProcess(args, [process.execPath, import.meta.path, "worker"]);

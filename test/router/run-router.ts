import { runRouterProcess } from "../../src/router/router-process.ts";

/** The router as a process of its own, so that a test can measure or kill it. */
await runRouterProcess(process.argv.slice(2));

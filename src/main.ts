import "./bundle/glob-imports.ts";
import { parseArgs } from "node:util";
import { thisProgram } from "./lib/this-program.ts";

const [command, ...args] = process.argv.slice(2);

const processes: Record<string, () => Promise<number>> = {
  async server() {
    if (args.includes("--help")) {
      console.log((await import("./settings/server-help.ts")).serverHelp);
      return 0;
    }
    const { runServer } = await import("./server.ts");
    const flag = { type: "string" } as const;
    try {
      const { values } = parseArgs({
        args,
        options: {
          ...{
            data: flag,
            domain: flag,
            http: flag,
            https: flag,
            host: flag,
            runtime: flag,
          },
          "stop-dynos": { type: "boolean" },
        },
      });
      return await runServer(values, { program: thisProgram, say: (line) => console.error(line) });
    } catch (error) {
      if (!String((error as NodeJS.ErrnoException).code).startsWith("ERR_PARSE_ARGS")) throw error;
      // One line, whatever is wrong; Node's words go over several.
      console.error(` ▸    ${(error as Error).message.replaceAll("\n", " ")}`);
      return 2;
    }
  },
  async router() {
    const { runRouterProcess } = await import("./router/router-process.ts");
    await runRouterProcess(args, [...thisProgram, "router-worker"]);
    return 0;
  },
  async "router-worker"() {
    const { runRouterWorker } = await import("./router/router-process.ts");
    await runRouterWorker(args);
    return 0;
  },
  async monitor() {
    const { runMonitor } = await import("./runtime/monitor.ts");
    return runMonitor(args[0] ?? "");
  },
  async toolbox() {
    const { runToolbox } = await import("./toolbox/toolbox.ts");
    const { readToolboxSettings } = await import("./settings/toolbox-settings.ts");
    return runToolbox(args, readToolboxSettings());
  },
  async "git-hook"() {
    const { runHook } = await import("./git/push-hooks.ts");
    const { readHookSettings } = await import("./settings/hook-settings.ts");
    return runHook(readHookSettings());
  },
};

const own = command === undefined ? undefined : processes[command];
if (own) process.exit(await own());
const { runCli } = await import("./cli/cli.ts");
process.exit(await runCli(process.argv.slice(2)));

import { existsSync } from "node:fs";
import { join } from "node:path";
import { createProcessRuntime } from "../../src/runtime/process-runtime.ts";
import { findProcesses, repositoryRoot } from "../helpers/stator-server.ts";
import { runtimeSuite } from "./runtime-suite.ts";

const program: [string, ...string[]] = [
  process.execPath,
  "--no-env-file",
  join(repositoryRoot, "src/main.ts"),
];

runtimeSuite({
  open: (folder) => createProcessRuntime({ runDir: join(folder, "run"), program }),
  traces: (folder, id) =>
    Promise.resolve([
      ...findProcesses(id).map(({ pid, argv }) => `process ${pid}: ${argv.join(" ")}`),
      ...["containers", "exits"].flatMap((kind) => {
        const path = join(folder, "run", kind, id);
        return existsSync(path) ? [path] : [];
      }),
    ]),
  leftovers: (folder) =>
    Promise.resolve([
      ...findProcesses(folder).map(({ argv }) => argv.join(" ")),
      ...(existsSync(join(folder, "run")) ? [join(folder, "run")] : []),
    ]),
  execAndStats: true,
});

import { dirname, join } from "node:path";
import { sweep } from "./stator-server.ts";
import { sweepNamespaces } from "./wired-namespace.ts";

/** Clears away what an interrupted run has left of itself: `bun sweep-leftovers.ts FOLDER`, where its files are. */
const [folder = ""] = process.argv.slice(2);
const servers = new Bun.Glob("*/**/credentials.json").scanSync({ cwd: folder, dot: true });
for (const credentials of servers) await sweep(join(folder, dirname(credentials)));
await sweepNamespaces();

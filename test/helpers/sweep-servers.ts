import { dirname, join } from "node:path";
import { sweep } from "./stator-server.ts";

/** Clears away what the servers of an interrupted run have left: `bun sweep-servers.ts FOLDER`, where its files are. */
const [folder = ""] = process.argv.slice(2);
const servers = new Bun.Glob("*/**/credentials.json").scanSync({ cwd: folder, dot: true });
for (const credentials of servers) await sweep(join(folder, dirname(credentials)));

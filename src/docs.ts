import "./bundle/glob-imports.ts";
import { join } from "node:path";

/** Writes the documentation that follows from the program itself: `bun run docs`. */
const { topics } = await import("./cli/commands/registry.ts");
const { commandReference } = await import("./cli/reference.ts");
const docs = join(import.meta.dir, "../docs");
await Bun.write(join(docs, "commands.md"), commandReference(topics));

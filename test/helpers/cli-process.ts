import "../../src/bundle/glob-imports.ts";

/** The command line as a process of its own, for tests that need real pipes and terminals. */
const { runCli } = await import("../../src/cli/cli.ts");
process.exit(await runCli(process.argv.slice(2)));

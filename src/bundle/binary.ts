import { parseArgs } from "node:util";
import { globImports } from "./glob-imports.ts";

/** Makes the executable: `npm run build`, or `npm run build -- --target linux-arm64`. */
const { values } = parseArgs({
  options: { target: { type: "string" }, outfile: { type: "string" } },
});
const targets = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];
if (values.target !== undefined && !targets.includes(values.target)) {
  process.stderr.write(
    ` ▸    --target is ${values.target}, but must be one of ${targets.join(", ")}\n`,
  );
  process.exit(2);
}
const target = values.target ? (`bun-${values.target}` as Bun.Build.CompileTarget) : undefined;
const outfile = values.outfile ?? `dist/stator${values.target ? `-${values.target}` : ""}`;

const result = await Bun.build({
  entrypoints: ["src/main.ts"],
  minify: { whitespace: true, syntax: true },
  // The command line reads only its own part: it starts in half of the time.
  splitting: true,
  compile: {
    outfile,
    assets: ["buildpacks", "migrations"],
    ...(target ? { target } : {}),
    // The command line is run inside other people's repositories: their .env and bunfig.toml are not ours.
    autoloadBunfig: false,
    autoloadDotenv: false,
  },
  plugins: [globImports],
});
if (!result.success) process.exit(1);
process.stdout.write(`${outfile}  ${(Bun.file(outfile).size / 1024 / 1024).toFixed(1)} MB\n`);

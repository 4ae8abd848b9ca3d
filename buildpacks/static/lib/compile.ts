import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import mimeTypes from "../mime-types.json";
import { compressedTypes, nginxConfig } from "./nginx-config.ts";
import { BadRules, readSiteRules } from "./site-rules.ts";

const compressedEndings = new Set(
  Object.entries(mimeTypes).flatMap(([type, endings]) =>
    compressedTypes.includes(type) ? endings.map((ending) => `.${ending}`) : [],
  ),
);
const minCompressedBytes = 1024;
const maxFileBytes = 64 * 1024 * 1024;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Writes nginx's configuration, and prepares the site's files. Returns how many there are. */
function compile(app: string): { files: number; compressed: number; root: string } {
  const { rules, ignored } = readSiteRules(app);
  for (const key of ignored) say(`static.json: ${key} is not known here and has no effect.`);
  mkdirSync(join(app, ".heroku/static"), { recursive: true });
  writeFileSync(join(app, ".heroku/static/nginx.conf"), nginxConfig(rules));
  return { root: rules.root, ...prepare(join(app, rules.root)) };
}

/** Compresses what is worth it, and gives each file the date that its ETag is made of. */
function prepare(root: string): { files: number; compressed: number } {
  const names = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.slice(root.length).includes("/."));
  let compressed = 0;
  for (const path of names) {
    const bytes = Bun.file(path).size > maxFileBytes ? undefined : readFileSync(path);
    const date = dateOf(bytes ?? Buffer.from(String(Bun.file(path).size)));
    utimesSync(path, date, date);
    const worth = bytes && bytes.length >= minCompressedBytes;
    if (!worth || !compressedEndings.has(extname(path)) || names.includes(`${path}.gz`)) continue;
    writeFileSync(`${path}.gz`, Bun.gzipSync(bytes, { level: 9 }));
    utimesSync(`${path}.gz`, date, date);
    compressed++;
  }
  return { files: names.length, compressed };
}

const [earliest, latest] = [978_307_200, 1_577_836_800];

/**
 * nginx makes the ETag of a file's date and size. A date made of the content lets a browser keep what a
 * deploy has not changed, and never keep what it has. Days before 2020 pass through a slug's archive.
 */
function dateOf(bytes: Uint8Array): Date {
  const number = createHash("sha256").update(bytes).digest().readUIntBE(0, 6);
  return new Date((earliest + (number % (latest - earliest))) * 1000);
}

try {
  const { root, files, compressed } = compile(process.argv[2] ?? ".");
  say(`${files} files below ${root}, ${compressed} of them compressed too`);
} catch (error) {
  if (!(error instanceof BadRules)) throw error;
  say(error.message);
  process.exitCode = 1;
}

import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensurePrograms } from "./debian-programs.ts";
import { run } from "./run.ts";
import { repositoryRoot } from "./stator-server.ts";

/** Debian's packages that the fixture apps of Ruby are made of. */
export const rubyPrograms = {
  bundle: "bundler",
  puma: "puma",
  ...Object.fromEntries(
    ["ruby-sinatra", "ruby-rails", "ruby-sprockets-rails", "ruby-sqlite3", "ruby-rack-test"].map(
      (name) => [`/usr/share/doc/${name}`, name],
    ),
  ),
};

const gems = ["sinatra", "puma", "rake", "rack-test", "rails", "sprockets-rails", "sqlite3"];

/** Makes a server of gems out of those that Debian has, as Bundler asks for them. */
export async function makeGemMirror(folder: string): Promise<void> {
  await ensurePrograms(rubyPrograms);
  await must(["ruby", join(import.meta.dir, "debian-gems.rb"), folder, ...gems], "/");
}

/**
 * Copies a fixture app into a temporary folder with a Gemfile that names where its gems come from, and
 * the lock file that Bundler makes of it: the repository itself names no server of gems.
 */
export async function lockedRubyFixture(name: string, address: string): Promise<string> {
  const folder = join(mkdtempSync(join(tmpdir(), `${name}-`)), "app");
  cpSync(join(repositoryRoot, "test/fixtures/apps", name), folder, { recursive: true });
  const gemfile = readFileSync(join(folder, "Gemfile"), "utf8");
  writeFileSync(join(folder, "Gemfile"), `source "${address}"\n\n${gemfile}`);
  await must(["bundle", "lock", "--add-platform", "ruby"], folder);
  return folder;
}

async function must(argv: string[], cwd: string): Promise<void> {
  const env = { PATH: "/usr/bin:/bin", HOME: cwd === "/" ? tmpdir() : join(cwd, "..") };
  const { status, stdout, stderr } = await run(argv, { cwd, env });
  if (status !== 0) throw new Error(`${argv.join(" ")}: ${stdout}${stderr}`);
}

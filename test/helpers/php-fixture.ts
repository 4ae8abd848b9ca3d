import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";
import { ensurePrograms } from "./debian-programs.ts";
import { run } from "./run.ts";
import { repositoryRoot } from "./stator-server.ts";

/** Libraries that Debian's packages have put into /usr/share/php, as Composer knows them. */
const libraries = [
  { name: "psr/log", version: "1.1.4", folder: "Psr/Log", prefix: "Psr\\Log\\", require: {} },
  {
    ...{ name: "monolog/monolog", version: "2.9.1", folder: "Monolog", prefix: "Monolog\\" },
    require: { "psr/log": "^1.0" },
  },
];

/** Installs what the fixture apps of PHP need of Debian. */
export async function ensurePhp(): Promise<void> {
  await ensurePrograms({
    php: "php-cli",
    composer: "composer",
    apache2: "apache2-bin",
    nginx: "nginx-light",
    "/usr/share/php/Monolog/Logger.php": "php-monolog",
    "/usr/share/php/Psr/Log/LoggerInterface.php": "php-psr-log",
  });
  const script = "echo PHP_MAJOR_VERSION, '.', PHP_MINOR_VERSION;";
  const version = (await execOk(["php", "-r", script])).trim();
  await ensurePrograms({
    [`php-fpm${version}`]: "php-fpm",
    [`/usr/share/php${version}-mbstring`]: "php-mbstring",
  });
}

/** Makes a repository of Composer out of Debian's libraries, in a folder that a web server shows. */
export async function makeComposerRepository(folder: string, address: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const packages: Record<string, Record<string, unknown>> = {};
  for (const { name, version, folder: source, prefix, require } of libraries) {
    const file = `${name.replace("/", "-")}.tar`;
    const work = mkdtempSync(join(tmpdir(), "composer-"));
    cpSync(join("/usr/share/php", source), join(work, "package"), { recursive: true });
    await execOk(["tar", "-C", work, "-cf", join(folder, file), "package"]);
    rmSync(work, { recursive: true });
    const shasum = createHash("sha1")
      .update(readFileSync(join(folder, file)))
      .digest("hex");
    packages[name] = {
      [version]: {
        ...{ name, version, require, autoload: { "psr-4": { [prefix]: "" } } },
        dist: { type: "tar", url: `${address}/${file}`, shasum },
      },
    };
  }
  writeFileSync(join(folder, "packages.json"), JSON.stringify({ packages }));
}

/** Copies a fixture app into a temporary folder, names the repository there, and lets Composer lock it. */
export async function lockedPhpFixture(name: string, address: string): Promise<string> {
  const folder = join(mkdtempSync(join(tmpdir(), `${name}-`)), "app");
  cpSync(join(repositoryRoot, "test/fixtures/apps", name), folder, { recursive: true });
  const file = join(folder, "composer.json");
  const manifest = JSON.parse(readFileSync(file, "utf8")) as object;
  const repositories = [{ type: "composer", url: address }, { "packagist.org": false }];
  const config = { "secure-http": false };
  writeFileSync(file, JSON.stringify({ ...manifest, repositories, config }, null, 2));
  const env = { PATH: "/usr/bin:/bin", HOME: join(folder, ".."), COMPOSER_ALLOW_SUPERUSER: "1" };
  const { status, stdout, stderr } = await run(
    ["composer", "update", "--no-install", "--no-interaction"],
    { cwd: folder, env },
  );
  if (status !== 0) throw new Error(`composer update: ${stdout}${stderr}`);
  return folder;
}

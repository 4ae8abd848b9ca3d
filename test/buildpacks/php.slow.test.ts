import { afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { openBench, type Bench } from "../helpers/buildpack-bench.ts";
import { ensurePhp } from "../helpers/php-fixture.ts";
import { run } from "../helpers/run.ts";

let bench: Bench;
beforeAll(ensurePhp);
beforeEach(async () => {
  bench = await openBench("php");
  bench.useStack();
});
afterEach(() => bench.close());

async function build(files: Record<string, string | object>) {
  for (const [file, text] of Object.entries(files)) await bench.write(file, text);
  return bench.compile();
}

const emptyLock = { packages: [], "packages-dev": [], "content-hash": "x", platform: {} };

for (const file of ["composer.json", "index.php"])
  test(`an app with ${file} is a PHP app`, async () => {
    await bench.write(`app/${file}`, "");
    expect(await bench.detect()).toMatchObject({ status: 0, stdout: "PHP\n" });
  });

test("an app without either is none", async () => {
  expect(await bench.detect()).toMatchObject({ status: 1, stdout: "" });
});

const refused: [what: string, files: Record<string, string | object>, message: string][] = [
  [
    "a composer.json that is none",
    { "app/composer.json": "{" },
    "composer.json is not valid JSON.",
  ],
  [
    "dependencies without a lock file",
    { "app/composer.json": { require: { "a/b": "*" } } },
    "There is a composer.json, but no composer.lock",
  ],
  [
    "a PHP that the machine does not have",
    {
      "app/composer.json": { require: { php: "^99" } },
      "app/composer.lock": { ...emptyLock, platform: { php: "^99" } },
    },
    "has what the app asks for; what Composer says of it stands above.",
  ],
  [
    "an extension that the machine does not have",
    {
      "app/composer.json": { require: { "ext-nonsense": "*" } },
      "app/composer.lock": { ...emptyLock, platform: { "ext-nonsense": "*" } },
    },
    "apt-get install php-NAME",
  ],
  [
    "a package that cannot be fetched",
    {
      "app/composer.json": { require: { "a/b": "1.0.0" }, config: { "secure-http": false } },
      "app/composer.lock": {
        ...emptyLock,
        packages: [
          {
            ...{ name: "a/b", version: "1.0.0", type: "library" },
            dist: { type: "tar", url: "http://127.0.0.1:9/a.tar", shasum: "" },
          },
        ],
      },
    },
    "`composer install --no-dev --prefer-dist --optimize-autoloader --no-progress` failed with status",
  ],
  [
    "a script that fails",
    { "app/composer.json": { scripts: { compile: "exit 7" } } },
    "`composer run-script --no-dev compile` failed with status 7.",
  ],
];
for (const [what, files, message] of refused)
  test(`${what} ends the build with what to do`, async () => {
    const { status, stdout, stderr } = await build(files);
    expect(stdout + stderr).toContain(message);
    expect(status).toBe(1);
  });

test("a package that is another one than the lock file says is not installed", async () => {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("rot") });
  try {
    const url = `${server.url.origin}/a.tar`;
    const dist = { type: "tar", url, shasum: "0".repeat(40) };
    const { status, stdout } = await build({
      "app/composer.json": { require: { "a/b": "1.0.0" }, config: { "secure-http": false } },
      "app/composer.lock": {
        ...emptyLock,
        packages: [{ name: "a/b", version: "1.0.0", type: "library", dist }],
      },
    });
    expect(stdout).toContain("The checksum verification of the file failed");
    expect(status).toBe(1);
    expect(await bench.exists("app/vendor/a")).toBe(false);
  } finally {
    await server.stop(true);
  }
});

test("files of PHP need no Composer, get a Procfile, and the extensions that the machine has", async () => {
  const { stdout, status } = await build({ "app/index.php": "<?php\n" });
  expect(status).toBe(0);
  expect(stdout).toMatch(/-----> Using PHP 8\.\d+\.\d+ of the stack\n {7}Extensions: .*mbstring/);
  expect(await bench.read("app/Procfile")).toBe("web: heroku-php-apache2\n");
  expect((await bench.release()).stdout).toContain("web: heroku-php-apache2");
});

for (const [procfile, present, message] of [
  [
    undefined,
    ["php-fpm"],
    "apt-get install apache2-bin; or the Procfile has: web: heroku-php-nginx",
  ],
  [
    "web: heroku-php-apache2 site/",
    [],
    "which this machine does not have.\n !     Its operator can install it: apt-get install php",
  ],
  ["web: vendor/bin/heroku-php-nginx", ["php-fpm"], "apt-get install nginx && systemctl disable"],
  ["web: vendor/bin/heroku-php-nginx", ["php-fpm", "nginx"], undefined],
  ["worker: php work.php", [], undefined],
] as const)
  test(`a machine with ${present.join(" and ") || "no server"} builds an app with ${procfile ?? "no Procfile"}, or says what is missing`, async () => {
    const { stdout: version } = await run([
      "php",
      "-r",
      "echo PHP_MAJOR_VERSION, '.', PHP_MINOR_VERSION;",
    ]);
    bench.env["STACK_SBIN"] = bench.path("sbin");
    for (const name of present)
      await bench.addProgram(`sbin/${name === "php-fpm" ? `php-fpm${version}` : name}`, "");
    const { stdout, status } = await build({
      "app/index.php": "<?php\n",
      ...(procfile && { "app/Procfile": `${procfile}\n` }),
    });
    if (message !== undefined) expect(stdout).toContain(message);
    expect(status).toBe(message === undefined ? 0 : 1);
  });

test("what a server is told and does not know, or has not, is told", async () => {
  await build({ "app/index.php": "<?php\n" });
  const serve = async (...args: string[]) =>
    run(["bash", bench.path("app/.heroku/php/bin/heroku-php-nginx"), ...args], {
      env: { PATH: "/usr/bin:/bin", HOME: bench.path("app"), PORT: "1" },
      cwd: bench.path("app"),
    });
  expect((await serve("-Z")).stderr).toContain("Usage: heroku-php-nginx [OPTIONS] [FOLDER]");
  expect(await serve("nowhere")).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("There is no folder 'nowhere' in this app.\n"),
  });
});

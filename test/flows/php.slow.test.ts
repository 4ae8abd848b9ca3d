import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { expectWarmPushAndBrokenChange } from "../helpers/fixture-app.ts";
import { type OutsideServer, startOutsideServer } from "../helpers/outside-server.ts";
import { ensurePhp, lockedPhpFixture, makeComposerRepository } from "../helpers/php-fixture.ts";
import { startStator, type StatorServer } from "../helpers/stator-server.ts";

let stator: StatorServer;
let outside: OutsideServer;
const made: string[] = [];
beforeAll(async () => {
  await ensurePhp();
  outside = await startOutsideServer();
  await makeComposerRepository(outside.path("composer"), `${outside.address}/composer`);
  stator = await startStator();
});
afterAll(async () => {
  await stator.stop();
  await outside.stop();
  for (const folder of made) rmSync(dirname(folder), { recursive: true, force: true });
});

test("an app of Composer's behind nginx is pushed and answers, again from a warm cache, and a broken change takes nothing", async () => {
  const folder = await lockedPhpFixture("php-composer", `${outside.address}/composer`);
  made.push(folder);
  const { app, first, again } = await expectWarmPushAndBrokenChange(stator, "php-composer", {
    ...{ folder, language: "PHP", hit: "Using Composer's packages from the cache" },
    broken: { "composer.lock": '{ "packages": [ { "name": "a/b" } ] }\n' },
    message: "Package a/b has no version defined.",
  });
  expect(first.text).toContain("Installing monolog/monolog (2.9.1)");
  expect(first.text).toContain("-----> Running the script `compile` of composer.json\n");
  expect(again.text).not.toContain("Downloading monolog/monolog");
  expect(await (await app.get("/compiled.txt")).text()).toBe("compiled");
  expect((await app.get("/../composer.json")).status).toBe(200);
  expect((await app.get("/.htaccess")).status).toBe(404);
  expect(await app.logs()).toContain("words.INFO: greeted php");
});

test("files of PHP behind Apache are pushed and answer without a Procfile", async () => {
  const app = await stator.createApp(`${import.meta.dir}/../fixtures/apps/php-plain`, "php-plain");
  const { text } = await app.push();
  expect(text).toContain("Procfile declares types -> web\n");
  expect(text).toContain("Verifying deploy... done.");
  expect(await (await app.get("/any/path?x=1")).text()).toBe("PHP says 42 of /any/path?x=1");
  for (const path of ["/.heroku/php/version", "/.profile.d/php.sh", "/.htaccess"])
    expect((await app.get(path)).status).toBe(404);
  // Names that Procfiles have had for longer, and a folder that is served.
  app.write({
    Procfile: "web: vendor/bin/heroku-php-apache2 site/\n",
    "site/index.php": "<?= PHP_SAPI ?>",
    "site/.htaccess": "RewriteEngine Off\n",
  });
  await app.commit();
  expect((await app.push()).text).toContain("Verifying deploy... done.");
  expect(await (await app.get("/")).text()).toBe("fpm-fcgi");
});

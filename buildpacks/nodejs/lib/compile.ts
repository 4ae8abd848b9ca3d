import { join } from "node:path";
import { openBuild, type Build } from "./build.ts";
import { BuildFailure } from "./build-failure.ts";
import { openCache } from "./cache.ts";
import {
  installDependencies,
  isNodeModulesCheckedIn,
  pruneDevDependencies,
} from "./dependencies.ts";
import { provideNode } from "./node-runtime.ts";
import { header, line, warn } from "./output.ts";
import { chooseManager, provideTools } from "./package-manager.ts";
import { writeExport, writeProfile } from "./runtime-files.ts";
import { runBuildScript, runHook } from "./scripts.ts";

async function compile(build: Build): Promise<void> {
  const manager = await chooseManager(build);
  const nodeModulesIsCheckedIn = await isNodeModulesCheckedIn(build);
  announceEnvironment(build);

  header("Installing binaries");
  const cache = await openCache(build, manager);
  const node = await provideNode(build);
  const tools = await provideTools(build, manager);
  const installed = { manager, version: tools.manager };

  header("Restoring cache");
  await cache.restore({ node, npm: tools.npm, [manager.name]: tools.manager });

  // Yarn 2 and later run no script before the first install, so npm runs this one.
  await runHook(build, "heroku-prebuild", "npm");
  header("Installing dependencies");
  await installDependencies(build, { ...installed, nodeModulesIsCheckedIn });
  header("Build");
  await runBuildScript(build, manager.name);
  header("Caching build");
  await cache.save();
  header("Pruning devDependencies");
  await pruneDevDependencies(build, installed);
  await runHook(build, "heroku-cleanup", manager.name);

  await writeProfile(build);
  await writeExport(build);
  await cache.close();
  await warnAboutStart(build);
  header("Build succeeded!");
}

function announceEnvironment({ env }: Build): void {
  header("Creating runtime environment");
  for (const name of ["NODE_ENV", "NODE_MODULES_CACHE", "NODE_VERBOSE", "NPM_CONFIG_LOGLEVEL"]) {
    if (env[name]) line(`${name}=${env[name]}`);
  }
}

async function warnAboutStart({ dir, packageJson }: Build): Promise<void> {
  if ("start" in packageJson.scripts) return;
  // `npm start` without a script runs server.js.
  for (const file of ["Procfile", "server.js"]) {
    if (await Bun.file(join(dir, file)).exists()) return;
  }
  warn(
    "This app may not say how to start: package.json has no start script, and there is no Procfile.\n" +
      'Add one of them, for example "scripts": { "start": "node index.js" }',
  );
}

try {
  await compile(await openBuild(Bun.argv.slice(2), process.env));
} catch (error) {
  process.exitCode = 1;
  if (error instanceof BuildFailure) warn(`Build failed\n\n${error.message}`);
  else warn(`The nodejs buildpack failed\n\n${String((error as Error)?.stack ?? error)}`);
}

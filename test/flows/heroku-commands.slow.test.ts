import { expect, test } from "bun:test";
import { compareCommands } from "../helpers/heroku-commands.ts";
import { npmPackages } from "../helpers/npm-programs.ts";

test("every command, alias and flag of Heroku's command line is here, or stands in the list of what is not", async () => {
  const { here, missing, outdated } = compareCommands(await npmPackages("heroku@11.10.0"));
  process.stdout.write(`${here} words of Heroku's command line are here\n`);
  expect(missing).toEqual([]);
  expect(outdated).toEqual([]);
  expect(here).toBeGreaterThan(400);
});

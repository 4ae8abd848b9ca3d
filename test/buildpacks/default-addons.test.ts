import { expect, test } from "bun:test";
import { readReleaseOutput } from "../../src/build/release-output.ts";
import { openBench } from "../helpers/buildpack-bench.ts";

const packages = "app/.heroku/python/lib/python3.13/site-packages";
const lock = (gem: string) => `GEM\n  specs:\n    ${gem} (1.5.4)\n`;
const pom = (group: string) =>
  `<project><dependency><groupId>${group}</groupId></dependency></project>`;

test.each<[what: string, buildpack: string, files: Record<string, string>, wants: boolean]>([
  [
    "Django with psycopg",
    "python",
    { [`${packages}/django/x.py`]: "", [`${packages}/psycopg2/x.py`]: "" },
    true,
  ],
  ["Django alone", "python", { [`${packages}/django/x.py`]: "" }, false],
  ["psycopg alone", "python", { [`${packages}/psycopg/x.py`]: "" }, false],
  ["the gem pg", "ruby", { "app/Gemfile.lock": lock("pg") }, true],
  ["the gem pgcli", "ruby", { "app/Gemfile.lock": lock("pgcli") }, false],
  ["the driver in pom.xml", "java", { "app/pom.xml": pom("org.postgresql") }, true],
  [
    "the driver in build.gradle",
    "java",
    { "app/build.gradle": "runtimeOnly 'org.postgresql:postgresql:42.7.4'" },
    true,
  ],
  ["another driver", "java", { "app/pom.xml": pom("com.mysql") }, false],
])(
  "of an app with %s, %s's buildpack says whether it wants a database",
  async (_, buildpack, files, wants) => {
    const bench = await openBench(buildpack);
    try {
      bench.useStack();
      for (const [file, text] of Object.entries(files)) await bench.write(file, text);
      const { addons, problems } = readReleaseOutput((await bench.release()).stdout);
      expect(addons).toEqual(wants ? ["heroku-postgresql"] : []);
      expect(problems).toEqual([]);
    } finally {
      await bench.close();
    }
  },
);

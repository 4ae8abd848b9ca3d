import { afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { openBench, type Bench } from "../helpers/buildpack-bench.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { rubyPrograms } from "../helpers/ruby-fixture.ts";

let bench: Bench;
beforeAll(() => ensurePrograms(rubyPrograms));
beforeEach(async () => {
  bench = await openBench("ruby");
  bench.useStack();
});
afterEach(() => bench.close());

/** A lock file with gems, and with what stands below other headings. */
function lock(gems: string[] = [], more = ""): string {
  const specs = gems.map((gem) => `    ${gem}\n`).join("");
  return `GEM\n  remote: http://127.0.0.1:9/\n  specs:\n${specs}\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n${more}`;
}

async function build(files: Record<string, string>) {
  const all = {
    "app/Gemfile": 'source "http://127.0.0.1:9/"\n',
    "app/Gemfile.lock": lock(),
    ...files,
  };
  for (const [file, text] of Object.entries(all)) await bench.write(file, text);
  return bench.compile();
}

test("an app with a Gemfile is a Ruby app, one without is none", async () => {
  expect(await bench.detect()).toMatchObject({ status: 1, stdout: "" });
  await bench.write("app/Gemfile", "");
  expect(await bench.detect()).toMatchObject({ status: 0, stdout: "Ruby\n" });
});

test("a Gemfile without its lock file ends the build with what to do", async () => {
  await bench.write("app/Gemfile", "");
  const { status, stdout } = await bench.compile();
  expect(stdout).toContain("There is a Gemfile, but no Gemfile.lock");
  expect(status).toBe(1);
});

const origins: [what: string, files: Record<string, string>, said: string][] = [
  [
    "Gemfile.lock first of all",
    {
      "app/Gemfile.lock": lock([], "\nRUBY VERSION\n   ruby 3.1.2p20\n"),
      "app/.ruby-version": "9.9.9\n",
    },
    "Using Ruby 3.1.2 specified in Gemfile.lock",
  ],
  [
    "the Gemfile",
    { "app/Gemfile": "ruby '~> 3.1.0'\n" },
    "Using Ruby ~> 3.1.0 specified in Gemfile",
  ],
  [
    "two bounds in the Gemfile",
    { "app/Gemfile": 'ruby ">= 3.0", "< 4"\n' },
    "Using Ruby >= 3.0, < 4 specified in Gemfile",
  ],
  [
    "a file that the Gemfile names",
    { "app/Gemfile": 'ruby file: ".ruby-version"\n', "app/.ruby-version": "ruby-3.1\n" },
    "Using Ruby 3.1 specified in Gemfile",
  ],
  [".ruby-version", { "app/.ruby-version": "3.1\n" }, "Using Ruby 3.1 specified in .ruby-version"],
  ["nothing", {}, "No Ruby version was specified: using the stack's 3.1"],
];
for (const [what, files, said] of origins)
  test(`the version is what ${what} says, and the stack's Ruby is used when it will do`, async () => {
    const { stdout } = await build(files);
    expect(stdout).toContain(`-----> ${said}`);
    expect(stdout).toMatch(/Using Ruby 3\.1\.\d+ of the stack; only the app's gems/);
    const next = await build({
      "app/Gemfile": 'source "http://127.0.0.1:9/"\n',
      "app/Gemfile.lock": lock(),
      "app/.ruby-version": "",
    });
    expect(next.stdout).toContain("Using Ruby 3.1 specified in the last build");
    expect(next.status).toBe(0);
  });

const refused: [what: string, files: Record<string, string>, message: string][] = [
  [
    "another Ruby than Ruby",
    { "app/Gemfile.lock": lock([], "\nRUBY VERSION\n   ruby 3.1.4p0 (jruby 9.4.8.0)\n") },
    "Only Ruby itself is built in.",
  ],
  [
    "a version that is none",
    { "app/.ruby-version": "latest\n" },
    ".ruby-version asks for Ruby 'latest', which is no version",
  ],
  [
    "a Ruby that neither the stack nor a vendor in reach has",
    { "app/.ruby-version": "3.9.1\n" },
    "An operator without access to it can set STATOR_RUBY_MIRROR",
  ],
  [
    "a gem that cannot be fetched",
    {
      "app/Gemfile": 'source "http://127.0.0.1:9/"\ngem "rack"\n',
      "app/Gemfile.lock": lock(["rack (2.2.22)"], "  rack\n"),
      "env/BUNDLE_RETRY": "0",
    },
    "`bundle install` failed with status",
  ],
  [
    "a lock file that is behind its Gemfile",
    { "app/Gemfile": 'source "http://127.0.0.1:9/"\ngem "rack"\n' },
    "`bundle install` failed with status",
  ],
];
for (const [what, files, message] of refused)
  test(`${what} ends the build with what to do`, async () => {
    bench.env["STATOR_RUBY_MIRROR"] = "http://127.0.0.1:9";
    const { status, stdout, stderr } = await build(files);
    expect(stdout + stderr).toContain(message);
    expect(status).toBe(1);
  });

const types: [what: string, gems: string[], files: string[], web: string | null][] = [
  [
    "Rails",
    ["railties (7.1.0)", "rack (3.0)", "rake (13.0)"],
    ["config.ru", "bin/rails"],
    "bin/rails server -p ${PORT:-5000} -e $RAILS_ENV",
  ],
  ["Rack", ["rack (3.0)"], ["config.ru"], "bundle exec rackup config.ru -p ${PORT:-5000}"],
  [
    "Thin",
    ["rack (1.6)", "thin (1.8)"],
    ["config.ru"],
    "bundle exec thin start -R config.ru -e $RACK_ENV -p ${PORT:-5000}",
  ],
  ["a library of Rack alone", ["rack-test (2.0)"], ["config.ru"], null],
];
for (const [what, gems, files, web] of types)
  test(`the process types of ${what} are Heroku's`, async () => {
    await bench.write("app/Gemfile.lock", lock(gems));
    for (const file of files) await bench.write(`app/${file}`, "");
    const { stdout } = await bench.release();
    const said = (Bun.YAML.parse(stdout) as { default_process_types: Record<string, string> })
      .default_process_types;
    expect(said["web"] ?? null).toBe(web);
    expect(said["rake"]).toBe(what === "Rails" ? "bundle exec rake" : (undefined as never));
    expect(said["console"]).toBe(what === "Rails" ? "bin/rails console" : "bundle exec irb");
  });

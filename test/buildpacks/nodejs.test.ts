import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { openBench, type Bench } from "../helpers/buildpack-bench.ts";
import { run } from "../helpers/run.ts";

let bench: Bench;

beforeEach(async () => {
  bench = await openBench("nodejs");
});

afterEach(async () => {
  await bench.close();
});

describe("bin/detect", () => {
  test("says Node.js when there is a package.json", async () => {
    await bench.write("app/package.json", {});
    expect(await bench.detect()).toMatchObject({ status: 0, stdout: "Node.js\n" });
  });

  test("refuses any other app, with a reason", async () => {
    const { status, stdout, stderr } = await bench.detect();
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("package.json");
  });
});

describe("bin/release", () => {
  const release = async (): Promise<unknown> => Bun.YAML.parse((await bench.release()).stdout);

  test("starts npm by default", async () => {
    expect(await release()).toEqual({ default_process_types: { web: "npm start" } });
    await bench.write("app/Procfile", "worker: node mcp.js\n");
    expect(await release()).toEqual({ default_process_types: { web: "npm start" } });
  });

  test("starts nothing unasked in an app with mcp processes", async () => {
    await bench.write("app/Procfile", "mcp-tools: node mcp.js\n");
    expect(await release()).toEqual({});
  });
});

describe("bin/compile", () => {
  beforeEach(async () => {
    await useStack("24.19.0");
    await bench.write("app/Procfile", "web: node server.js\n");
  });

  test("an app without dependencies needs no installation", async () => {
    await bench.write("app/package.json", { name: "plain" });
    await bench.compile();
    const { status, stdout } = await bench.compile();
    expect(stdout).toContain("Using Node.js 24.19.0 of the stack; nothing is added to the slug");
    expect(stdout).toContain("nothing to install");
    expect(stdout).toEndWith("-----> Build succeeded!\n");
    expect(status).toBe(0);
    expect(await bench.exists("app/.heroku")).toBe(false);
    expect(await calls()).toEqual([]);
  });

  test("every line is an arrow, moved in, or marked", async () => {
    await useStack("21.1.0", 'echo one; echo two >&2; printf "no newline"');
    await bench.write("app/package.json", { engines: { node: "*" }, scripts: { build: "x" } });
    const { stdout } = await bench.compile();
    expect(stdout.split("\n").filter((row) => !/^(-----> |       | !     |$)/.test(row))).toEqual(
      [],
    );
    expect(stdout).toContain("       one\n       two\n       no newline\n-----> ");
    expect(stdout).toContain(" !     Node.js 21.1.0 is not a supported release line");
  });

  test("what makes a program Bun is not handed on: it would be each that Bun has compiled", async () => {
    await useStack("24.19.0", 'echo "as $BUN_BE_BUN."');
    await bench.write("app/package.json", { scripts: { build: "x" } });
    bench.env["BUN_BE_BUN"] = "1";
    expect((await bench.compile()).stdout).toContain("       as .\n");
  });

  test("a build that leaves a process in the background ends all the same", async () => {
    await useStack("24.19.0", "/usr/bin/sleep 600 & echo $! > background; echo built");
    await bench.write("app/package.json", { scripts: { build: "x" } });
    const { status, stdout } = await bench.compile();
    await run(["kill", (await bench.read("app/background")).trim()]);
    expect(stdout).toContain("       built\n");
    expect(stdout).toEndWith("-----> Build succeeded!\n");
    expect(status).toBe(0);
  });

  test("a stack that is used because no mirror answers is warned of once", async () => {
    await useStack("20.1.0");
    bench.env["STATOR_NODE_MIRROR"] = "http://127.0.0.1:1";
    await bench.write("app/package.json", { name: "plain" });
    const { status, stdout } = await bench.compile();
    expect(stdout.split("Node.js 20.1.0 is not a supported release line")).toHaveLength(2);
    expect(status).toBe(0);
  });

  test("a package.json that is not JSON is told with its place", async () => {
    await bench.write("app/package.json", '{\n  "name": "x",\n}\n');
    const { status, stdout } = await bench.compile();
    expect(status).toBe(1);
    expect(stdout).toContain(
      " !     package.json is not valid JSON: line 3, column 1, at\n !       }\n",
    );
  });

  test("a package.json that is no object, and an engine that is no version, are told", async () => {
    await bench.write("app/package.json", "[]");
    expect(await bench.compile()).toMatchObject({ status: 1 });
    await bench.write("app/package.json", { engines: { node: "lts" } });
    expect((await bench.compile()).stdout).toContain(
      ' !     engines.node in package.json is "lts"',
    );
    await bench.write("app/package.json", { packageManager: "pnpm@file:../x" });
    expect((await bench.compile()).stdout).toContain('asks for pnpm "file:../x"');
  });

  test("two lock files are refused", async () => {
    await bench.write("app/package.json", {});
    await bench.write("app/package-lock.json", {});
    await bench.write("app/yarn.lock", "");
    const { status, stdout } = await bench.compile();
    expect(status).toBe(1);
    expect(stdout).toContain("Two different lock files found: package-lock.json and yarn.lock.");
  });

  test("hooks, installation, build and pruning come in Heroku's order", async () => {
    const scripts = ["heroku-cleanup", "build", "heroku-postbuild", "heroku-prebuild"];
    await bench.write("app/package.json", {
      scripts: Object.fromEntries(scripts.map((name) => [name, "true"])),
      devDependencies: { typescript: "5" },
    });
    await bench.write("app/package-lock.json", {});
    await bench.write("env/NODE_BUILD_FLAGS", "--mode staging");
    expect((await bench.compile()).status).toBe(0);
    expect(await calls()).toEqual([
      "npm run heroku-prebuild",
      "npm ci --prefer-offline --include=dev",
      "npm run heroku-postbuild -- --mode staging",
      "npm prune",
      "npm run heroku-cleanup",
    ]);
  });

  test("without a lock file npm installs; with checked-in modules it rebuilds first", async () => {
    await bench.write("app/package.json", { dependencies: { ms: "2" } });
    await bench.compile();
    await bench.write("app/node_modules/ms/package.json", {});
    await bench.write("app/package-lock.json", {});
    const { stdout } = await bench.compile();
    expect(stdout).toContain(" !     node_modules is checked into the repository");
    expect(await calls()).toEqual([
      "npm install --include=dev",
      "npm rebuild",
      "npm install --include=dev",
    ]);
  });

  const pruning: [vars: Record<string, string>, install: string, said: string][] = [
    [{ NODE_ENV: "staging" }, "npm ci --prefer-offline --include=dev", 'NODE_ENV is "staging"'],
    [{ NPM_CONFIG_PRODUCTION: "false" }, "npm ci --prefer-offline", "NPM_CONFIG_PRODUCTION is set"],
    [{ USE_NPM_INSTALL: "true" }, "npm install --include=dev", ""],
  ];
  for (const [vars, install, said] of pruning) {
    test(`${JSON.stringify(vars)} is obeyed`, async () => {
      await bench.write("app/package.json", { devDependencies: { typescript: "5" } });
      await bench.write("app/package-lock.json", {});
      for (const [name, value] of Object.entries(vars)) await bench.write(`env/${name}`, value);
      expect((await bench.compile()).stdout).toContain(said);
      expect(await calls()).toEqual([install, ...(said ? [] : ["npm prune"])]);
    });
  }

  test("config vars reach the hooks, except those that would break the build", async () => {
    await useStack(
      "24.19.0",
      'echo "[$SECRET] [$GIT_DIR] [$LD_PRELOAD] [$NODE_OPTIONS] [$NODE_ENV]"',
    );
    await bench.write("app/package.json", { scripts: { build: "x" } });
    const value = "a $b 'c' \"d\"\nsecond line";
    const vars = {
      SECRET: value,
      GIT_DIR: "/nowhere",
      LD_PRELOAD: "/nowhere.so",
      PATH: "/nowhere",
      NODE_OPTIONS: "--require newrelic -r ./trace.js --inspect=0.0.0.0:9229 --no-warnings",
    };
    for (const [name, content] of Object.entries(vars)) await bench.write(`env/${name}`, content);
    const { status, stdout } = await bench.compile();
    expect(stdout).toContain(
      `       [${value.replace("\n", "\n       ")}] [] [] [--no-warnings --max_old_space_size=2560] [production]\n`,
    );
    expect(stdout).toContain("NODE_OPTIONS preloads modules");
    expect(status).toBe(0);
  });

  test("what the operator set for the build reaches npm unharmed", async () => {
    await useStack("24.19.0", 'echo "$npm_config_registry $HTTPS_PROXY $NODE_EXTRA_CA_CERTS"');
    await bench.write("app/package.json", { scripts: { build: "x" } });
    await bench.write("ca.pem", "");
    delete bench.env["NODE_EXTRA_CA_CERTS"];
    bench.env["npm_config_registry"] = "http://127.0.0.1:4873/";
    bench.env["HTTPS_PROXY"] = "http://127.0.0.1:3128";
    bench.env["SSL_CERT_FILE"] = bench.path("ca.pem");
    expect((await bench.compile()).stdout).toContain(
      `       http://127.0.0.1:4873/ http://127.0.0.1:3128 ${bench.path("ca.pem")}\n`,
    );
  });

  test("a failing script fails the build, with its status and a hint", async () => {
    await useStack("24.19.0", "echo 'Error: Cannot find module foo' >&2; exit 3");
    await bench.write("app/package.json", { scripts: { build: "x" } });
    const { status, stdout } = await bench.compile();
    expect(status).toBe(1);
    expect(stdout).toContain(
      " !     `npm run build` failed with status 3.\n !     Something that the build",
    );
    expect(stdout).not.toContain("Build succeeded");
  });

  test("cacheDirectories come back, until the stack changes or the cache is off", async () => {
    await bench.write("app/package.json", { cacheDirectories: ["made", "../outside"] });
    await bench.write("app/made/file", "kept");
    expect((await bench.compile()).stdout).toContain(
      'cacheDirectories: "../outside" is not a folder',
    );
    const forget = async () => await run(["rm", "-rf", bench.path("app/made")]);

    await forget();
    await bench.compile();
    expect(await bench.read("app/made/file")).toBe("kept");

    await forget();
    await bench.write("env/NODE_MODULES_CACHE", "false");
    await bench.compile();
    expect(await bench.exists("app/made/file")).toBe(false);

    await bench.write("env/NODE_MODULES_CACHE", "true");
    bench.env["STACK"] = "stator-26";
    expect((await bench.compile()).stdout).toContain("Cache dropped");
    expect(await bench.exists("app/made/file")).toBe(false);
  });

  test("an app that does not say how to start is warned", async () => {
    await run(["rm", bench.path("app/Procfile")]);
    await bench.write("app/package.json", {});
    expect((await bench.compile()).stdout).toContain("may not say how to start");
    await bench.write("app/package.json", { scripts: { start: "node x.js" } });
    expect((await bench.compile()).stdout).not.toContain("may not say how to start");
  });

  test("a node without npm in the stack does not count", async () => {
    await run(["rm", bench.path("bin/npm")]);
    await bench.write("app/package.json", {});
    bench.env["STATOR_NODE_MIRROR"] = "http://127.0.0.1:1";
    const { stdout } = await bench.compile();
    expect(stdout).toContain("The stack has Node.js 24.19.0, but no npm: not used.");
    expect(stdout).toContain("STATOR_NODE_MIRROR");
  });
});

describe(".profile.d/WEB_CONCURRENCY.sh", () => {
  const megabyte = 1024 * 1024;
  const cases: [limit: string, vars: Record<string, string>, shown: string][] = [
    [`${512 * megabyte}`, {}, "512 512 1"],
    [`${2560 * megabyte}`, {}, "2560 512 5"],
    [`${2560 * megabyte}`, { WEB_MEMORY: "1024" }, "2560 1024 2"],
    [`${2560 * megabyte}`, { WEB_CONCURRENCY: "7" }, "2560 512 7"],
    [`${256 * megabyte}`, {}, "256 512 1"],
    [`${900 * 1024 * megabyte}`, {}, "921600 512 200"],
    ["max", {}, "512 512 1"],
    ["9223372036854771712", {}, "512 512 1"],
    [`${1024 * megabyte}`, { WEB_MEMORY: "much" }, "1024 much 2"],
  ];

  for (const file of ["memory/memory.limit_in_bytes", "memory.max"]) {
    for (const [limit, vars, shown] of cases) {
      test(`${file} ${limit} ${JSON.stringify(vars)} → ${shown}`, async () => {
        await bench.write(`cgroup/${file}`, `${limit}\n`);
        const script = (await bench.read("buildpack/profile/WEB_CONCURRENCY.sh")).replaceAll(
          "/sys/fs/cgroup",
          bench.path("cgroup"),
        );
        const env = { ...bench.env, ...vars };
        const tell = `${script}\necho "$MEMORY_AVAILABLE $WEB_MEMORY $WEB_CONCURRENCY"`;
        expect(await run(["bash", "-c", tell], { env })).toMatchObject({
          status: 0,
          stdout: `${shown}\n`,
          stderr: "",
        });
      });
    }
  }
});

/** A stack with a node and an npm that are shell scripts; npm notes its calls and does what `onRun` says. */
async function useStack(version: string, onRun = "true"): Promise<void> {
  await bench.addProgram("bin/node", `echo v${version}`);
  await bench.write("npm/package.json", { name: "npm", version: "11.6.2" });
  await bench.addProgram(
    "npm/bin/npm-cli.js",
    `echo "npm $*" >> ${bench.path("calls")}\ncase "$1" in run) ${onRun} ;; esac`,
  );
  await run(["ln", "-sf", bench.path("npm/bin/npm-cli.js"), bench.path("bin/npm")]);
}

async function calls(): Promise<string[]> {
  if (!(await bench.exists("calls"))) return [];
  return (await bench.read("calls")).trim().split("\n");
}

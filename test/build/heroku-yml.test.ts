import { expect, test } from "bun:test";
import { BadManifest, onlyDockerfile, parseHerokuYml } from "../../src/build/heroku-yml.ts";

const whole = `setup:
  addons:
    - plan: heroku-postgresql
      as: DATABASE
  config:
    S3_BUCKET: my-bucket
build:
  docker:
    web: Dockerfile
    worker:
      dockerfile: worker/Dockerfile
      target: production
  config:
    RAILS_ENV: production
    LEVEL: 3
    FAST: true
release:
  command:
    - ./migrate.sh
    - ./seed.sh --all
  image: worker
run:
  web: bundle exec puma -C config/puma.rb && echo *.rb &
  clock:
    command:
      - python clock.py
    image: worker
`;

test("all of its documented keys are understood", () => {
  expect(parseHerokuYml(whole)).toEqual({
    builds: [
      { type: "web", dockerfile: "Dockerfile", target: null },
      { type: "worker", dockerfile: "worker/Dockerfile", target: "production" },
    ],
    buildArguments: { RAILS_ENV: "production", LEVEL: "3", FAST: "true" },
    commands: {
      web: { command: "bundle exec puma -C config/puma.rb && echo *.rb &", image: "web" },
      clock: { command: "python clock.py", image: "worker" },
      release: { command: "./migrate.sh && ./seed.sh --all", image: "worker" },
    },
  });
});

test("what names no image runs on its own, else on the web's, else on the first", () => {
  const images = (types: string[]) => {
    const docker = types.map((type) => `    ${type}: Dockerfile`).join("\n");
    const text = `build:\n  docker:\n${docker}\nrun:\n  clock: x\n  b: y\nrelease:\n  command: z\n`;
    const { commands } = parseHerokuYml(text);
    return Object.values(commands).map(({ image }) => image);
  };
  expect(images(["a", "web"])).toEqual(["web", "web", "web"]);
  expect(images(["a", "b"])).toEqual(["a", "b", "a"]);
});

test("a Dockerfile alone is the web", () => {
  expect(onlyDockerfile().builds).toEqual([
    { type: "web", dockerfile: "Dockerfile", target: null },
  ]);
});

test("what cannot be used is named", () => {
  const build = "build:\n  docker:\n    web: Dockerfile\n";
  for (const [text, message] of [
    ["", "it: must be an object with build in it"],
    ["[]", "it: must be an object with build in it"],
    ["a: [", "it is no YAML"],
    ["run:\n  web: x\n", "build: must be there, with docker in it"],
    ["build:\n  docker: {}\n", "build.docker: must name a Dockerfile"],
    ["build:\n  docker:\n    web: ../Dockerfile\n", "without .."],
    ["build:\n  docker:\n    web: a/../../Dockerfile\n", "without .."],
    ["build:\n  docker:\n    web: /etc/passwd\n", "below the app's root"],
    ["build:\n  docker:\n    a;b: Dockerfile\n", "build.docker.a;b"],
    ["build:\n  docker:\n    web:\n      dockerfile: D\n      target: --x\n", "build.docker.web"],
    [`${build}  config:\n    A-B: x\n`, "build.config.A-B"],
    [`${build}  languages: [ruby]\n`, "build: has what is not known there (languages)"],
    [
      `${build}run:\n  x:\n    image: y\n    command: z\n`,
      "run.x.image: y is none of build.docker (web)",
    ],
    [`${build}run:\n  web: "a\\0b"\n`, "run.web"],
    [`${build}run:\n  web: ""\n`, "run.web"],
    ["x".repeat(70_000), "at most 64 KB"],
    [`${build}release:\n  image: nowhere\n`, "release.image: nowhere"],
  ] as const) {
    const problem = (() => {
      try {
        return parseHerokuYml(text);
      } catch (error) {
        return error;
      }
    })();
    expect(problem).toBeInstanceOf(BadManifest);
    expect((problem as Error).message).toContain(message);
  }
});

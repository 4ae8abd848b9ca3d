import { expect, test } from "bun:test";
import { commandOf } from "../../src/dyno/one-offs.ts";

const slug = { processTypes: { web: "node server.js", rake: "bundle exec rake" } };

test("clause 22: a process type as the first word stands for its command, the rest is appended", () => {
  expect(commandOf(slug, "rake db:migrate --trace")).toBe("bundle exec rake db:migrate --trace");
  expect(commandOf(slug, "web")).toBe("node server.js");
});

test("any other command is run as it is, also one that is called like a part of every object", () => {
  for (const command of ["bash", "node -e 'web'", "constructor", "__proto__ x", ""])
    expect(commandOf(slug, command)).toBe(command);
});

import { afterAll, expect, test } from "bun:test";
import { createBuildpackNames } from "../../src/build/buildpack-names.ts";

const asked: string[] = [];
const server = Bun.serve({
  port: 0,
  fetch({ method, url }) {
    const { pathname } = new URL(url);
    asked.push(`${method} ${pathname}`);
    const status = { "/acme/pack.tgz": 200, "/acme/broken.tgz": 500 }[pathname] ?? 403;
    return new Response(null, { status });
  },
});
afterAll(() => server.stop(true));

const builtIn = ["nodejs", "python", "gradle"];
const { refuseUnknown } = createBuildpackNames({ registry: server.url.origin, builtIn });
const alone = createBuildpackNames({ registry: "http://127.0.0.1:9", builtIn });
const refusal = (texts: string[], registry = { refuseUnknown }) =>
  registry.refuseUnknown(texts).then(
    () => undefined,
    (error: Error) => error.message,
  );

test("built-in names, Heroku's own and addresses are taken unasked", async () => {
  asked.length = 0;
  const names = ["heroku/nodejs", "urn:buildpack:heroku/gradle", "heroku/jvm"];
  expect(await refusal([...names, "https://github.com/o/r#v1"])).toBeUndefined();
  expect(asked).toEqual([]);
});

test("a name that the registry has is taken, and one that it does not have is refused with its repository", async () => {
  expect(await refusal(["acme/pack"])).toBeUndefined();
  expect(asked.at(-1)).toBe("HEAD /acme/pack.tgz");
  expect(await refusal(["acme/pack", "acme/none"])).toBe(
    "acme/none is not in the buildpack registry. A repository is set by its address: https://github.com/acme/none",
  );
});

test("a mistyped name is refused with the one that is meant", async () => {
  expect(await refusal(["heroku/ndoejs"])).toEndWith("Did you mean heroku/nodejs?");
  expect(await refusal(["hreoku/python"])).toEndWith("Did you mean heroku/python?");
  expect(await refusal(["heroku/nonsense"])).toBe(
    "heroku/nonsense is not in the buildpack registry. Built in are heroku/nodejs, heroku/python, heroku/gradle; all others are set by their address: https://github.com/OWNER/REPO",
  );
});

test("where the registry does not say, a stranger's name is taken and nonsense of heroku/ is not", async () => {
  expect(await refusal(["acme/broken"])).toBeUndefined();
  expect(await refusal(["acme/none"], alone)).toBeUndefined();
  expect(await refusal(["heroku/jvm"], alone)).toBeUndefined();
  expect(await refusal(["heroku/nonsense"], alone)).toContain("not in the buildpack registry");
});

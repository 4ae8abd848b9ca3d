import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { lockedPythonFixture } from "../helpers/python-fixture.ts";
import { repositoryRoot, startStator, type StatorServer } from "../helpers/stator-server.ts";

let stator: StatorServer;
const made: string[] = [];
beforeAll(async () => {
  stator = await startStator();
});
afterAll(async () => {
  for (const folder of made) rmSync(dirname(folder), { recursive: true, force: true });
  await stator.stop();
});

async function fixture(name: string): Promise<string> {
  if (name === "pip" || name === "django")
    return join(repositoryRoot, "test/fixtures/apps", `python-${name}`);
  const folder = await lockedPythonFixture(name as "uv");
  made.push(folder);
  return folder;
}

const broken: Record<string, [file: string, text: string, message: string]> = {
  pip: ["requirements.txt", "flask==0.0.0.0.1\n", "`python -m pip install"],
  pipenv: ["Pipfile", '[packages]\nflask = "==3.0.0"\n', "`pipenv install --deploy` failed"],
  poetry: ["pyproject.toml", "[project]\nname = 'x'\nversion = '2'\n", "`poetry sync"],
  uv: ["pyproject.toml", "[project]\nname='x'\nversion='2'\ndependencies=['six']\n", "`uv sync"],
  django: ["shop/settings.py", "raise RuntimeError('no settings')\n", "could not be collected"],
};

for (const name of ["pip", "pipenv", "poetry", "uv", "django"])
  test(`an app of ${name} is pushed and answers, again from a warm cache, and a broken change takes nothing`, async () => {
    const app = await stator.createApp(await fixture(name), `python-${name}`);
    if (name === "django") await app.api("PATCH", "/config-vars", { SECRET_KEY: "s3cr3t-s3cr3t" });
    const expected = (await Bun.file(
      join(repositoryRoot, `test/fixtures/apps/python-${name}/expect.json`),
    ).json()) as { path: string; body?: string; bodyIncludes?: string };
    const answers = async () => {
      const response = await app.get(expected.path);
      expect(response.status).toBe(200);
      expect(await response.text()).toContain(expected.body ?? expected.bodyIncludes ?? "");
    };
    const first = await app.push();
    expect(first.text).toContain("Verifying deploy... done.");
    await answers();
    await app.commit("Again");
    const again = await app.push();
    expect(again.text).toContain("Restored .heroku/python from the cache");
    expect(again.text).toContain("Verifying deploy... done.");
    await answers();
    const [file, text, message] = broken[name] as [string, string, string];
    app.write({ [file]: text });
    await app.commit("Broken");
    const failed = await app.push();
    expect(failed.text).toContain(message);
    expect(failed.text).toContain("Push rejected, failed to compile Python app.");
    expect(failed.text).not.toContain("s3cr3t");
    await answers();
  });

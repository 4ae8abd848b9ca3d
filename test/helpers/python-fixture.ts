import { cpSync, mkdtempSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import versions from "../../buildpacks/python/versions.json";
import { run } from "./run.ts";
import { repositoryRoot } from "./stator-server.ts";

type Manager = "pipenv" | "poetry" | "uv";

/**
 * Copies the fixture app of a package manager into a temporary folder, and lets the manager make the
 * lock file there: a lock file names the registry that this machine uses, which the repository does not.
 */
export async function lockedPythonFixture(manager: Manager): Promise<string> {
  const work = mkdtempSync(join(tmpdir(), `python-${manager}-`));
  const folder = join(work, "app");
  cpSync(join(repositoryRoot, "test/fixtures/apps", `python-${manager}`), folder, {
    recursive: true,
  });
  const tool = join(work, "tool");
  await must(["/usr/bin/python3", "-m", "venv", tool], work);
  const python = join(tool, "bin/python");
  await must([python, "-m", "pip", "install", "-q", `${manager}==${versions[manager]}`], work);
  if (manager === "poetry") {
    // Poetry reads its usual registry by an interface that mirrors do not have, unless it is named.
    const script = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)";
    const url = (await must([python, "-c", script], work)).trim();
    const source = `\n[[tool.poetry.source]]\nname = "mirror"\nurl = "${url}"\npriority = "primary"\n`;
    await appendFile(join(folder, "pyproject.toml"), source);
  }
  const lock = { pipenv: ["lock"], poetry: ["lock", "-n"], uv: ["lock", "--python", python] };
  await must([join(tool, "bin", manager), ...lock[manager]], folder);
  await must(["rm", "-rf", tool], work);
  return folder;
}

async function must(argv: string[], cwd: string): Promise<string> {
  // The virtual environment of pipenv itself lies beside the app, not in somebody's home.
  const env = { ...process.env, HOME: join(cwd, ".."), WORKON_HOME: join(cwd, "../venvs") };
  const { status, stdout, stderr } = await run(argv, { cwd, env });
  if (status !== 0) throw new Error(`${argv.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

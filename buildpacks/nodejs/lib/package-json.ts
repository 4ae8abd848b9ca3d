import { join } from "node:path";
import { BuildFailure } from "./build-failure.ts";
import { findJsonError } from "./json-error.ts";

/** The parts of a package.json that decide how an app is built. */
export type PackageJson = {
  engines: Record<string, string>;
  scripts: Record<string, string>;
  packageManager: string | undefined;
  cacheDirectories: string[] | undefined;
  hasDependencies: boolean;
  hasDevDependencies: boolean;
  hasWorkspaces: boolean;
};

export async function readPackageJson(buildDir: string): Promise<PackageJson> {
  const text = (await Bun.file(join(buildDir, "package.json")).text()).replace(/^\uFEFF/, "");
  const position = findJsonError(text);
  if (position) {
    const { line, column } = position;
    const found = text.split("\n")[line - 1]?.trim() || "(the end of the file)";
    throw new BuildFailure(
      `package.json is not valid JSON: line ${line}, column ${column}, at\n  ${found}\n` +
        "Correct it there, commit and push again.",
    );
  }

  const content: unknown = JSON.parse(text);
  if (!isObject(content)) throw new BuildFailure("package.json must hold one JSON object: { … }");

  const kinds = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];
  const cacheDirectories = content["cacheDirectories"] ?? content["cache_directories"];
  return {
    engines: stringsOf(content["engines"]),
    scripts: stringsOf(content["scripts"]),
    packageManager:
      typeof content["packageManager"] === "string" ? content["packageManager"] : undefined,
    cacheDirectories: Array.isArray(cacheDirectories)
      ? cacheDirectories.filter((directory) => typeof directory === "string")
      : undefined,
    hasDependencies: kinds.some((kind) => Object.keys(stringsOf(content[kind])).length > 0),
    hasDevDependencies: Object.keys(stringsOf(content["devDependencies"])).length > 0,
    hasWorkspaces: content["workspaces"] !== undefined,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function stringsOf(value: unknown): Record<string, string> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string",
    ),
  );
}

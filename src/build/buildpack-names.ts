import { nearest } from "../lib/nearest.ts";
import { PlatformError } from "../lib/platform-error.ts";
import { buildpackSource, readBuildpackName } from "../model/buildpack-source.ts";

/** Names of Heroku's own that exist, also where the registry cannot be asked. */
const herokuNames = "clojure dotnet exec go gradle java jvm nodejs php python ruby scala".split(
  " ",
);
const askTimeoutMs = 5000;

/** Knows which names are buildpacks: built-in ones, and those that the registry has. */
export function createBuildpackNames({
  registry,
  builtIn,
}: {
  registry: string;
  builtIn: string[];
}) {
  const ofHeroku = [...new Set([...builtIn, ...herokuNames])];

  async function isKnown(namespace: string, name: string): Promise<boolean> {
    const isHeroku = namespace === "heroku" && ofHeroku.includes(name);
    if (isHeroku) return true;
    // A registry that does not answer knows no less than when the app is built.
    return (await isThere(`${registry}/${namespace}/${name}.tgz`)) ?? namespace !== "heroku";
  }

  /** Throws for a name that means nothing, with what may be meant. Addresses are asked when they are fetched. */
  async function refuseUnknown(texts: string[]): Promise<void> {
    for (const { text } of texts.map(readBuildpackName)) {
      const source = buildpackSource(text);
      if (source.kind !== "named" || (await isKnown(source.namespace, source.name))) continue;
      throw new PlatformError(
        "invalid_params",
        `${text} is not in the buildpack registry. ${suggestion(text, builtIn)}`,
      );
    }
  }

  return { refuseUnknown };
}

function suggestion(text: string, builtIn: string[]): string {
  const names = builtIn.map((name) => `heroku/${name}`);
  // Only the half of the name that may be wrong is compared.
  const [, own] = text.split("heroku/");
  const guess = own === undefined ? nearest(text, names) : nearest(own, builtIn);
  if (guess !== undefined) return `Did you mean heroku/${guess.replace("heroku/", "")}?`;
  if (!text.startsWith("heroku/"))
    return `A repository is set by its address: https://github.com/${text}`;
  return `Built in are ${names.join(", ")}; all others are set by their address: https://github.com/OWNER/REPO`;
}

/** Whether there is such a file; `undefined` when nobody says so. */
async function isThere(url: string): Promise<boolean | undefined> {
  try {
    const signal = AbortSignal.timeout(askTimeoutMs);
    const { ok, status } = await fetch(url, { method: "HEAD", signal });
    // Stores of files that may not be listed say 403 of what they do not have.
    return ok ? true : [403, 404, 410].includes(status) ? false : undefined;
  } catch {
    return undefined;
  }
}

import { type Context, Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { version } from "../../lib/version.ts";
import { readBuildpackName } from "../../model/buildpack-source.ts";
import { answers } from "../answers.ts";
import { query } from "../body.ts";
import { anyone, type ApiEnvironment } from "../policy.ts";
import { stableId } from "../stable-id.ts";

const buildpackAnswer = z.object({
  blob_url: z.string(),
  category: z.string(),
  description: z.string(),
  id: z.string(),
  name: z.string(),
  namespace: z.string(),
  source: z.object({ type: z.string() }),
  support: z.object({ address: z.string(), method: z.string() }),
  two_factor_authentication: z.boolean(),
});

const revisionAnswer = z.object({
  created_at: z.string(),
  id: z.string(),
  license: z.string(),
  release: z.int(),
  status: z.literal("published"),
});

const words = z.union([z.array(z.string()), z.string().transform((word) => [word])]).optional();
const wanted = z.object({
  "in[namespace][]": words,
  "in[name][]": words,
  "like[description]": z.string("must stand there once").optional(),
});

type Buildpack = z.input<typeof buildpackAnswer>;

/**
 * Heroku's registry of buildpacks, which its command line asks without a token: what is built in here
 * is listed. Other names are taken as they are, since a build gets them from Heroku's own registry.
 */
export const buildpackRegistryApi = () =>
  new Hono<ApiEnvironment>()
    .get("/buildpacks", anyone(), answers(z.array(buildpackAnswer)), query(wanted), (c) =>
      c.json(search(c.req.valid("query"))),
    )
    .get("/buildpacks/:buildpack", anyone(), answers(buildpackAnswer), (c) => {
      const { text } = readBuildpackName(c.req.param("buildpack"));
      return c.json(builtIn.find((one) => one.blob_url === text) ?? present(text, ""));
    })
    .get("/buildpacks/:buildpack/revisions", anyone(), answers(z.array(revisionAnswer)), (c) => {
      const id = stableId("buildpack-revision", findBuiltIn(c).blob_url, version);
      const created_at = "2026-01-01T00:00:00.000Z";
      return c.json([{ created_at, id, license: "MIT", release: 1, status: "published" as const }]);
    })
    .get("/buildpacks/:buildpack/readme", anyone(), (c) => {
      const { description } = findBuiltIn(c);
      const text = `Built into this server (stator ${version}). ${description}.`;
      return c.json({ content: Buffer.from(text).toString("base64"), encoding: "base64" });
    });

/** What the built-in buildpacks of the namespace `heroku` are for, to who searches for one. */
const subjects = {
  ruby: "Ruby: Rails, Rack, Bundler",
  php: "PHP: Composer, Apache or nginx",
  nodejs: "Node.js: npm, Yarn, pnpm, Bun",
  clojure: "Clojure: Leiningen, the Clojure CLI",
  python: "Python: pip, Pipenv, Poetry, uv",
  java: "Java: Maven, Gradle",
  scala: "Scala: sbt",
  go: "Go: modules",
  static: "Static sites: files, served by nginx",
};

const builtIn = Object.entries(subjects).map(([name, subject]) =>
  present(`heroku/${name}`, subject),
);

/** A name is its own address: a build knows where to get it. */
function present(text: string, description: string): Buildpack {
  const [namespace = "", name = ""] = text.split("/");
  return {
    blob_url: text,
    category: "languages",
    description,
    id: stableId("buildpack", text),
    name,
    namespace,
    source: { type: "built-in" },
    support: { address: "", method: "unsupported" },
    two_factor_authentication: false,
  };
}

/** Those for which all that is asked holds. */
function search(asked: z.output<typeof wanted>): Buildpack[] {
  const { "in[namespace][]": namespaces, "in[name][]": names } = asked;
  const words = (asked["like[description]"] ?? "").toLowerCase();
  return builtIn.filter(
    ({ namespace, name, description }) =>
      (namespaces?.includes(namespace) ?? true) &&
      (names?.includes(name) ?? true) &&
      description.toLowerCase().includes(words),
  );
}

function findBuiltIn(c: Context): Buildpack {
  const name = c.req.param("buildpack") ?? "";
  const found = builtIn.find(({ blob_url: text }) => text === name.toLowerCase());
  if (found) return found;
  throw new PlatformError(
    "not_found",
    `${JSON.stringify(name.slice(0, 130))} is not built in. There is: ${builtIn.map(({ blob_url: text }) => text).join(", ")}.`,
    { resource: "buildpack" },
  );
}

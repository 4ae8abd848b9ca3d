/**
 * Makes `test/api/published-links.json` from downloads of the published schema of Heroku's Platform
 * API: `bun test/helpers/condense-schema.ts schema.json schema-3.sdk.json`. What is kept is what a
 * client can rely on (methods, paths, names and types of fields); the words are left out.
 */
interface Link {
  method: string;
  href: string;
  title?: string;
  targetSchema?: Schema;
}
type Schema = { [key: string]: unknown; $ref?: string };
interface Published {
  definitions: Record<string, Schema & { links?: Link[] }>;
}

/** What says how a value looks; the rest of a schema is words. */
const kept = new Set([
  ...["type", "format", "enum", "pattern", "properties", "patternProperties", "items"],
  ...["required", "additionalProperties", "anyOf", "oneOf", "allOf", "minimum", "maximum"],
]);

const [mainPath = "", ...morePaths] = process.argv.slice(2);
const shapes: Record<string, unknown> = {};
const links = new Map<string, { noun: string; title: string; answer: unknown; public: boolean }>();
for (const path of [mainPath, ...morePaths]) {
  const published = (await Bun.file(path).json()) as Published;
  for (const [noun, definition] of Object.entries(published.definitions))
    for (const link of definition.links ?? []) {
      const key = `${link.method.toUpperCase()} ${readable(link.href)}`;
      const name = links.has(key) && path === mainPath ? `${key} (${link.title})` : key;
      if (links.has(name)) continue;
      links.set(name, {
        noun,
        title: link.title ?? "",
        answer: answerOf(published, link.targetSchema),
        public: path === mainPath,
      });
    }
}
const rows = (entries: Iterable<[string, unknown]>) =>
  [...entries]
    .map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`)
    .join(",\n");
const text = `{\n"shapes": {\n${rows(Object.entries(shapes))}\n},\n"links": {\n${rows(links)}\n}\n}\n`;
await Bun.write(new URL("../api/published-links.json", import.meta.url), text);

/** `/apps/{(%23%2Fdefinitions%2Fapp%2Fdefinitions%2Fidentity)}` becomes `/apps/{app}`. */
function readable(href: string): string {
  return decodeURIComponent(href).replaceAll(
    /\{\(#\/definitions\/([\w-]+)\/definitions\/([\w-]+)\)\}/g,
    (_, noun: string, field: string) =>
      /^(?:query_|scoped)?id(?:entity)?$|^scopedIdentity$/.test(field)
        ? `{${noun}}`
        : `{${noun}.${field}}`,
  );
}

function answerOf(published: Published, target: Schema | undefined): unknown {
  if (!target) return null;
  const whole = /^#\/definitions\/([\w-]+)$/.exec(target.$ref ?? "")?.[1];
  if (whole === undefined) {
    const item = (target.items as Schema | undefined)?.$ref;
    const noun = /^#\/definitions\/([\w-]+)$/.exec(item ?? "")?.[1];
    if (noun === undefined) return shapeOf(published, target);
    keepShape(published, noun);
    return { type: "array", items: { shape: noun } };
  }
  keepShape(published, whole);
  return { shape: whole };
}

function keepShape(published: Published, noun: string): void {
  if (noun in shapes) return;
  const { links: _, definitions: __, ...rest } = published.definitions[noun] as Schema;
  shapes[noun] = shapeOf(published, rest);
}

function shapeOf(published: Published, schema: Schema): unknown {
  if (schema.$ref !== undefined) return shapeOf(published, follow(published, schema.$ref));
  const entries = Object.entries(schema).filter(
    // Other platforms have other hosts; and host names stand there as URIs, which they are not.
    ([key, value]) =>
      kept.has(key) && !(key === "pattern" && /heroku/.test(String(value))) && value !== "uri",
  );
  return Object.fromEntries(
    entries.map(([key, value]) => {
      if (key === "properties" || key === "patternProperties")
        return [
          key,
          Object.fromEntries(
            Object.entries(value as Record<string, Schema>).map(([name, one]) => [
              name,
              shapeOf(published, one),
            ]),
          ),
        ];
      if (Array.isArray(value) && key.endsWith("Of"))
        return [key, value.map((one) => shapeOf(published, one as Schema))];
      if (key === "items") return [key, shapeOf(published, value as Schema)];
      return [key, value];
    }),
  );
}

function follow(published: Published, reference: string): Schema {
  return decodeURIComponent(reference)
    .replace(/^#\//, "")
    .split("/")
    .reduce((at, name) => (at as Record<string, unknown>)[name], published as unknown) as Schema;
}

import { z } from "zod";
import published from "../api/published-links.json";
import notHere from "../api/links-not-here.json";

type Schema = Record<string, unknown> & {
  shape?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  items?: Schema;
};

interface PublishedLink {
  noun: string;
  title: string;
  answer: Schema | null;
  /** In Heroku's public schema; the others are only in the one of its own clients. */
  public: boolean;
}

const links = published.links as unknown as Record<string, PublishedLink>;
const shapes = published.shapes as unknown as Record<string, Schema>;

/** What a link needs besides its place: what is asked, and by whom. */
export interface Visit {
  /** In the place of `{app}` and the like. */
  values?: Record<string, string>;
  body?: unknown;
  token?: string;
}

export interface Walker {
  ask: (path: string, init: RequestInit) => Promise<Response>;
  /** What stands for `{app}`, `{release}` and so on, in all links. */
  values: Record<string, string>;
  /** Links that need more than that. */
  visits: Record<string, () => Visit | Promise<Visit>>;
}

const reasons = new Map(
  notHere.flatMap(({ reason, links: all }) => all.map((link) => [link, reason] as const)),
);

/** Follows every published link; returns those that work, and what is wrong with the others. */
export async function walkPublishedLinks(walker: Walker) {
  const working: string[] = [];
  const problems: string[] = [];
  for (const [name, link] of Object.entries(links)) {
    const { status, text } = await follow(walker, name);
    const problem = problemOf(link, status, text);
    if (problem === undefined) working.push(name);
    if (reasons.has(name) && problem === undefined)
      problems.push(`${name} works: take it off links-not-here.json`);
    else if (!reasons.has(name) && problem !== undefined) problems.push(`${name}: ${problem}`);
    else if (problem !== undefined && status >= 300 && !isError(text))
      problems.push(`${name}: ${status}, but not as errors are: ${text.slice(0, 300)}`);
  }
  for (const name of reasons.keys())
    if (!(name in links)) problems.push(`${name} is no published link`);
  const inTwo = notHere.flatMap((one) => one.links).length - reasons.size;
  if (inTwo > 0) problems.push(`${inTwo} links stand twice in links-not-here.json`);
  for (const { reason, links: all } of notHere)
    if (reason.trim().split(" ").length < 3 || all.length === 0)
      problems.push(`"${reason}" for ${all.length} links is no reason in links-not-here.json`);
  return { problems, ofPublic: working.filter((name) => links[name]?.public).length };
}

function problemOf(link: PublishedLink, status: number, text: string): string | undefined {
  if (status >= 300) return `${status} ${text.slice(0, 300)}`;
  const wrong = link.answer === null ? [] : wrongIn(link.answer, JSON.parse(text));
  return wrong.length === 0 ? undefined : `${wrong.join("; ")}: ${text.slice(0, 300)}`;
}

async function follow({ ask, values, visits }: Walker, name: string) {
  // What is not here cannot be made ready for a visit either.
  const unready = (error: Error) => {
    if (!reasons.has(name)) throw error;
    return {};
  };
  const visit: Visit = (await Promise.resolve(visits[name]?.()).catch(unready)) ?? {};
  const [method = "", path = ""] = name.replace(/ \(.*\)$/, "").split(" ");
  const filled = path.replaceAll(/\{([\w.-]+)\}/g, (_, key: string) =>
    encodeURIComponent(
      visit.values?.[key] ?? values[key] ?? "11111111-1111-4111-8111-111111111111",
    ),
  );
  const body = method === "GET" ? undefined : JSON.stringify(visit.body ?? {});
  const headers = visit.token ? { Authorization: `Bearer ${visit.token}` } : {};
  const response = await ask(filled, { method, headers, ...(body && { body }) });
  return { status: response.status, text: await response.text() };
}

function isError(text: string): boolean {
  const form = z.object({ id: z.string().min(1), message: z.string().min(1) });
  try {
    return form.safeParse(JSON.parse(text)).success;
  } catch {
    return false;
  }
}

/** What is not as the schema says; fields that it names and the answer lacks count too. */
function wrongIn(answer: Schema, value: unknown): string[] {
  const schema = whole(answer);
  const parsed = z.fromJSONSchema(schema as never).safeParse(value);
  const issues = parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => `${path.map(String).join(".")} ${message}`);
  return [...issues, ...lackingIn(schema, value, "")];
}

function whole(schema: Schema): Schema {
  if (schema.shape !== undefined) return shapes[schema.shape] as Schema;
  return schema.items ? { ...schema, items: whole(schema.items) } : schema;
}

function lackingIn(schema: Schema, value: unknown, at: string): string[] {
  if (Array.isArray(value))
    return schema.items ? lackingIn(schema.items, value[0], `${at}[0]`) : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) =>
    key in value
      ? lackingIn(inner, (value as Record<string, unknown>)[key], `${at}.${key}`)
      : [`${at}.${key} is not there`],
  );
}

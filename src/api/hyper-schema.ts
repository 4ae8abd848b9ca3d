import { z } from "zod";
import { parametersOf, type Route } from "./route-facts.ts";

interface Link {
  href: string;
  method: string;
  rel: string;
  title: string;
  schema?: object;
  targetSchema?: object;
}

interface Definition {
  title: string;
  type: string[];
  definitions: { identity: { type: string[] } };
  links: Link[];
}

/**
 * The document that Heroku has at `/schema`, and from which its clients are made (interagent's
 * hyper-schema): each noun with its links, whose addresses name the identities that are put into them. Pure.
 */
export function hyperSchema(routes: Route[], server: string) {
  const definitions: Record<string, Definition> = {};
  const define = (noun: string) =>
    (definitions[noun] ??= {
      title: `Stator's Platform API - ${noun}`,
      type: ["object"],
      definitions: { identity: { type: ["string"] } },
      links: [],
    });
  for (const route of routes) {
    for (const parameter of parametersOf(route.path)) define(parameter);
    define(nounOf(route.path)).links.push(linkOf(route));
  }
  return {
    $schema: "http://interagent.github.io/interagent-hyper-schema",
    title: "Stator's Platform API",
    description: "Speaks Heroku's Platform API v3.",
    id: "schemata/stator",
    type: ["object"],
    links: [{ href: server, rel: "self" }],
    definitions,
    properties: Object.fromEntries(
      Object.keys(definitions).map((noun) => [noun, { $ref: `#/definitions/${noun}` }]),
    ),
  };
}

/** `/apps/:app/config-vars` and `/apps/:app/dynos/:dyno/actions/stop` are about a config-var and a dyno. */
function nounOf(path: string): string {
  const [things = ""] = path.split("/actions/");
  const words = things.split("/").filter((word) => word !== "" && !/^[:*]/.test(word));
  return (words.at(-1) ?? "index").replace(/ies$/, "y").replace(/(?<!s)s$/, "");
}

function linkOf({ method, path, body, answer }: Route): Link {
  const isOfOne = /:\w+$/.test(path);
  const rels: Record<string, string> = {
    GET: isOfOne ? "self" : "instances",
    POST: "create",
    DELETE: "destroy",
  };
  return {
    href: path
      .replaceAll(/:(\w+)/g, (_, name: string) => identityOf(name))
      .replace("*", identityOf("rest")),
    method,
    rel: rels[method] ?? "update",
    title: `${method} ${path}`,
    ...(body && { schema: draft4(body, "input") }),
    ...(answer && { targetSchema: draft4(answer, "output") }),
  };
}

function identityOf(noun: string): string {
  return `{(${encodeURIComponent(`#/definitions/${noun}/definitions/identity`)})}`;
}

function draft4(schema: z.ZodType, io: "input" | "output"): object {
  return z.toJSONSchema(schema, { io, target: "draft-4", unrepresentable: "any" });
}

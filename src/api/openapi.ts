import { Hono } from "hono";
import { z } from "zod";
import type { Platform } from "../platform.ts";
import { hyperSchema } from "./hyper-schema.ts";
import { anyone, type ApiEnvironment } from "./policy.ts";
import { listRoutes, parametersOf, type RegisteredHandler, type Route } from "./route-facts.ts";

/** The documents of this API, made from what its routes say of themselves. */
export const openApiApi = ({ urls }: Platform, routes: () => RegisteredHandler[]) => {
  const texts = new Map<object, string>();
  const textOf = (document: (routes: Route[], server: string) => object) =>
    texts.get(document) ??
    texts.set(document, JSON.stringify(document(listRoutes(routes()), urls.api))).get(document) ??
    "";
  const json = { "Content-Type": "application/json" };
  return new Hono<ApiEnvironment>()
    .get("/openapi.json", anyone(), (c) => c.body(textOf(openApiDocument), 200, json))
    .get("/schema", anyone(), (c) => c.body(textOf(hyperSchema), 200, json));
};

const errorSchema = {
  type: "object",
  required: ["id", "message"],
  properties: {
    id: { type: "string", description: "For programs, as not_found" },
    message: { type: "string", description: "For people: what could not be done, and the way out" },
    resource: { type: "string", description: "Which kind of thing was not found" },
  },
};

/** OpenAPI 3.1 of some routes. Pure. */
function openApiDocument(routes: Route[], server: string) {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, "{$1}").replace("*", "{rest}");
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = operationOf(route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Stator's Platform API",
      version: "3",
      description:
        "Speaks Heroku's Platform API v3. Send Accept: application/vnd.heroku+json; version=3",
    },
    servers: [{ url: server }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: { error: errorSchema },
    },
  };
}

function operationOf({ method, path, policy, body, query, answer }: Route) {
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[^a-zA-Z0-9]+/g, "_")}`,
    ...(policy?.who === "anyone" && { security: [] }),
    ...(policy && { "x-policy": { who: policy.who, scope: policy.scope } }),
    parameters: [
      ...parametersOf(path).map((name) => ({
        ...{ name, in: "path", required: true, schema: { type: "string" } },
      })),
      ...Object.entries(query?.shape ?? {}).map(([name, schema]) => ({
        ...{ name, in: "query", required: !schema.safeParse(undefined).success },
        schema: jsonSchemaOf(schema as z.ZodType, "input"),
      })),
    ],
    ...(body && {
      requestBody: {
        content: { "application/json": { schema: jsonSchemaOf(body, "input") } },
      },
    }),
    responses: {
      "2XX": {
        description: "Done",
        ...(answer && {
          content: { "application/json": { schema: jsonSchemaOf(answer, "output") } },
        }),
      },
      default: {
        description: "Not done",
        content: { "application/json": { schema: { $ref: "#/components/schemas/error" } } },
      },
    },
  };
}

function jsonSchemaOf(schema: z.ZodType, io: "input" | "output"): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest;
}

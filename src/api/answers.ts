import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { z } from "zod";
import { saying } from "./route-facts.ts";

/** Says what a route answers when all goes well; the document has it, and a test holds it. */
export function answers(answer: z.ZodType): MiddlewareHandler {
  return saying(
    { answer },
    createMiddleware((_c, next) => next()),
  );
}

/** What most answers are made of. */
export const id = z.uuid();
export const time = z.iso.datetime();
export const named = z.object({ id, name: z.string() });
export const person = z.object({ email: z.string(), id });
export const born = { created_at: time, id, updated_at: time };
/** What Heroku has and this platform never does. */
export const never = z.null();

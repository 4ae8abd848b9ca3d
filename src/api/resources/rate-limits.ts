import { Hono } from "hono";
import { z } from "zod";
import { answers } from "../answers.ts";
import { account, type ApiEnvironment } from "../policy.ts";
import type { RequestBudgets } from "../request-budgets.ts";

export const rateLimitsApi = (budgets: RequestBudgets) =>
  new Hono<ApiEnvironment>().get(
    "/account/rate-limits",
    account("identity"),
    answers(z.object({ remaining: z.int() })),
    (c) => c.json({ remaining: budgets.left(c.var.account.id) }),
  );

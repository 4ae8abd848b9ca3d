import { Hono } from "hono";
import { z } from "zod";
import { answers } from "../answers.ts";
import { account, type ApiEnvironment } from "../policy.ts";
import { permissionAnswer, permissions } from "./collaborators.ts";

/** What collaborators may do; there are no teams to give less. */
export const teamPermissionsApi = () =>
  new Hono<ApiEnvironment>().get(
    "/teams/permissions",
    account("read"),
    answers(z.array(permissionAnswer)),
    (c) => c.json(permissions),
  );

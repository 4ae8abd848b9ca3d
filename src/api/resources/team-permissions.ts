import { Hono } from "hono";
import { account, type ApiEnvironment } from "../policy.ts";
import { permissions } from "./collaborators.ts";

/** What collaborators may do; there are no teams to give less. */
export const teamPermissionsApi = () =>
  new Hono<ApiEnvironment>().get("/teams/permissions", account("read"), (c) => c.json(permissions));

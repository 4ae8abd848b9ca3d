import { Hono } from "hono";
import type { Account } from "../../model/account.ts";
import type { ApiEnvironment } from "../authenticate.ts";

export const accountApi = () =>
  new Hono<ApiEnvironment>().get("/", (c) => c.json(presentAccount(c.var.account)));

function presentAccount(account: Account) {
  const createdAt = account.createdAt.toISOString();
  return {
    allow_tracking: false,
    beta: false,
    country_of_residence: null,
    created_at: createdAt,
    default_organization: null,
    default_team: null,
    delinquent_at: null,
    email: account.email,
    federated: false,
    id: account.id,
    identity_provider: null,
    last_login: null,
    name: null,
    sms_number: null,
    suspended_at: null,
    two_factor_authentication: false,
    updated_at: createdAt,
    verified: true,
  };
}

import { Hono, type MiddlewareHandler } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { answers } from "../answers.ts";
import { account, type ApiEnvironment, member, self } from "../policy.ts";

/** Something of Heroku's that is not here: what is listed is empty, and what would be made is refused. */
interface Absent {
  noun: string;
  /** What to do instead. */
  wayOut: string;
  lists: string[];
  others: string[];
}

/**
 * All that the published schema knows and this platform does not have (yet). An empty list is the
 * truth about it, one of its things is not found, and a change says how to go on without it.
 */
const absent: Absent[] = [
  {
    noun: "add-on",
    wayOut: "Run the service yourself and give the app its address: config:set DATABASE_URL=…",
    lists: [
      "/addons",
      "/addon-attachments",
      "/addon-services",
      "/addon-region-capabilities",
      "/apps/:app/addons",
      "/apps/:app/addon-attachments",
      "/users/:user/addons",
      "/regions/:region/addon-region-capabilities",
    ],
    others: [
      "/addons/*",
      "/addon-attachments/*",
      "/addon-services/*",
      "/plans/*",
      "/apps/:app/addons/*",
      "/apps/:app/addon-attachments/*",
    ],
  },
  {
    noun: "webhook",
    wayOut: "Poll the releases: GET /apps/APP/releases with If-None-Match",
    lists: ["/apps/:app/webhooks", "/apps/:app/webhook-deliveries", "/apps/:app/webhook-events"],
    others: [
      "/apps/:app/webhooks/*",
      "/apps/:app/webhook-deliveries/*",
      "/apps/:app/webhook-events/*",
    ],
  },
  {
    noun: "pipeline",
    wayOut: "Have an app for each stage, and push the same commit to the next one",
    lists: ["/pipelines", "/pipeline-couplings", "/users/:user/pipeline-couplings"],
    others: [
      "/pipelines/*",
      "/pipeline-couplings/*",
      "/pipeline-promotions",
      "/pipeline-promotions/*",
      "/pipeline-transfers",
      "/apps/:app/pipeline-couplings",
    ],
  },
  {
    noun: "review app",
    wayOut: "Create an app for the branch, and push it there",
    lists: [],
    others: ["/review-apps", "/review-apps/*", "/apps/:app/review-app"],
  },
  {
    noun: "app setup",
    wayOut: "Create the app, set its config, then push: POST /apps",
    lists: [],
    others: ["/app-setups", "/app-setups/*"],
  },
  {
    noun: "test run",
    wayOut: "Run the tests before the push, as with a git hook",
    lists: [],
    others: ["/test-runs", "/test-runs/*"],
  },
  {
    noun: "log drain",
    wayOut:
      "Read the log as it comes: POST /apps/APP/log-sessions with tail, or stator logs --tail",
    lists: ["/apps/:app/log-drains"],
    others: ["/apps/:app/log-drains/*"],
  },
  {
    noun: "telemetry drain",
    wayOut: "Let the app send its traces by itself",
    lists: ["/apps/:app/telemetry-drains"],
    others: ["/telemetry-drains", "/telemetry-drains/*"],
  },
  {
    noun: "OCI image",
    wayOut: "Push the code with git, and it is built",
    lists: [],
    others: ["/apps/:app/oci-images", "/apps/:app/oci-images/*"],
  },
  {
    noun: "team",
    wayOut: "Add people to an app one by one: POST /apps/APP/collaborators",
    lists: ["/teams"],
    others: ["/teams/*", "/identity-providers", "/identity-providers/*"],
  },
  {
    noun: "enterprise account",
    wayOut: "The server is yours: its accounts are made by adding collaborators",
    lists: ["/enterprise-accounts"],
    others: ["/enterprise-accounts/*"],
  },
  {
    noun: "space",
    wayOut: "Each app has a network of its own here already",
    lists: ["/spaces"],
    others: ["/spaces/*"],
  },
  {
    noun: "invoice or payment",
    wayOut: "Nobody pays here",
    lists: ["/account/invoices", "/account/credits"],
    others: [
      "/account/invoices/*",
      "/account/credits/*",
      "/account/invoice-address",
      "/account/payments",
      "/account/payment-method",
      "/account/payment-method/*",
    ],
  },
  {
    noun: "telephone number",
    wayOut: "Use an authenticator as second factor: POST /account/second-factor",
    lists: [],
    others: ["/users/:user/sms-number/*"],
  },
];

const changes = ["POST", "PUT", "PATCH", "DELETE"];

export function absentApi(): Hono<ApiEnvironment> {
  const api = new Hono<ApiEnvironment>()
    .post("/actions/addons/resolve", account("read"), () => throwNotFound("add-on", "add_on"))
    .post("/actions/addon-attachments/resolve", account("read"), () =>
      throwNotFound("add-on attachment", "add_on attachment"),
    );
  for (const { noun, wayOut, lists, others } of absent) {
    const refuse = () => {
      throw new PlatformError(
        "not_implemented",
        `This platform has no ${noun}s of its own (yet). ${wayOut}.`,
      );
    };
    for (const path of lists) {
      api.get(path, policyOf(path, "read"), answers(z.array(z.unknown())), (c) => c.json([]));
      for (const method of changes) api.on(method, path, policyOf(path, "write"), refuse);
    }
    for (const path of others) {
      api.get(path, policyOf(path, "read"), () => throwNotFound(noun));
      for (const method of changes) api.on(method, path, policyOf(path, "write"), refuse);
    }
  }
  return api;
}

function policyOf(path: string, scope: "read" | "write"): MiddlewareHandler {
  if (path.startsWith("/apps/:app")) return member(scope) as MiddlewareHandler;
  return (path.startsWith("/users/:user") ? self(scope) : account(scope)) as MiddlewareHandler;
}

function throwNotFound(noun: string, resource = noun.replaceAll(/[ -]/g, "_")): never {
  throw new PlatformError("not_found", `Couldn't find that ${noun}.`, { resource });
}

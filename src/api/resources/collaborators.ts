import { type Context, Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import {
  type Account,
  createAccount,
  findAccount,
  firstAccount,
  lookUpAccount,
} from "../../model/account.ts";
import type { App } from "../../model/app.ts";
import {
  addCollaborator,
  type Collaborator,
  listCollaborators,
  removeCollaborator,
} from "../../model/collaborator.ts";
import type { Platform } from "../../platform.ts";
import { answers, born, named, person } from "../answers.ts";
import { body } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { type ApiEnvironment, member, owner } from "../policy.ts";
import { stableId } from "../stable-id.ts";
import { warn } from "../warn.ts";
import { invitation } from "./password-resets.ts";

const newCollaborator = z.object({
  user: z.union(
    [z.string(), z.object({ email: z.string().optional(), id: z.string().optional() })],
    "must be an email address or an id",
  ),
  silent: z.boolean("must be true or false").nullish(),
});

export const permissions = [
  { name: "deploy", description: "Can deploy, see and change config vars, and release." },
  { name: "operate", description: "Can scale, restart, and run programs." },
  { name: "view", description: "Can see the app, its dynos and its log." },
];

export const permissionAnswer = z.object({ name: z.string(), description: z.string() });
const collaboratorAnswer = z.object({
  ...born,
  app: named,
  permissions: z.array(permissionAnswer),
  role: z.enum(["owner", "collaborator"]),
  user: person.extend({ federated: z.literal(false) }),
});

export const collaboratorsApi = (platform: Platform) => {
  const { database } = platform;
  const list = (app: App) => everyoneOf(platform, app);
  const find = (app: App, idOrEmail: string) => {
    const wanted = idOrEmail.toLowerCase();
    const found = list(app).find(
      ({ id, user }) => id === wanted || user.id === wanted || user.email.toLowerCase() === wanted,
    );
    if (found) return found;
    throw new PlatformError("not_found", "Couldn't find that collaborator.", {
      resource: "collaborator",
    });
  };
  return new Hono<ApiEnvironment>()
    .get("/apps/:app/collaborators", member("read"), answers(z.array(collaboratorAnswer)), (c) =>
      c.json(
        pageOf(c, list(c.var.app), {
          email: (one) => one.user.email,
          id: (one) => one.id,
          created_at: (one) => one.created_at,
        }),
      ),
    )
    .get(
      "/apps/:app/collaborators/:collaborator",
      member("read"),
      answers(collaboratorAnswer),
      (c) => c.json(find(c.var.app, c.req.param("collaborator"))),
    )
    .post(
      "/apps/:app/collaborators",
      owner("write"),
      answers(collaboratorAnswer),
      body(newCollaborator),
      (c) => {
        const { user } = c.req.valid("json");
        const wanted = typeof user === "string" ? user : (user.email ?? user.id ?? "");
        const someone = findOrInvite(c, platform, { asking: c.var.account, wanted });
        if (someone.id !== c.var.app.ownerId) addCollaborator(database, c.var.app, someone);
        return c.json(find(c.var.app, someone.id), 201);
      },
    )
    .delete(
      "/apps/:app/collaborators/:collaborator",
      member("write"),
      answers(collaboratorAnswer),
      (c) => {
        const { app, account } = c.var;
        const found = find(app, c.req.param("collaborator"));
        if (found.role === "owner")
          throw new PlatformError(
            "invalid_params",
            `${found.user.email} owns ${app.name}, and cannot be removed. Transfer the app first.`,
          );
        // Who goes by himself may; others only the owner sends away.
        if (account.id !== app.ownerId && account.id !== found.user.id)
          throw new PlatformError("forbidden", `Only the owner of ${app.name} may do that.`);
        removeCollaborator(database, app, found.user.id);
        return c.json(found);
      },
    );
};

/**
 * Who has no account yet gets one when the server's owner asks for it; a link to choose a password
 * comes as a warning, for there is no mail here.
 */
function findOrInvite(
  c: Context,
  platform: Platform,
  { asking, wanted }: { asking: Account; wanted: string },
): Account {
  const { database } = platform;
  if (wanted === "~") return asking;
  const known = lookUpAccount(database, wanted);
  if (known) return known;
  const email = z.email().max(254).safeParse(wanted);
  if (!email.success)
    throw new PlatformError("invalid_params", "user: must be an email address or an id.");
  const operator = firstAccount(database);
  if (operator?.id !== asking.id)
    throw new PlatformError(
      "invalid_params",
      `user: ${email.data} has no account here. The server's owner (${operator?.email}) can add it.`,
    );
  const account = createAccount(database, email.data);
  const { url, days } = invitation(platform, account);
  warn(c, `${email.data} is new here. To choose a password (within ${days} days): ${url}`);
  return account;
}

/** The owner first, as on Heroku. */
function everyoneOf({ database }: Platform, app: App) {
  const present = (
    { id, accountId, createdAt, updatedAt }: Omit<Collaborator, "appId">,
    role: "owner" | "collaborator",
  ): z.input<typeof collaboratorAnswer> => ({
    app: { id: app.id, name: app.name },
    created_at: createdAt.toISOString(),
    id,
    permissions,
    role,
    updated_at: updatedAt.toISOString(),
    user: {
      email: findAccount(database, accountId)?.email ?? "",
      federated: false,
      id: accountId,
    },
  });
  const { ownerId, createdAt, updatedAt } = app;
  const id = stableId("collaborator", app.id, ownerId);
  return [
    present({ id, accountId: ownerId, createdAt, updatedAt }, "owner"),
    ...listCollaborators(database, app).map((one) => present(one, "collaborator")),
  ];
}

import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import { type Account, lookUpAccount } from "../../model/account.ts";
import { findApp, lookUpApp, noSuchApp } from "../../model/app.ts";
import {
  type AppTransfer,
  createAppTransfer,
  deleteAppTransfer,
  listAppTransfers,
  settleAppTransfer,
  transferStates,
} from "../../model/app-transfer.ts";
import { roleIn } from "../../model/collaborator.ts";
import type { Platform } from "../../platform.ts";
import { answers, born, named, person } from "../answers.ts";
import { body } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { personOf } from "../person.ts";
import { account, type ApiEnvironment } from "../policy.ts";

const nameOrId = z.union(
  [z.string(), z.object({ id: z.string().optional(), name: z.string().optional() })],
  "must be a name or an id",
);
const newTransfer = z.object({
  app: nameOrId,
  recipient: z.union(
    [z.string(), z.object({ id: z.string().optional(), email: z.string().optional() })],
    "must be an email address or an id",
  ),
  silent: z.boolean("must be true or false").nullish(),
});
const settlement = z.object({
  state: z.enum(transferStates, "must be accepted or declined"),
});

const transferAnswer = z.object({
  ...born,
  app: named,
  owner: person,
  recipient: person,
  state: z.enum(transferStates),
});

export const appTransfersApi = ({ database }: Platform) => {
  const find = (one: Account, idOrApp: string): AppTransfer => {
    const found = listAppTransfers(database, one).find(
      ({ id, appId }) => id === idOrApp || findApp(database, appId).name === idOrApp,
    );
    if (found) return found;
    throw new PlatformError("not_found", "Couldn't find that app transfer.", {
      resource: "app_transfer",
    });
  };
  const present = (transfer: AppTransfer) => presentTransfer(database, transfer);
  return new Hono<ApiEnvironment>()
    .get("/account/app-transfers", account("read"), answers(z.array(transferAnswer)), (c) =>
      c.json(
        pageOf(c, listAppTransfers(database, c.var.account).map(present), {
          created_at: (one) => one.created_at,
          id: (one) => one.id,
        }),
      ),
    )
    .get("/account/app-transfers/:transfer", account("read"), answers(transferAnswer), (c) =>
      c.json(present(find(c.var.account, c.req.param("transfer")))),
    )
    .post(
      "/account/app-transfers",
      account("global"),
      answers(transferAnswer),
      body(newTransfer),
      (c) => {
        const { app: which, recipient: who } = c.req.valid("json");
        const name = typeof which === "string" ? which : (which.id ?? which.name ?? "");
        const app = lookUpApp(database, name);
        if (!app || !roleIn(database, app, c.var.account)) throw noSuchApp(name);
        if (app.ownerId !== c.var.account.id)
          throw new PlatformError("forbidden", `Only the owner of ${app.name} may transfer it.`);
        const recipient = lookUpAccount(
          database,
          typeof who === "string" ? who : (who.id ?? who.email ?? ""),
        );
        if (!recipient || recipient.id === app.ownerId)
          throw new PlatformError(
            "invalid_params",
            recipient
              ? `${recipient.email} owns ${app.name} already.`
              : "recipient: has no account here. Add it as a collaborator first: access:add",
          );
        return c.json(present(createAppTransfer(database, { app, recipient })), 201);
      },
    )
    .patch(
      "/account/app-transfers/:transfer",
      account("global"),
      answers(transferAnswer),
      body(settlement),
      (c) => {
        const transfer = find(c.var.account, c.req.param("transfer"));
        const { state } = c.req.valid("json");
        if (state === "pending" || transfer.state !== "pending")
          throw new PlatformError(
            "invalid_params",
            `The transfer is ${transfer.state}; a pending one can be accepted or declined.`,
          );
        if (transfer.recipientId !== c.var.account.id)
          throw new PlatformError("forbidden", "Only its recipient may accept or decline it.");
        if (findApp(database, transfer.appId).ownerId !== transfer.ownerId)
          throw new PlatformError("invalid_params", "The app has another owner by now.");
        return c.json(present(settleAppTransfer(database, transfer, state)));
      },
    )
    .delete("/account/app-transfers/:transfer", account("global"), answers(transferAnswer), (c) => {
      const transfer = find(c.var.account, c.req.param("transfer"));
      if (transfer.ownerId !== c.var.account.id)
        throw new PlatformError("forbidden", "Only who has made it may take it back.");
      deleteAppTransfer(database, transfer);
      return c.json(present(transfer));
    });
};

function presentTransfer(
  database: Platform["database"],
  transfer: AppTransfer,
): z.input<typeof transferAnswer> {
  const app = findApp(database, transfer.appId);
  return {
    app: { id: app.id, name: app.name },
    created_at: transfer.createdAt.toISOString(),
    id: transfer.id,
    owner: personOf(database, transfer.ownerId),
    recipient: personOf(database, transfer.recipientId),
    state: transfer.state,
    updated_at: transfer.updatedAt.toISOString(),
  };
}

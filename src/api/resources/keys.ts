import { Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import type { Account } from "../../model/account.ts";
import {
  createSshKey,
  deleteSshKey,
  listSshKeys,
  lookUpSshKey,
  type SshKey,
} from "../../model/ssh-key.ts";
import type { Platform } from "../../platform.ts";
import { answers, born } from "../answers.ts";
import { body } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { account, type ApiEnvironment } from "../policy.ts";

const newKey = z.object({
  public_key: z.string("must be the text of an SSH public key").max(20_000, "is too long"),
});

const keyAnswer = z.object({
  ...born,
  comment: z.string(),
  email: z.string(),
  fingerprint: z.string(),
  public_key: z.string(),
});

export const keysApi = ({ database }: Platform) =>
  new Hono<ApiEnvironment>()
    .get("/account/keys", account("read"), answers(z.array(keyAnswer)), (c) =>
      c.json(
        pageOf(
          c,
          listSshKeys(database, c.var.account).map((key) => presentKey(c.var.account, key)),
          { id: (one) => one.id, fingerprint: (one) => one.fingerprint },
        ),
      ),
    )
    .post("/account/keys", account("global"), answers(keyAnswer), body(newKey), (c) => {
      const key = createSshKey(database, c.var.account, c.req.valid("json").public_key);
      return c.json(presentKey(c.var.account, key), 201);
    })
    .get("/account/keys/:key", account("read"), answers(keyAnswer), (c) =>
      c.json(presentKey(c.var.account, findKey(database, c.var.account, c.req.param("key")))),
    )
    .delete("/account/keys/:key", account("global"), answers(keyAnswer), (c) => {
      const key = findKey(database, c.var.account, c.req.param("key"));
      deleteSshKey(database, key);
      return c.json(presentKey(c.var.account, key));
    });

function findKey(database: Platform["database"], one: Account, idOrFingerprint: string): SshKey {
  const found = lookUpSshKey(database, one, idOrFingerprint);
  if (found) return found;
  throw new PlatformError("not_found", "Couldn't find that key.", { resource: "key" });
}

function presentKey({ email }: Account, key: SshKey): z.input<typeof keyAnswer> {
  return {
    comment: key.comment,
    created_at: key.createdAt.toISOString(),
    email,
    fingerprint: key.fingerprint,
    id: key.id,
    public_key: key.publicKey,
    updated_at: key.createdAt.toISOString(),
  };
}

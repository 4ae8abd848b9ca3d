import type { Context } from "hono";
import { stepOfCode } from "../lib/one-time-code.ts";
import { PlatformError } from "../lib/platform-error.ts";
import { secretHash } from "../lib/secret.ts";
import { type Account, findAccount, lookUpAccount, updateAccount } from "../model/account.ts";
import type { Platform } from "../platform.ts";

/** So many tries are free for one address and one account in this time; a right one frees the account. */
const windowMs = 15 * 60_000;
const mostTries = { address: 30, account: 10 };
/** So many addresses and accounts are remembered; a flood of made-up ones pushes out the oldest. */
const mostCounted = 50_000;

export interface LoginAttempt {
  email: string;
  password: string;
  code: string | undefined;
}

export type Logins = ReturnType<typeof createLogins>;

/** Email address, password and second factor; few tries, whoever is asked for. */
export function createLogins({ database, vault }: Platform, now = Date.now) {
  const tries = new Map<string, { count: number; untilMs: number }>();
  let last: Promise<unknown> = Promise.resolve();

  /** Counted before it is looked at, so that tries at the same time count too. */
  function countTry(key: string, most: number): void {
    const atMs = now();
    const known = tries.get(key);
    const entry = known && known.untilMs > atMs ? known : { count: 0, untilMs: atMs + windowMs };
    tries.delete(key);
    tries.set(key, entry);
    if (tries.size > mostCounted) tries.delete(tries.keys().next().value as string);
    if (++entry.count > most)
      throw new PlatformError(
        "rate_limit",
        `Too many attempts to log in. Wait ${Math.ceil((entry.untilMs - atMs) / 60_000)} minutes, then try again.`,
      );
  }

  /** One at a time: each takes 64 MB for a moment. */
  function isRightPassword(account: Account | undefined, password: string): Promise<boolean> {
    const hash = account?.passwordHash;
    const check = async () =>
      (await Bun.password.verify(password, hash ?? (await nobodysHash()))) && Boolean(hash);
    const result = last.then(check);
    last = result.catch(() => {});
    return result;
  }

  function checkSecondFactor(account: Account, code: string | undefined): void {
    if (!account.secondFactorAt || !account.sealedCodeSecret) return;
    if (code === undefined || code === "")
      throw new PlatformError(
        "two_factor",
        "Your account has two-factor authentication enabled and requires a second factor. Add it in the header Heroku-Two-Factor-Code.",
      );
    const { secret = "" } = vault.open(account.sealedCodeSecret);
    const step = stepOfCode(secret, code, { nowMs: now(), lastStep: account.lastCodeStep });
    if (step !== undefined) return void updateAccount(database, account, { lastCodeStep: step });
    const hash = secretHash(code.trim().toLowerCase());
    if (!account.recoveryCodes.includes(hash))
      throw new PlatformError("two_factor", "That second factor is not right, or was used before.");
    updateAccount(database, account, {
      recoveryCodes: account.recoveryCodes.filter((one) => one !== hash),
    });
  }

  async function enter(c: Context, { email, password, code }: LoginAttempt): Promise<Account> {
    const accountKey = `account ${email.toLowerCase()}`;
    countTry(`address ${clientAddress(c)}`, mostTries.address);
    countTry(accountKey, mostTries.account);
    const account = lookUpAccount(database, email);
    if (!(await isRightPassword(account, password)) || !account)
      throw new PlatformError("unauthorized", "Invalid credentials provided.");
    // As it is now: the check of the password took its time, and a code opens once.
    checkSecondFactor(findAccount(database, account.id) ?? account, code);
    tries.delete(accountKey);
    return updateAccount(database, account, { lastLoginAt: new Date(now()) });
  }

  /**
   * Asks someone with a token for the password once more, before what a thief of the token must not
   * do; and for the second factor where `code` is asked for. An account without a password has none.
   */
  async function checkPassword(
    c: Context,
    {
      account,
      password,
      ...second
    }: { account: Account; password: string | undefined; code?: string | undefined },
  ): Promise<void> {
    if (account.passwordHash) {
      countTry(`address ${clientAddress(c)}`, mostTries.address);
      countTry(`account ${account.email.toLowerCase()}`, mostTries.account);
      if (password === undefined || !(await isRightPassword(account, password)))
        throw new PlatformError("invalid_params", "password: is not the one of this account.");
      tries.delete(`account ${account.email.toLowerCase()}`);
    }
    if ("code" in second)
      checkSecondFactor(findAccount(database, account.id) ?? account, second.code);
  }

  return { enter, checkPassword };
}

let hashOfNobody: Promise<string> | undefined;

/** Of a password that nobody has: to look for an unknown account takes as long as for a known one. */
function nobodysHash(): Promise<string> {
  hashOfNobody ??= Bun.password.hash(crypto.randomUUID());
  return hashOfNobody;
}

/** The address that the router saw, which is the last one of the way. */
export function clientAddress(c: Context): string {
  const { server } = (c.env ?? {}) as { server?: Bun.Server<unknown> };
  const forwarded = c.req.header("X-Forwarded-For")?.split(",").at(-1)?.trim();
  return server?.requestIP(c.req.raw)?.address || forwarded || "unknown";
}

import { PlatformError } from "../lib/platform-error.ts";

/** 4500 requests an hour for each account, and 75 come back each minute (contract §9.1, clause 86). */
const herokusRequestsPerHour = 4500;

const hourMs = 60 * 60_000;

export type RequestBudgets = ReturnType<typeof createRequestBudgets>;

/** Counts requests of each account; the counts live as long as this server. */
export function createRequestBudgets(perHour = herokusRequestsPerHour, now = Date.now) {
  const budgets = new Map<string, { left: number; atMs: number }>();
  const current = (accountId: string) => {
    const atMs = now();
    const { left, atMs: before } = budgets.get(accountId) ?? { left: perHour, atMs };
    const budget = { left: Math.min(perHour, left + ((atMs - before) / hourMs) * perHour), atMs };
    budgets.set(accountId, budget);
    return budget;
  };
  return {
    /** Takes one request, and returns how many are left. Throws when there is none. */
    take(accountId: string): number {
      const budget = current(accountId);
      if (budget.left < 1)
        throw new PlatformError(
          "rate_limit",
          "Your account reached the API rate limit\nPlease wait a few minutes before making new requests",
        );
      budget.left -= 1;
      return Math.floor(budget.left);
    },
    left: (accountId: string) => Math.floor(current(accountId).left),
  };
}

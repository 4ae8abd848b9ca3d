import { afterEach, expect, setSystemTime, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { logAddresses, placeOf } from "../../src/api/log-addresses.ts";
import { openVault } from "../../src/model/vault.ts";

const folder = mkdtempSync(join(tmpdir(), "stator-addresses-"));
const vault = openVault(join(folder, "key"));
rmSync(folder, { recursive: true });
afterEach(() => setSystemTime());

const session = {
  appId: "x",
  tokenId: "y",
  lines: 5,
  tail: true,
  filter: { dyno: "web" },
  format: "text",
} as const;
const later = (ms: number) => setSystemTime(new Date(Date.now() + ms));
const minuteMs = 60_000;

test("an address opens for five minutes, after a restart of the server too, and no other does", () => {
  const key = logAddresses(vault).keyOf(session);
  expect(logAddresses(vault).find(key, undefined)).toEqual(session);
  const altered = (key.startsWith("x") ? "y" : "x") + key.slice(1);
  for (const wrong of ["", "x", `${key}x`, altered, key.slice(0, -4)])
    expect(logAddresses(vault).find(wrong, undefined)).toBeUndefined();
  later(6 * minuteMs);
  expect(logAddresses(vault).find(key, undefined)).toBeUndefined();
});

test("what else is sealed with the same key is no address", () => {
  const openUntil = String(Date.now() + minuteMs);
  const sealed = vault.seal({ openUntil, session: JSON.stringify(session) });
  const key = Buffer.from(sealed).toString("base64url");
  expect(logAddresses(vault).find(key, undefined)).toBeUndefined();
});

test("who has heard something within the hour comes back; the id of another's event is of no use", () => {
  const addresses = logAddresses(vault);
  const [mine, others] = [addresses.keyOf(session), addresses.keyOf(session)];
  const [id, otherId] = [mine, others].map((key) => addresses.eventIds(key)("12.34"));
  later(50 * minuteMs);
  expect(logAddresses(vault).find(mine, id)).toEqual(session);
  expect(placeOf(id ?? "")).toBe("12.34");
  for (const wrong of [otherId, "12.34", "12.34~", "12.34~x", `${id}x`])
    expect(logAddresses(vault).find(mine, wrong)).toBeUndefined();
  later(75 * minuteMs);
  expect(logAddresses(vault).find(mine, id)).toBeUndefined();
});

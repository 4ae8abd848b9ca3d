import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn } from "../../src/lib/exec.ts";
import { basicAuthUser, decideAccess, type AccessRequest } from "../../src/router/access.ts";
import { readRange } from "../../src/router/addresses.ts";
import { createRateLimits, decideRate, rateKeyOf } from "../../src/router/rate-limits.ts";
import type { RouteApp } from "../../src/router/route-table.ts";
import { dynoThatAnswers, get, ok, startTestRouter } from "./router-fixture.ts";
import { type HeaderLine, type HeaderLines, linesOf } from "../../src/router/header-lines.ts";

const app: RouteApp = {
  name: "demo",
  deployed: true,
  maintenance: false,
  webQuantity: 1,
  crashed: false,
  starting: false,
  dynos: [],
};
const linesFrom = (headers: HeaderLine[]) => linesOf(headers) as HeaderLines;
const request: AccessRequest = {
  clientAddress: "192.0.2.1",
  https: false,
  method: "GET",
  host: "demo.test",
  target: "/a?b",
  headers: linesFrom([]),
  httpsPort: 443,
};
const basic = (credentials: string) => [
  {
    name: "Authorization",
    value: `Basic ${Buffer.from(credentials).toString("base64")}`,
  },
];

describe("an app's own rules", () => {
  test("are none by default", () => {
    expect(decideAccess(app, request)).toEqual({ kind: "granted" });
  });

  test("an address list lets nobody else in; an empty one nobody at all", () => {
    const listed = { ...app, allowedAddresses: [readRange("192.0.2.0/24")!] };
    expect(decideAccess(listed, request).kind).toBe("granted");
    const stranger = { ...request, clientAddress: "198.51.100.1" };
    expect(decideAccess(listed, stranger).kind).toBe("forbidden address");
    const empty = { ...app, allowedAddresses: [] };
    expect(decideAccess(empty, request).kind).toBe("forbidden address");
  });

  test("HTTP is sent to HTTPS with its path, a form with its method; HTTPS is not", () => {
    const strict = { ...app, httpsRedirect: true };
    expect(decideAccess(strict, request)).toEqual({
      kind: "redirect",
      status: 301,
      location: "https://demo.test/a?b",
    });
    expect(decideAccess(strict, { ...request, method: "POST", httpsPort: 8443 })).toMatchObject({
      status: 308,
      location: "https://demo.test:8443/a?b",
    });
    expect(decideAccess(strict, { ...request, https: true }).kind).toBe("granted");
    expect(decideAccess(strict, { ...request, httpsPort: null }).kind).toBe("granted");
  });

  test("a password is asked for, and only the right one of the right user will do", () => {
    const closed = { ...app, basicAuth: [basicAuthUser("ann", "a:b"), basicAuthUser("bob", "c")] };
    const kindOf = (headers: HeaderLine[]) =>
      decideAccess(closed, { ...request, headers: linesFrom(headers) }).kind;
    expect([kindOf(basic("ann:a:b")), kindOf(basic("bob:c"))]).toEqual(["granted", "granted"]);
    for (const wrong of [
      [],
      basic("ann:c"),
      basic("bob:"),
      basic("ann"),
      basic(":"),
      basic(""),
      [...basic("bob:c"), ...basic("bob:c")],
      [{ name: "Authorization", value: "Bearer c" }],
    ])
      expect(kindOf(wrong)).toBe("unauthorized");
    expect(JSON.stringify(closed.basicAuth)).not.toContain("a:b");
  });

  test("hold over the network, each with its page, and are logged without a code", async () => {
    using cleanup = new DisposableStack();
    await using router = await startTestRouter();
    const dyno = cleanup.adopt(dynoThatAnswers(ok("inside")), (it) => it.stop());
    await router.route([dyno], { basicAuth: [basicAuthUser("ann", "secret")] });
    const refused = await router.ask(get);
    expect(refused).toStartWith("HTTP/1.1 401 Unauthorized\r\n");
    expect(refused).toContain('WWW-Authenticate: Basic realm="demo", charset="UTF-8"\r\n');
    const credentials = `Authorization: ${basic("ann:secret")[0]!.value}\r\n`;
    expect(await router.ask(get.replace("\r\n\r\n", `\r\n${credentials}\r\n`))).toEndWith("inside");
    await router.route([dyno], { allowedAddresses: ["10.0.0.0/8"] });
    expect(await router.ask(get)).toStartWith("HTTP/1.1 403 Forbidden\r\n");
    await router.route([dyno], { allowedAddresses: ["127.0.0.0/8"] });
    expect(await router.ask(get)).toEndWith("inside");
    expect(dyno.connections).toHaveLength(2);
    const lines = await router.logLines(4);
    expect(lines[0]).toStartWith('at=info desc="Password needed" method=GET');
    expect(lines[2]).toStartWith('at=info desc="Address not allowed" method=GET');
  });

  test("that can't be read close the app, not the door", async () => {
    using cleanup = new DisposableStack();
    await using router = await startTestRouter();
    const dyno = cleanup.adopt(dynoThatAnswers(ok("inside")), (it) => it.stop());
    await router.route([dyno], { allowedAddresses: ["10.0.0.0/99"] });
    expect(await router.ask(get)).toStartWith("HTTP/1.1 404 ");
    expect((await router.client.status()).setAside[0]).toContain('"10.0.0.0/99" is no address');
  });
});

describe("a rate limit", () => {
  test("lets a burst through at once, then one request for each that the time brings", () => {
    const limit = { requests: 2, perMs: 1_000, burst: 3 };
    let paceMs = 0;
    const at = (nowMs: number) => {
      const decision = decideRate(paceMs, limit, nowMs);
      if (!decision.granted) return decision.retryAfterMs;
      ({ paceMs } = decision);
      return 0;
    };
    expect([at(10_000), at(10_000), at(10_000), at(10_000)]).toEqual([0, 0, 0, 500]);
    expect([at(10_500), at(10_500)]).toEqual([0, 500]);
    expect([at(20_000), at(20_000), at(20_000), at(20_000)]).toEqual([0, 0, 0, 500]);
  });

  test("is one for all processes of a folder", async () => {
    const dir = await mkdtemp(join(tmpdir(), "stator-limits-"));
    const path = join(dir, "rate-limits");
    const limit = { requests: 3, perMs: 3_600_000 };
    const mine = createRateLimits(path);
    expect(mine.take("a", limit)).toBe(0);
    const program = `import { createRateLimits } from ${JSON.stringify(join(import.meta.dir, "../../src/router/rate-limits.ts"))};
      const other = createRateLimits(${JSON.stringify(path)});
      process.stdout.write(String(other.take("a", ${JSON.stringify(limit)})));`;
    const child = spawn([process.execPath, "-e", program]);
    expect(await new Response(child.stdout).text()).toBe("0");
    expect([mine.take("a", limit), mine.take("b", limit)]).toEqual([0, 0]);
    expect(mine.take("a", limit)).toBeGreaterThan(0);
    await rm(dir, { recursive: true });
  });

  test("has room for more clients than it remembers", async () => {
    const dir = await mkdtemp(join(tmpdir(), "stator-limits-"));
    const limits = createRateLimits(join(dir, "rate-limits"));
    const limit = { requests: 1, perMs: 3_600_000 };
    for (let index = 0; index < 200_000; index++) limits.take(`client ${index}`, limit);
    expect(limits.take("the newest", limit)).toBe(0);
    expect(limits.take("the newest", limit)).toBeGreaterThan(0);
    await rm(dir, { recursive: true });
  });

  test("sees one client in all addresses of an IPv6 network", () => {
    expect(rateKeyOf("192.0.2.1")).toBe("192.0.2.1");
    expect(rateKeyOf("2001:db8:1:2::5")).toBe(rateKeyOf("2001:db8:1:2:3:4:5:6"));
    expect(rateKeyOf("2001:db8::5")).toBe("2001:db8:0:0");
    expect(rateKeyOf("2001:db8:1:2::5")).not.toBe(rateKeyOf("2001:db8:1:3::5"));
  });

  test("answers 429 with the time to wait, for one client or for the app as a whole", async () => {
    using cleanup = new DisposableStack();
    await using router = await startTestRouter();
    const dyno = cleanup.adopt(dynoThatAnswers(ok("in time")), (it) => it.stop());
    const limit = { requests: 2, perMs: 3_600_000 };
    await router.route([dyno], { rateLimits: { client: limit } });
    expect(await router.ask(get)).toEndWith("in time");
    expect(await router.ask(get)).toEndWith("in time");
    const refused = await router.ask(get);
    expect(refused).toStartWith("HTTP/1.1 429 Too Many Requests\r\n");
    expect(refused).toMatch(/Retry-After: 1[78]\d\d\r\n/);
    await router.route([dyno], { rateLimits: { app: { ...limit, requests: 1 } } });
    expect(await router.ask(get)).toEndWith("in time");
    expect(await router.ask(get)).toStartWith("HTTP/1.1 429 ");
    expect((await router.logLines(5))[2]).toStartWith('at=warning desc="Rate limit exceeded" ');
  });
});

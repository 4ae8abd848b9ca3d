import { expect, test } from "bun:test";
import { dynoThatAnswers, get, ok, startTestRouter } from "./router-fixture.ts";

const withCookie = (cookie: string) =>
  get.replace("\r\n\r\n", `\r\nCookie: a=b; ${cookie}\r\n\r\n`);
const cookieOf = (answer: string) =>
  /Set-Cookie: (heroku-session-affinity=[^;]+)/.exec(answer)?.[1];

test("clause 53: with http-session-affinity a client stays at its dyno, and moves when that is gone", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dynos = ["one", "two", "three", "four"].map((name) =>
    cleanup.adopt(dynoThatAnswers(ok(name)), (it) => it.stop()),
  );
  await router.route(dynos);
  expect(await router.ask(get)).not.toContain("Set-Cookie");

  await router.route(dynos, { sessionAffinity: true });
  const first = await router.ask(get);
  expect(first).toMatch(
    /Set-Cookie: heroku-session-affinity=[\w-]{22}; Version=1; Expires=[^;]+ GMT; Max-Age=86400; Domain=demo.test; Path=\/; HttpOnly\r\n/,
  );
  const cookie = cookieOf(first)!;
  const name = first.split("\r\n\r\n")[1]!;
  for (let index = 0; index < 12; index++) {
    const again = await router.ask(withCookie(cookie));
    expect(again).toEndWith(name);
    expect(again).not.toContain("Set-Cookie");
  }
  const mine = dynos[["one", "two", "three", "four"].indexOf(name)]!;
  expect(mine.connections.at(-1)!.received).toContain(`Cookie: a=b; ${cookie}\r\n`);

  mine.stop();
  const moved = await router.ask(withCookie(cookie));
  expect(moved).toStartWith("HTTP/1.1 200 ");
  expect(moved).not.toEndWith(name);
  expect(cookieOf(moved)).not.toBe(cookie);
  const forged = await router.ask(withCookie("heroku-session-affinity=forged"));
  const given = cookieOf(forged) ?? "";
  expect(given).toMatch(/^heroku-session-affinity=[\w-]{22}$/);
  expect(await router.ask(withCookie(given))).toEndWith(forged.split("\r\n\r\n")[1]!);
});

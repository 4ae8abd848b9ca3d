import { expect, test } from "bun:test";
import { type AskedDyno, Rush } from "../../src/deploy/rush.ts";

const shop = { id: "shop" };
const blog = { id: "blog" };
const dynos: AskedDyno[] = [
  { app: shop, dyno: { id: "shop-web", type: "web" }, state: "up" },
  { app: shop, dyno: { id: "shop-worker", type: "worker" }, state: "up" },
  { app: blog, dyno: { id: "blog-web", type: "web" }, state: "up" },
];
const idle = { requests: 0, tunnels: 0, idleMs: 10 };
const seen = (asked: number, rest = idle) => ({
  observedMs: 1_000_000,
  apps: { shop: { asked, ...rest } },
});

test("ten requests a second are a rush: the web dynos of those who are asked come first", () => {
  const rush = new Rush(10);
  expect(rush.look(seen(1000), dynos, 0)).toBeNull();
  expect(rush.look(seen(1099), dynos, 10_000)).toBeNull();
  expect(rush.look(seen(1199), dynos, 20_000)).toEqual(new Set(["shop-web"]));
});

test("it is measured for ten seconds: one page with all that belongs to it is none", () => {
  const rush = new Rush(10);
  rush.look(seen(0), dynos, 0);
  expect(rush.look(seen(80), dynos, 200)).toBeNull();
  expect(rush.look(seen(80), dynos, 5_000)).toBeNull();
  expect(rush.look(seen(80), dynos, 10_000)).toBeNull();
});

test("where there shall be none, there is none", () => {
  const rush = new Rush(null);
  rush.look(seen(0), dynos, 0);
  expect(rush.look(seen(1_000_000), dynos, 10_000)).toBeNull();
});

test("it is over a minute after it was the last time so much", () => {
  const rush = new Rush(10);
  rush.look(seen(0), dynos, 0);
  expect(rush.look(seen(500), dynos, 10_000)).not.toBeNull();
  expect(rush.look(seen(500), dynos, 69_000)).not.toBeNull();
  expect(rush.look(seen(500), dynos, 70_000)).toBeNull();
});

test("who has a request or a tunnel open is asked, however long ago that began", () => {
  const rush = new Rush(10);
  rush.look(seen(0), dynos, 0);
  const ago = (requests: number, tunnels: number) =>
    rush.look(seen(500, { requests, tunnels, idleMs: 60_000 }), dynos, 10_000);
  expect(ago(0, 0)).toBeNull();
  expect(ago(1, 0)).toEqual(new Set(["shop-web"]));
  expect(ago(0, 1)).toEqual(new Set(["shop-web"]));
});

test("a web dyno that is starting is among them: it measures itself by what it finds", () => {
  const rush = new Rush(10);
  rush.look(seen(0), dynos, 0);
  const starting = dynos.map((one) => ({ ...one, state: "starting" as const }));
  expect(rush.look(seen(500), starting, 10_000)).toEqual(new Set(["shop-web", "blog-web"]));
});

test("a router that begins to count anew is no rush", () => {
  const rush = new Rush(10);
  rush.look(seen(5_000), dynos, 0);
  expect(rush.look(seen(3), dynos, 10_000)).toBeNull();
});

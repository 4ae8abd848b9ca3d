import { expect, test } from "bun:test";
import { type FormationUpdate, scaledFormation } from "../../src/deploy/scale.ts";
import { dynoSizes } from "../../src/model/dyno-size.ts";

const before = [
  { appId: "a", type: "web", quantity: 2, size: "Basic" },
  { appId: "a", type: "worker", quantity: 0, size: "Basic" },
  { appId: "a", type: "release", quantity: 0, size: "Basic" },
];
const sizes = dynoSizes();
const scaled = (...updates: FormationUpdate[]) =>
  scaledFormation(before, updates, { app: { name: "shop" }, sizes }).map(
    ({ type, quantity, size }) => `${type}=${quantity}:${size}`,
  );

test("clause 19, 90: quantities are numbers, or strings that are relative with a sign", () => {
  expect(scaled({ type: "web", quantity: 5 })[0]).toBe("web=5:Basic");
  expect(scaled({ type: "web", quantity: "5" })[0]).toBe("web=5:Basic");
  expect(scaled({ type: "web", quantity: "+1" })[0]).toBe("web=3:Basic");
  expect(scaled({ type: "web", quantity: "-1" })[0]).toBe("web=1:Basic");
  expect(scaled({ type: "web", quantity: "-9" })[0]).toBe("web=0:Basic");
  expect(scaled({ type: "web", quantity: "+1" }, { type: "worker", quantity: "+2" })).toEqual([
    ...["web=3:Basic", "worker=2:Basic", "release=0:Basic"],
  ]);
});

test("sizes are found whatever their case, and keep the quantity", () => {
  expect(scaled({ type: "web", size: "STANDARD-2x" })[0]).toBe("web=2:Standard-2X");
  expect(scaled({ type: "release", size: "eco" })[2]).toBe("release=0:Eco");
});

test("a wrong update is refused in words, and with it all of them", () => {
  expect(() => scaled({ type: "foo", quantity: 1 })).toThrow(
    "Couldn't find that process type (foo). shop has web, worker, release.",
  );
  expect(() => scaled({ type: "web", size: "huge" })).toThrow('No such size as "huge". There are:');
  for (const quantity of ["x", "1.5", "", "++1", "1e3", "=2"])
    expect(() => scaled({ type: "web", quantity })).toThrow("but must be a number");
  expect(() => scaled({ type: "web", quantity: 1001 })).toThrow("may have 1000 dynos");
  expect(() => scaled({ type: "release", quantity: 1 })).toThrow("cannot be scaled");
});

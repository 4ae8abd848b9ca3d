import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { firewallRules, readListing } from "../../src/runtime/firewall.ts";
import { createNetwork, networkAddress } from "../../src/runtime/network.ts";

const folder = mkdtempSync(join(tmpdir(), "stator-network-"));
afterAll(() => rmSync(folder, { recursive: true }));

const create = (instance: string) =>
  createNetwork(instance, { addressesDir: folder, networkHook: "/none", pidOf: () => undefined });

test("each slot is a /30 of 198.18.0.0/15 with a name that a link may have", () => {
  expect(networkAddress("1a2b", 0)).toEqual({
    ...{ slot: 0, interfaceName: "st1a2b-0", hostAddress: "198.18.0.1" },
    containerAddress: "198.18.0.2",
  });
  const last = networkAddress("ffff", 32_767);
  expect(last.containerAddress).toBe("198.19.255.254");
  expect(last.interfaceName.length).toBeLessThanOrEqual(15);
});

test("addresses are never given twice, also not by another server of the machine", async () => {
  const [one, other] = [create("aaaa"), create("bbbb")];
  const slots = new Set<number>();
  for (let index = 0; index < 200; index++) {
    slots.add(one.reserve(`one-${index}`).slot);
    slots.add(other.reserve(`other-${index}`).slot);
  }
  expect(slots.size).toBe(400);
  const again = create("aaaa");
  expect(again.addressOf("one-7")).toEqual(one.addressOf("one-7") as never);
  expect(again.addressOf("other-7")).toBeUndefined();
  for (let index = 0; index < 200; index++) {
    await again.release(`one-${index}`);
    await other.release(`other-${index}`);
    await other.release("not there");
  }
  expect(readdirSync(folder)).toEqual([]);
});

const rules = (routerPorts: number[], doors: string[] = [], maxFlows: number | null = null) =>
  firewallRules({ table: "stator_test", instance: "f00d", routerPorts, maxFlows, doors });

test("the firewall is a script that the kernel's own tool accepts", async () => {
  for (const ports of [[], [80], [80, 443]]) {
    for (const doors of [[], ["198.18.0.2 . 5000", "198.18.0.6 . 5000"]]) {
      for (const flows of [null, 1000]) {
        const stdin = rules(ports, doors, flows);
        const checked = await exec(["nft", "--check", "--file", "-"], { stdin });
        expect(checked.stderr).toBe("");
      }
    }
  }
});

test("only the router's ports are open, and without one nothing is", () => {
  expect(rules([80, 443])).toContain('iifname "stf00d-*" tcp dport { 80, 443 } accept');
  expect(rules([])).not.toContain("dport {");
  expect(rules([])).toContain("169.254.0.0/16");
});

test("a listing is taken apart into the rules and the open doors", () => {
  const text = (elements: string) =>
    `table inet x {\n\tset open {\n\t\ttype ipv4_addr . inet_service\n${elements}\t}\n}\n`;
  const two = "\t\telements = { 198.18.0.2 . 5000,\n\t\t\t     198.18.0.6 . 5001 }\n";
  expect(readListing(text(two)).doors).toEqual(new Set(["198.18.0.2 . 5000", "198.18.0.6 . 5001"]));
  expect(readListing(text(two)).rules).toBe(text(""));
  expect(readListing(text("")).doors.size).toBe(0);
});

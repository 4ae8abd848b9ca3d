import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import { createNetwork, firewallRules, networkAddress } from "../../src/runtime/network.ts";

const folder = mkdtempSync(join(tmpdir(), "stator-network-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("each slot is a /30 of 198.18.0.0/15 with a name that a link may have", () => {
  expect(networkAddress("1a2b", 0)).toEqual({
    ...{ slot: 0, interfaceName: "st1a2b-0", hostAddress: "198.18.0.1" },
    containerAddress: "198.18.0.2",
  });
  const last = networkAddress("ffff", 32_767);
  expect(last.containerAddress).toBe("198.19.255.254");
  expect(last.interfaceName.length).toBeLessThanOrEqual(15);
});

test("addresses are never given twice, also not by another server of the machine", () => {
  const [one, other] = [createNetwork("aaaa", folder), createNetwork("bbbb", folder)];
  const slots = new Set<number>();
  for (let index = 0; index < 200; index++) {
    slots.add(one.reserve(`one-${index}`).slot);
    slots.add(other.reserve(`other-${index}`).slot);
  }
  expect(slots.size).toBe(400);
  const again = createNetwork("aaaa", folder);
  expect(again.addressOf("one-7")).toEqual(one.addressOf("one-7") as never);
  expect(again.addressOf("other-7")).toBeUndefined();
  for (let index = 0; index < 200; index++) {
    again.release(`one-${index}`);
    other.release(`other-${index}`);
    other.release("not there");
  }
  expect(readdirSync(folder)).toEqual([]);
});

const rules = (openPorts: number[]) =>
  firewallRules({ table: "stator_test", instance: "f00d", openPorts });

test("the firewall is a script that the kernel's own tool accepts", async () => {
  for (const ports of [[], [80], [80, 443]]) {
    const checked = await exec(["nft", "--check", "--file", "-"], { stdin: rules(ports) });
    expect(checked.stderr).toBe("");
  }
});

test("only the router's ports are open, and without one nothing is", () => {
  expect(rules([80, 443])).toContain('iifname "stf00d-*" tcp dport { 80, 443 } accept');
  expect(rules([])).not.toContain("dport");
  expect(rules([])).toContain("169.254.0.0/16");
});

import { describe, expect, test } from "bun:test";
import { isInRanges, isPublicAddress, readRange } from "../../src/router/addresses.ts";

const inRange = (address: string, range: string) => isInRanges(address, [readRange(range)!]);

describe("an address range", () => {
  test("holds the addresses below its prefix, IPv4 also inside IPv6", () => {
    expect(inRange("192.0.2.255", "192.0.2.0/24")).toBe(true);
    expect(inRange("192.0.3.0", "192.0.2.0/24")).toBe(false);
    expect(inRange("::ffff:192.0.2.1", "192.0.2.0/24")).toBe(true);
    expect(inRange("192.0.2.1", "192.0.2.1")).toBe(true);
    expect(inRange("8.8.8.8", "0.0.0.0/0")).toBe(true);
    expect(inRange("2001:db8::1", "2001:db8::/32")).toBe(true);
    expect(inRange("2001:db9::1", "2001:db8::/32")).toBe(false);
    expect(inRange("::1", "0.0.0.0/0")).toBe(false);
  });

  for (const text of [
    "",
    "1.2.3",
    "1.2.3.4/33",
    "1.2.3.4/",
    "1.2.3.4/-1",
    "a",
    "::1/129",
    "1::2::3",
  ])
    test(`is not ${JSON.stringify(text)}`, () => expect(readRange(text)).toBeUndefined());
});

test("addresses of this machine, of its network and of no network are not public", () => {
  for (const address of [
    ...["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"],
    ...["100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1"],
    ...["fd00::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::7f00:1", "64:ff9b::7f00:1"],
    ...["2002:7f00:1::", "ff02::1", "fe80::1%eth0", "localhost", ""],
  ])
    expect([address, isPublicAddress(address)]).toEqual([address, false]);
  for (const address of ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "172.32.0.1", "100.128.0.1"])
    expect([address, isPublicAddress(address)]).toEqual([address, true]);
});

import { expect, test } from "bun:test";
import { Wire, type Transport } from "../../src/router/wire.ts";

/** A peer that takes as much as chance says, and the rest after a while; what it was sent is kept. */
class Peer implements Transport {
  readonly copies: boolean;
  readonly wire = new Wire(this);
  /** What `write` was given, and what it should have been. */
  sent = "";
  expected = "";
  isOver = false;
  #isFull = false;
  readonly #kept: Buffer[] = [];

  constructor(copies: boolean) {
    this.copies = copies;
  }

  write(bytes: Buffer, from: number, to: number): number {
    if (this.isOver) return -1;
    const taken = Math.random() < 0.2 ? Math.floor(Math.random() * (to - from)) : to - from;
    this.#isFull = taken < to - from;
    const part = bytes.subarray(from, from + taken);
    // Who does not copy looks at the bytes when it is their turn.
    if (this.copies) this.sent += part.toString("latin1");
    else this.#kept.push(part);
    if (this.#isFull) setTimeout(() => this.isOver || this.wire.handleDrain(), Math.random() * 3);
    return taken;
  }

  isFull = () => this.#isFull;
  pause = () => {};
  resume = () => {};
  end = () => this.#end();
  terminate = () => this.#end();

  #end(): void {
    this.isOver = true;
    this.sent += Buffer.concat(this.#kept).toString("latin1");
  }

  say(text: string, asHead: boolean): void {
    this.expected += text;
    if (!asHead) return this.wire.write(Buffer.from(`..${text}`, "latin1"), 2);
    const half = Math.floor(text.length / 2);
    this.wire.writeHead(text.length, (out) => {
      out.text(text.slice(0, half));
      const rest = Buffer.from(text.slice(half), "latin1");
      out.bytes(rest, 0, rest.length);
    });
  }
}

const lengths = [1, 20, 300, 5_000, 31_000, 40_000, 200_000];
const pick = <One>(list: readonly One[]) => list[Math.floor(Math.random() * list.length)]!;

test("whatever is written to many wires in whatever order comes out of each whole and in its order", async () => {
  const peers = Array.from({ length: 24 }, (_, index) => new Peer(index % 3 > 0));
  let word = 0;
  for (let turn = 0; turn < 60; turn++) {
    for (let times = Math.random() * 40; times > 0; times--) {
      const peer = pick(peers);
      const length = pick(lengths);
      peer.say(`${word++}:`.padEnd(length, "x"), Math.random() < 0.5);
    }
    // Now and then one goes in the middle of a turn.
    if (turn % 20 === 19) pick(peers).wire.terminate();
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const { wire } of peers) wire.end();
  const untilMs = performance.now() + 60_000;
  while (peers.some(({ isOver }) => !isOver) && performance.now() < untilMs) await Bun.sleep(2);
  for (const [index, { sent, expected, wire }] of peers.entries())
    expect([index, wire.closed ? expected.startsWith(sent) : sent === expected]).toEqual([
      index,
      true,
    ]);
  expect(peers.filter(({ wire }) => !wire.closed).length).toBeGreaterThan(10);
});

test("a wire that was closed while something was unread has nothing to be read", async () => {
  const { wire } = new Peer(true);
  wire.handleData(Buffer.from("unread"));
  wire.close(1_000);
  expect([wire.readNow(), await wire.read(), wire.hasBytes]).toEqual([null, null, false]);
  wire.terminate();
});

test("a peer that breaks in the middle of a turn costs nobody else a byte", async () => {
  const [broken, whole] = [new Peer(true), new Peer(true)];
  broken.write = () => {
    // As a socket that finds while it writes that the other side is gone.
    broken.isOver = true;
    broken.wire.handleClose(new Error("reset"));
    whole.say(", and what its end has written", false);
    return -1;
  };
  broken.say("lost", true);
  whole.write = (bytes, from, to) => {
    whole.sent += bytes.toString("latin1", from, to);
    return to - from;
  };
  whole.say("what was there", true);
  await Bun.sleep(5);
  expect(whole.sent).toBe("what was there, and what its end has written");
});

test("a head for which there is no room is an error, and leaves nothing", async () => {
  const peer = new Peer(true);
  peer.write = (bytes, from, to) => {
    peer.sent += bytes.toString("latin1", from, to);
    return to - from;
  };
  expect(() => peer.wire.writeHead(10, (out) => out.bytes(Buffer.alloc(3e6), 0, 3e6))).toThrow(
    "no room for 3000000 bytes",
  );
  peer.wire.write(Buffer.from("next"));
  await Bun.sleep(5);
  expect(peer.sent).toBe("next");
});

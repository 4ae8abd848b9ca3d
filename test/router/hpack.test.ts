import { describe, expect, test } from "bun:test";
import { encodeFields, HpackDecoder, HpackError, type Field } from "../../src/router/hpack.ts";

const bytesOf = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");
const decodeOne = (hex: string) => new HpackDecoder().decode(bytesOf(hex), 10_000);

const first: Field[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const third: Field[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/index.html"],
  [":authority", "www.example.com"],
  ["custom-key", "custom-value"],
];

describe("the requests of RFC 7541, appendix C, are read as they are meant", () => {
  const examples = {
    "as they are (C.3)": [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
    "with Huffman's code (C.4)": [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
  };
  for (const [how, blocks] of Object.entries(examples))
    test(how, () => {
      const decoder = new HpackDecoder();
      const [one, two, three] = blocks.map((block) => decoder.decode(bytesOf(block), 10_000));
      expect(one).toEqual(first);
      expect(two).toEqual([...first, ["cache-control", "no-cache"]]);
      expect(three).toEqual(third);
    });
});

test("a table that is made smaller forgets its oldest entries (RFC 7541, C.6)", () => {
  const decoder = new HpackDecoder();
  const [one, two, three] = [
    "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    "4883 640e ffc1 c0bf",
    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
  ].map((block) => decoder.decode(bytesOf(block), 10_000));
  const date = (second: number): Field => ["date", `Mon, 21 Oct 2013 20:13:${second} GMT`];
  const location: Field = ["location", "https://www.example.com"];
  const cache: Field = ["cache-control", "private"];
  expect(one).toEqual([[":status", "302"], cache, date(21), location]);
  expect(two).toEqual([[":status", "307"], cache, date(21), location]);
  expect(three).toEqual([
    [":status", "200"],
    cache,
    date(22),
    location,
    ["content-encoding", "gzip"],
    ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
  ]);
  expect(() => decoder.decode(bytesOf("c2"), 10_000)).toThrow(HpackError);
});

test("each byte has its Huffman code", () => {
  const coded =
    "ffc7fffd8fffffe2fffffe3fffffe4fffffe5fffffe6fffffe7fffffe8ffffeafffffff3fffffa7fffffabffffffdfffffebfffffecfffffedfffffeefffffefffffff0ffffff1ffffff2fffffffbfffffcffffffd3fffffd7fffffdbfffffdffffffe3fffffe7fffffebfffffed4fe3f9ffaffcabf1febfafefe7fdfd2cbb00089969b71d79fb9f7fff20ffbff3ff50ddbd7f061c58f265cd9f469d5af66dddbf871e5f9cff7ff7fffc3ff9ffe45fff4719242cb34e6e9d68a6a3d7dac426defe3cfaf7fffbfe7ffbffdffffffcfffe6ffff4bfff9ffffa3fffd3ffff53fffd5ffffb3fffeb7fffdaffffb7ffff73fffeeffffdeffffebffffbfffffd9ffffdbfffebffffe0ffffeeffffc3ffff8bffff1ffffe4fffee7fffb1ffff97fffd9ffffcdffff9fffffbffffdafffeeffff4ffffb7fffee7fffe8ffffd3fffdeffffd5fffeeffffbdffffe1fffdfffff7fffff5ffffecffff07fff87fffe0ffff17fffedffff87ffff77fffeffffeaffff8bfffe3ffff93ffff87fffcbffff37ffff1fffff83ffffe1fffebfffe3ffff3fffff2ffffa3ffffd9fffff17ffffc7fffff27ffffdefffffbffffff2fffff8fffffb7fff97fff8fffffe6fffffc1fffff87ffffe7fffffc5ffffe5fffe4ffff2fffffd1fffff4ffffffefffffe3fffffc9fffff97fffb3ffffcffffb7fffcdffff4ffff9ffffd1ffffcffffeaffffafffffddffffeffffff4fffff5fffffabffffa7ffffd7fffff9bffffecfffffb7fffff3fffffe8fffffd3fffffabfffff5fffffff7ffffecfffffdbfffffbbfffff7ffffff0fffffbbf";
  // A literal: the name "x" as it is, then 583 bytes (0x7f + 456) of code.
  const fields = decodeOne(`00 01 78 ff c803 ${coded}`);
  const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString("latin1");
  expect(fields).toEqual([["x", all]]);
});

describe("a block that can't be read is an error, since none after it could be", () => {
  const bad: Record<string, string> = {
    "the index 0": "80",
    "an index beyond both tables": "be",
    "an index far beyond": "ff ffff ff07",
    "a number without end": "ff ffff ffff ffff ffff",
    "a name that is cut": "40 0a 6375",
    "a value that is cut": "40 01 61 7f 01",
    "an index that is cut": "ff",
    "nothing after a name": "04",
    "Huffman padding with a zero": "04 81 00",
    "Huffman padding of a whole byte": "04 84 62 ffff ff",
    "the end of string inside a string": "04 85 ffff ffff ff",
    "a table larger than ours": "3f e2 1f",
    "another table size after a field": "82 20",
  };
  for (const [what, hex] of Object.entries(bad))
    test(what, () => expect(() => decodeOne(hex)).toThrow(HpackError));
});

test("fields that a few bytes stand for are counted in full, not kept, and leave the table whole", () => {
  const decoder = new HpackDecoder();
  const long = "x".repeat(3_000);
  const block = Buffer.concat([
    bytesOf("40 01 61 7f b916"),
    Buffer.from(long),
    Buffer.alloc(100_000, 0xbe),
  ]);
  expect(decoder.decode(block, 100_000)).toBe("too long");
  expect(decoder.decode(bytesOf("be"), 100_000)).toEqual([["a", long]]);
});

test("what is written is read again, whatever the bytes and however long", () => {
  const fields: Field[] = [
    [":status", "200"],
    [":status", "999"],
    ["content-type", "text/plain"],
    ["set-cookie", "secret"],
    ["x-empty", ""],
    ["x-bytes", Buffer.from([9, 32, 127, 128, 255]).toString("latin1")],
    ...[126, 127, 128, 254, 255, 100_000].map((length): Field => [
      `x-${length}`,
      "v".repeat(length),
    ]),
  ];
  expect(new HpackDecoder().decode(encodeFields(fields), 1_000_000)).toEqual(fields);
  expect(encodeFields([])).toHaveLength(0);
  // Never to be put into a table on the way (RFC 7541 §7.1.3).
  expect(encodeFields([["set-cookie", "a=1"]])[0]! & 0xf0).toBe(0x10);
});

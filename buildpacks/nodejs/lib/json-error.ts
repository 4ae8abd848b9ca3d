type Expectation = "value" | "value or ]" | "key" | "key or }" | ":" | ", or closing" | "end";

const space = /[ \t\r\n]*/y;
// Lines and other control characters may not stand bare in a JSON string.
// oxlint-disable-next-line no-control-regex
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null)\b/y;

/** Where a text stops being JSON (Bun's own parser says only that it does), or undefined if it is JSON. */
export function findJsonError(text: string): { line: number; column: number } | undefined {
  const open: ("}" | "]")[] = [];
  let expected: Expectation = "value";
  let offset = 0;

  const take = (pattern: RegExp) => {
    pattern.lastIndex = offset;
    const [found] = pattern.exec(text) ?? [];
    offset += found?.length ?? 0;
    return found !== undefined;
  };
  const takeCharacter = (character: string) => text[offset] === character && ++offset > 0;
  const afterValue = (): Expectation => (open.length > 0 ? ", or closing" : "end");

  for (;;) {
    take(space);
    const valueMayCome = expected === "value" || expected === "value or ]";
    const keyMayCome = expected === "key" || expected === "key or }";
    const closing = open.at(-1);
    const mayClose =
      expected === ", or closing" || expected === "value or ]" || expected === "key or }";

    if (expected === "end" && offset === text.length) return undefined;
    else if (mayClose && closing && takeCharacter(closing)) {
      open.pop();
      expected = afterValue();
    } else if (valueMayCome && takeCharacter("{")) {
      open.push("}");
      expected = "key or }";
    } else if (valueMayCome && takeCharacter("[")) {
      open.push("]");
      expected = "value or ]";
    } else if (valueMayCome && (take(string) || take(scalar))) expected = afterValue();
    else if (keyMayCome && take(string)) expected = ":";
    else if (expected === ":" && takeCharacter(":")) expected = "value";
    else if (expected === ", or closing" && takeCharacter(","))
      expected = closing === "}" ? "key" : "value";
    else return positionOf(text, offset);
  }
}

function positionOf(text: string, offset: number) {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

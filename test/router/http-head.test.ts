import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { parseRequestHead, parseResponseHead } from "../../src/router/http-head.ts";
import { ChunkedDecoder } from "../../src/router/http-body.ts";
import {
  demoTable,
  dynoThatAnswers,
  type FakeDyno,
  ok,
  openClient,
  startTestRouter,
  type TestRouter,
} from "./router-fixture.ts";

const parse = (text: string) => parseRequestHead(Buffer.from(text, "latin1"));
const start = "POST / HTTP/1.1\r\nHost: a.test\r\n";

const refused: Record<string, string> = {
  "two lengths": `${start}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`,
  "two lengths in one": `${start}Content-Length: 1, 2\r\n\r\n`,
  "a length with a sign": `${start}Content-Length: +1\r\n\r\n`,
  "a negative length": `${start}Content-Length: -1\r\n\r\n`,
  "a hexadecimal length": `${start}Content-Length: 0x1\r\n\r\n`,
  "an empty length": `${start}Content-Length:\r\n\r\n`,
  "an enormous length": `${start}Content-Length: 99999999999999999999\r\n\r\n`,
  "a coding before chunked": `${start}Transfer-Encoding: gzip, chunked\r\n\r\n`,
  "chunked twice": `${start}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
  "a coding spelt wrong": `${start}Transfer-Encoding: xchunked\r\n\r\n`,
  "a coding with a vertical tab": `${start}Transfer-Encoding: \vchunked\r\n\r\n`,
  "a coding after chunked": `${start}Transfer-Encoding: chunked, gzip\r\n\r\n`,
  "chunked and identity": `${start}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n`,
  "chunked twice in one": `${start}Transfer-Encoding: chunked, chunked\r\n\r\n`,
  "chunked with a comma": `${start}Transfer-Encoding: chunked,\r\n\r\n`,
  "chunked after a comma": `${start}Transfer-Encoding: ,chunked\r\n\r\n`,
  "chunked in quotes": `${start}Transfer-Encoding: "chunked"\r\n\r\n`,
  "chunked with a parameter": `${start}Transfer-Encoding: chunked;q=1\r\n\r\n`,
  "chunked with a form feed": `${start}Transfer-Encoding: chunked\f\r\n\r\n`,
  "chunked with a no-break space": `${start}Transfer-Encoding: chunked\xa0\r\n\r\n`,
  "chunked with a zero byte": `${start}Transfer-Encoding: chunked\0\r\n\r\n`,
  "a zero byte in the coding's name": `${start}Transfer-Encoding\0: chunked\r\n\r\n`,
  "a tab before the colon": `${start}Transfer-Encoding\t: chunked\r\n\r\n`,
  "a folded line before the coding": `${start}X: 1\r\n Transfer-Encoding: chunked\r\n\r\n`,
  "a folded line that begins the headers": `POST / HTTP/1.1\r\n Host: a.test\r\nHost: a.test\r\n\r\n`,
  "two codings of which one is spelt in capitals": `${start}TRANSFER-ENCODING: x\r\nTransfer-encoding: chunked\r\n\r\n`,
  "two lengths of other spelling": `${start}Content-Length: 1\r\ncontent-length: 2\r\n\r\n`,
  "a length with a zero before it, and one without": `${start}Content-Length: 01\r\nContent-Length: 1\r\n\r\n`,
  "a length in two parts": `${start}Content-Length: 1 0\r\n\r\n`,
  "a length with an exponent": `${start}Content-Length: 1e1\r\n\r\n`,
  "a length with a point": `${start}Content-Length: 1.0\r\n\r\n`,
  "a length with an underscore": `${start}Content-Length: 1_0\r\n\r\n`,
  "a length with a vertical tab": `${start}Content-Length: \v1\r\n\r\n`,
  "a length of other digits": `${start}Content-Length: \xb2\r\n\r\n`,
  "a length of no number": `${start}Content-Length: NaN\r\n\r\n`,
  "a length and a comma": `${start}Content-Length: 1,\r\n\r\n`,
  "a length with a sign and one without": `${start}Content-Length: 5\r\nContent-Length: +5\r\n\r\n`,
  "a length of 2^64": `${start}Content-Length: 18446744073709551616\r\n\r\n`,
  "a length with thousands of digits": `${start}Content-Length: ${"0".repeat(5_000)}5\r\n\r\n`,
  "a negative zero as length": `${start}Content-Length: -0\r\n\r\n`,
  "a folded length": `${start}Content-Length:\r\n 5\r\n\r\n`,
  "a zero byte in a length": `${start}Content-Length: 5\0\r\n\r\n`,
  "a carriage return after chunked": `${start}Transfer-Encoding: chunked\r\r\n\r\n`,
  "a carriage return before the coding's name": `${start}X: 1\r\n\rTransfer-Encoding: chunked\r\n\r\n`,
  "a carriage return before chunked": `${start}Transfer-Encoding:\rchunked\r\n\r\n`,
  "a line feed before chunked": `${start}Transfer-Encoding:\nchunked\r\n\r\n`,
  "a blank before the coding's name": `${start}X: 1\r\n  Transfer-Encoding: chunked\r\n\r\n`,
  "a coding with an equals sign": `${start}Transfer-Encoding=chunked\r\n\r\n`,
  "a byte above ASCII in the coding's name": `${start}Transfer-Encoding\xa0: chunked\r\n\r\n`,
  "a byte order mark": `\xef\xbb\xbfGET / HTTP/1.1\r\nHost: a.test\r\n\r\n`,
  "chunked in single quotes": `${start}Transfer-Encoding: 'chunked'\r\n\r\n`,
  "chunked and nothing": `${start}Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n\r\n`,
  "chunk, ed on two lines": `${start}Transfer-Encoding: chunk\r\n ed\r\n\r\n`,
  "a deflate before chunked on its own line": `${start}Transfer-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n`,
  "a line feed at the head's end": `${start}X: 1\r\n\n`,
  "a carriage return for a line's end": "GET / HTTP/1.1\rHost: a.test\r\r\r\n\r\n",
  identity: `${start}Transfer-Encoding: identity\r\n\r\n`,
  "an empty coding": `${start}Transfer-Encoding:\r\n\r\n`,
  "a blank before the colon": `${start}Transfer-Encoding : chunked\r\n\r\n`,
  "a folded line": `${start}Transfer-Encoding:\r\n chunked\r\n\r\n`,
  "a line that starts with a tab": `${start}\tTransfer-Encoding: chunked\r\n\r\n`,
  "a line without colon": `${start}Transfer-Encoding\r\n\r\n`,
  "a bare line feed": `${start}X: 1\nTransfer-Encoding: chunked\r\n\r\n`,
  "bare line feeds only": "GET / HTTP/1.1\nHost: a.test\n\n",
  "a bare carriage return": `${start}X: 1\rTransfer-Encoding: chunked\r\n\r\n`,
  "a zero byte": `${start}X: a\0b\r\n\r\n`,
  "chunked in HTTP/1.0": "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n",
  "no host": "GET / HTTP/1.1\r\n\r\n",
  "no host in HTTP/1.0": "GET / HTTP/1.0\r\n\r\n",
  "two hosts": "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
  "two hosts that agree": "GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
  "two hosts of other spelling": "GET / HTTP/1.1\r\nHost: a.test\r\nhost: b.test\r\n\r\n",
  "a host and a folded one": "GET / HTTP/1.1\r\nHost: a.test\r\n b.test\r\n\r\n",
  "a host with a blank before its colon": "GET / HTTP/1.1\r\nHost : a.test\r\n\r\n",
  "a host with a zero byte": "GET / HTTP/1.1\r\nHost: a.test\0.b.test\r\n\r\n",
  "an absolute target and two hosts":
    "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
  "an absolute target and no host": "GET http://a.test/ HTTP/1.1\r\n\r\n",
  "an absolute target of the host with a user and another":
    "GET http://a.test@b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "an empty host": "GET / HTTP/1.1\r\nHost:\r\n\r\n",
  "a host with a blank": "GET / HTTP/1.1\r\nHost: a.test b.test\r\n\r\n",
  "a host with a path": "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n",
  "a host with a percent": "GET / HTTP/1.1\r\nHost: %61.test\r\n\r\n",
  "a host with two ports": "GET / HTTP/1.1\r\nHost: a.test:80:80\r\n\r\n",
  "a host with a port of letters": "GET / HTTP/1.1\r\nHost: a.test:x\r\n\r\n",
  "a host with half an address": "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
  "a host with a comma": "GET / HTTP/1.1\r\nHost: a.test,b.test\r\n\r\n",
  "a host with a user": "GET / HTTP/1.1\r\nHost: x@a.test\r\n\r\n",
  "an absolute target of another host": "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "an absolute target without a host": "GET http:///x HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "an absolute target with a blank": "GET http://a.test /x HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "an absolute target of another protocol": "GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "an absolute target with a backslash":
    "GET http://a.test\\@b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "a target of two lines": "GET /\r HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "a target with a zero byte": "GET /\0 HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "a target with a form feed": "GET /\f HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "a target with a fragment": "GET /#x HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "an asterisk of a GET": "GET * HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "a target and another": "GET /a /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "a target with a user": "GET http://x@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "a target without slash": "GET x HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "two blanks": "GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "a tab for a blank": "GET\t/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "a blank at the end": "GET / HTTP/1.1 \r\nHost: a.test\r\n\r\n",
  "no version": "GET /\r\nHost: a.test\r\n\r\n",
  "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "HTTP/1.2": "GET / HTTP/1.2\r\nHost: a.test\r\n\r\n",
  "HTTP/0.9": "GET / HTTP/0.9\r\nHost: a.test\r\n\r\n",
  "HTTP/01.1": "GET / HTTP/01.1\r\nHost: a.test\r\n\r\n",
  "a version in small letters": "GET / http/1.1\r\nHost: a.test\r\n\r\n",
  "no method": " / HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "two empty lines before it": "\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "HTTP/1.10": "GET / HTTP/1.10\r\nHost: a.test\r\n\r\n",
  "a method with a colon": "GE:T / HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "clause 59: CONNECT": "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "clause 56: a header line over 8192 bytes": `${start}X: ${"x".repeat(8_190)}\r\n\r\n`,
  "a request line over 8192 bytes": `GET /${"x".repeat(8_190)} HTTP/1.1\r\nHost: a.test\r\n\r\n`,
  "a header line that never ends": `${start}X: ${"x".repeat(9_000)}`,
  "more than 1000 headers": `${start}${"X: 1\r\n".repeat(1_000)}\r\n`,
  "a header name over 1000 bytes": `${start}${"x".repeat(1_001)}: 1\r\n\r\n`,
  "a method over 127 characters": `${"X".repeat(128)} / HTTP/1.1\r\nHost: a.test\r\n\r\n`,
};

describe("a request that can be read in two ways, or is too large, is bad", () => {
  for (const [what, text] of Object.entries(refused))
    test(what, () => expect(parse(text).kind).toBe("bad"));
});

describe("a good request", () => {
  const head = (text: string) => {
    const parsed = parse(text);
    if (parsed.kind !== "head") throw new Error(JSON.stringify(parsed));
    return parsed.head;
  };

  test("may come in absolute form and goes on in origin form", () => {
    expect(head("GET http://A.test:80/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n")).toMatchObject({
      target: "/x?y",
      host: "a.test",
    });
    expect(head("GET http://a.test?y HTTP/1.1\r\nHost: a.test\r\n\r\n").target).toBe("/?y");
  });

  test("may say its length twice, if both agree", () => {
    const both = `${start}Content-Length: 5\r\nContent-Length: 5\r\n\r\n`;
    expect(head(both).body).toEqual({ kind: "length", bytes: 5 });
    const inOne = `${start}Content-Length: 5, 5\r\n\r\n`;
    expect(head(inOne).body).toEqual({ kind: "length", bytes: 5 });
  });

  test("with a length and chunked is chunked, and the last of its connection", () => {
    const both = `${start}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`;
    expect(head(both)).toMatchObject({ body: { kind: "chunked" }, keepAlive: false });
  });

  test("keeps its connection by the habit of its version", () => {
    const of = (version: string, line: string) =>
      head(`GET / HTTP/${version}\r\nHost: a.test\r\n${line}\r\n`).keepAlive;
    expect([of("1.1", ""), of("1.1", "Connection: close\r\n")]).toEqual([true, false]);
    expect([of("1.0", ""), of("1.0", "Connection: Keep-Alive\r\n")]).toEqual([false, true]);
  });

  test("is read wherever its bytes are cut", () => {
    const text = `${start}Content-Length: 5\r\n\r\nhello`;
    for (let end = 0; end < text.length - 5; end++)
      expect(parse(text.slice(0, end)).kind).toBe("incomplete");
    expect(parse(text)).toMatchObject({ kind: "head", byteLength: text.length - 5 });
  });
});

describe("a response", () => {
  const kind = (text: string, method = "GET") => {
    const parsed = parseResponseHead(Buffer.from(text, "latin1"), { method });
    return parsed.kind === "bad"
      ? parsed.reason
      : parsed.kind === "head"
        ? parsed.head.body.kind
        : "";
  };

  test("to HEAD, 204 and 304 has no body, whatever it says", () => {
    expect(kind("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD")).toBe("none");
    expect(kind("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n")).toBe("none");
    expect(kind("HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n")).toBe("none");
  });

  test("that is no HTTP is H17", () => {
    expect(kind("hello\r\n\r\n")).toBe("H17");
    expect(kind("HTTP/1.1 200\r\n\r\n")).toBe("H17");
    expect(kind("HTTP/1.1 200 OK\r\nX : 1\r\n\r\n")).toBe("H17");
  });

  test("clause 57: beyond a limit is H25", () => {
    expect(kind(`HTTP/1.1 200 OK\r\nSet-Cookie: ${"x".repeat(8_192)}\r\n\r\n`)).toBe("H25-cookie");
    expect(kind(`HTTP/1.1 200 OK\r\nX: ${"x".repeat(600_000)}\r\n\r\n`)).toBe("H25-header");
    expect(kind(`HTTP/1.1 200 ${"x".repeat(9_000)}\r\n\r\n`)).toBe("H25-status");
    expect(kind("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")).toBe(
      "H25-length",
    );
  });
});

describe("a chunked body", () => {
  const decode = (text: string, pieceBytes = text.length) => {
    const decoder = new ChunkedDecoder();
    let payload = "";
    for (let at = 0; at < text.length; at += pieceBytes) {
      const bytes = Buffer.from(text.slice(at, at + pieceBytes), "latin1");
      const { pieces, rest } = decoder.push(bytes);
      payload += pieces.join("");
      if (rest !== undefined) return { payload, rest: rest.toString() };
    }
    return { payload, rest: undefined };
  };

  test("is read wherever its bytes are cut", () => {
    const text = "5;ext=1\r\nhello\r\n00006\r\n world\r\n0\r\nTrailer: 1\r\n\r\n";
    for (let pieceBytes = 1; pieceBytes <= text.length; pieceBytes++)
      expect(decode(text, pieceBytes)).toEqual({ payload: "hello world", rest: "" });
    expect(decode(`${text}GET `).rest).toBe("GET ");
  });

  for (const text of [
    "5\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n",
    "5 5\r\nhello\r\n",
    "5_0\r\nhello\r\n",
    "5\0\r\nhello\r\n",
    "5\v\r\nhello\r\n",
    "g\r\nhello\r\n",
    "5,5\r\nhello\r\n",
    ";a\r\nhello\r\n",
    "5;a\nb\r\nhello\r\n",
    "5;a\0b\r\nhello\r\n",
    "5\r\r\nhello\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhello\r\n\r\n0\r\n\r\n",
    "00000000000005\r\nhello\r\n",
    "0\r\n\n",
    "0\r\nX : 1\r\n\r\n",
    "0\r\n X: 1\r\n\r\n",
    "-5\r\nhello\r\n",
    " 5\r\nhello\r\n",
    "5\r\nhelloX\r\n",
    "5\r\nhello\n0\r\n",
    "\r\n",
    "5;\r;\r\nhello\r\n",
    "ffffffffffffffff\r\nx",
    `5;${"x".repeat(5_000)}\r\nhello\r\n`,
    "0\r\nbad trailer\r\n\r\n",
  ])
    test(`refuses ${JSON.stringify(text.slice(0, 24))}`, () =>
      expect(() => decode(text)).toThrow("bad chunk"));
});

describe("clause 56: a bad request gets 400 and a closed connection, and no dyno sees it or what follows:", () => {
  let router: TestRouter;
  let dyno: FakeDyno;
  beforeAll(async () => {
    router = await startTestRouter();
    dyno = dynoThatAnswers(ok("served"));
    const hosts = { "a.test": { app: "app-1" }, "b.test": { app: "app-1" } };
    await router.put({ ...demoTable([dyno]), hosts });
  });
  afterAll(async () => {
    dyno.stop();
    await router[Symbol.asyncDispose]();
  });
  for (const [what, text] of Object.entries(refused))
    test(what, async () => {
      const before = dyno.connections.length;
      const client = await openClient(router.port);
      client.send(`${text}GET / HTTP/1.1\r\nHost: a.test\r\n\r\n`);
      const response = await client.toEnd();
      expect(response).toStartWith("HTTP/1.1 400 Bad Request\r\n");
      expect(response.match(/HTTP\/1\.1 /g)).toHaveLength(1);
      expect(dyno.connections).toHaveLength(before);
      const good = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
      expect(await router.ask(good)).toEndWith("served");
    });
});

test("H26: a request with a bad header is in the log of the app that it names, and of no other", async () => {
  await using router = await startTestRouter();
  await router.route([]);
  const bad = (head: string) => router.ask(`GET /x" HTTP/1.1\r\n${head}\r\n\r\n`);
  await bad("Content-Length: +1\r\nHost: nobody.test");
  await bad("Host: demo.test\r\nHost: demo.test");
  await bad("Content-Length: +1");
  await bad("X: 1\r\n folded\r\nX-Forwarded-For: 1\r\nHost: Demo.test:80");
  await bad(`Host: demo.test\r\nX: ${"x".repeat(9_000)}`);
  const tooLong = `/${"x".repeat(9_000)}`;
  await router.ask(`GET ${tooLong} HTTP/1.1\r\nHost: demo.test\r\n\r\n`);
  expect((await router.logLines(3)).at(-1)).toContain(
    `code=H26 desc="Request Error" cause="bad header" sock=client method=GET path="${tooLong}"`,
  );
  const lines = await router.logLines(3);
  expect(lines).toHaveLength(3);
  for (const [index, fwd] of ["1, 127.0.0.1", "127.0.0.1"].entries())
    expect(lines[index]).toMatch(
      new RegExp(
        `^at=error code=H26 desc="Request Error" cause="bad header" sock=client method=GET path="/x\\\\"" host=demo\\.test request_id=[0-9a-f-]{36} fwd="${fwd}" dyno= connect= service= status=400 bytes=0 protocol=http1\\.1 tls=false$`,
      ),
    );
});

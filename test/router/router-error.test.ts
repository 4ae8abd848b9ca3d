import { expect, test } from "bun:test";
import { requestLogLine } from "../../src/router/request-log.ts";
import { routerErrors, type RouterErrorCode } from "../../src/router/router-error.ts";

/**
 * Contract §3.7, but for what can't occur here: H16 and H23 are retired; H32: a name without a certificate ends
 * in the handshake, before any request; H33: a broken stream of HTTP/2 is its client's end of the request (H27);
 * H82 and H83 are of Heroku's own business. Each of these is provoked in a test that says its code.
 */
const rows = [
  'at=error code=H10 desc="App crashed" 503',
  'at=error code=H11 desc="Backlog too deep" 503',
  'at=error code=H12 desc="Request timeout" 503',
  'at=error code=H13 desc="Connection closed without response" 503',
  'at=error code=H14 desc="No web processes running" 503',
  'at=error code=H15 desc="Idle connection" 503',
  'at=error code=H17 desc="Poorly formatted HTTP response" 503',
  'at=error code=H18 desc="Server Request Interrupted" sock=backend 503',
  'at=error code=H19 desc="Backend connection timeout" 503',
  'at=error code=H20 desc="App boot timeout" 503',
  'at=error code=H21 desc="Backend connection refused" 503',
  'at=error code=H22 desc="Connection limit reached" 503',
  'at=error code=H24 desc="Forced close" 503',
  'at=error code=H25 desc="HTTP restriction: invalid content length" 502',
  'at=error code=H25 desc="HTTP restriction: oversized cookie" 502',
  'at=error code=H25 desc="HTTP restriction: oversized header" 502',
  'at=error code=H25 desc="HTTP restriction: oversized status line" 502',
  'at=error code=H26 desc="Request Error" cause="unsupported expect header value" sock=client 417',
  'at=error code=H26 desc="Request Error" cause="bad header" sock=client 400',
  'at=error code=H26 desc="Request Error" cause="bad chunk" sock=client 400',
  'at=warning code=H27 desc="Client Request Interrupted" sock=client 499',
  'at=warning code=H28 desc="Client Connection Idle" sock=client 499',
  'at=error code=H31 desc="Misdirected Request" 421',
  'at=error code=H34 desc="All up dynos are quarantined" 503',
  'at=info code=H80 desc="Maintenance mode" 503',
  'at=info code=H81 desc="Blank app" 502',
  'at=error code=H99 desc="Platform error" 503',
];

test("each code is one row, with its words and status", () => {
  const codes = (Object.keys(routerErrors) as RouterErrorCode[]).filter((code) =>
    code.startsWith("H"),
  );
  const seen = codes.map((code) => {
    const { status } = routerErrors[code];
    const line = requestLogLine({
      ...{ failure: code, method: "GET", path: "/", host: "a.test", requestId: "id", status },
      ...{ forwardedFor: "::1", version: "1.1" },
    });
    return `${line.slice(0, line.indexOf(" method="))} ${/status=(\d+)/.exec(line)?.[1]}`;
  });
  expect(seen.toSorted()).toEqual(rows.toSorted());
});

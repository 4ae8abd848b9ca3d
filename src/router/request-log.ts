import type { HttpVersion } from "./http-head.ts";
import { routerError, type RouterErrorCode } from "./router-error.ts";

/** What is known of a request when it has ended. */
export interface RequestRecord {
  failure?: RouterErrorCode | undefined;
  method: string;
  path: string;
  host: string;
  requestId: string;
  forwardedFor: string;
  dyno?: string | undefined;
  connectMs?: number | undefined;
  serviceMs?: number | undefined;
  status: number;
  bytes?: number | undefined;
  version: HttpVersion;
  /** `tls1.3`; nothing for plain HTTP. */
  tlsVersion?: string | undefined;
}

/** The router's log line (contract §3.6, the form of Router 2.0); what is not known stays empty. */
export function requestLogLine(record: RequestRecord): string {
  const row = record.failure === undefined ? undefined : routerError(record.failure);
  const error =
    row === undefined
      ? "at=info"
      : `at=${row.at}${codeOf(record.failure)} desc="${row.desc}"` +
        (row.cause === undefined ? "" : ` cause="${row.cause}"`) +
        (row.sock === undefined ? "" : ` sock=${row.sock}`);
  return (
    `${error} method=${record.method} path="${escaped(record.path)}" host=${record.host} ` +
    `request_id=${record.requestId} fwd="${escaped(record.forwardedFor)}" ` +
    `dyno=${record.dyno ?? ""} connect=${milliseconds(record.connectMs)} ` +
    `service=${milliseconds(record.serviceMs)} status=${record.status} ` +
    `bytes=${record.bytes ?? ""} protocol=http${record.version} ` +
    (record.tlsVersion === undefined ? "tls=false" : `tls=true tls_version=${record.tlsVersion}`)
  );
}

/** H codes are Heroku's; what the app's own rules refuse has none. */
function codeOf(failure: RouterErrorCode | undefined): string {
  return /^H\d/.test(failure ?? "") ? ` code=${failure?.slice(0, 3)}` : "";
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? "" : `${Math.floor(value)}ms`;
}

/** Nothing of a request may end a quoted value or a line, or move a terminal's cursor. */
function escaped(text: string): string {
  return text.replace(/["\\]|[^\x20-\x7e]/g, (character) =>
    character === '"' || character === "\\"
      ? `\\${character}`
      : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

/** The second that was written last: there are many lines in one. */
let lastSecond = { number: 0, text: "" };

/** Now, to the microsecond, as the logs write it. */
export function timestamp(): string {
  const microseconds = Math.floor((performance.timeOrigin + performance.now()) * 1_000);
  const number = Math.floor(microseconds / 1_000_000);
  if (number !== lastSecond.number)
    lastSecond = { number, text: new Date(number * 1_000).toISOString().slice(0, 19) };
  return `${lastSecond.text}.${String(microseconds % 1_000_000).padStart(6, "0")}+00:00`;
}

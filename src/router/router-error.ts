/** Which page goes with an error. */
export type ErrorPage =
  | "application-error"
  | "maintenance"
  | "welcome"
  | "no-page"
  | "forbidden"
  | "unauthorized"
  | "too-many-requests";

export interface RouterErrorRow {
  desc: string;
  status: number;
  at: "error" | "warning" | "info";
  page: ErrorPage;
  /** Which of the two sockets failed, where the log line says so. */
  sock?: "client" | "backend";
  /** What exactly was wrong, where the code has several causes. */
  cause?: string;
}

const error = { status: 503, at: "error", page: "application-error" } as const;
const clientLeft = { status: 499, at: "warning", page: "no-page", sock: "client" } as const;
const badResponse = { status: 502, at: "error", page: "application-error" } as const;
const badRequest = { status: 400, at: "error", page: "no-page", sock: "client" } as const;

/**
 * All the ways in which a request can fail (contract §3.7), a row each. H25 and H26 are one code
 * with several descriptions, so their rows carry a suffix that the log line does not show.
 */
export const routerErrors = {
  H10: { ...error, desc: "App crashed" },
  H11: { ...error, desc: "Backlog too deep" },
  H12: { ...error, desc: "Request timeout" },
  H13: { ...error, desc: "Connection closed without response" },
  H14: { ...error, desc: "No web processes running" },
  H15: { ...error, desc: "Idle connection" },
  H17: { ...error, desc: "Poorly formatted HTTP response" },
  H18: { ...error, desc: "Server Request Interrupted", sock: "backend" },
  H19: { ...error, desc: "Backend connection timeout" },
  H20: { ...error, desc: "App boot timeout" },
  H21: { ...error, desc: "Backend connection refused" },
  H22: { ...error, desc: "Connection limit reached" },
  H24: { ...error, desc: "Forced close" },
  "H25-length": { ...badResponse, desc: "HTTP restriction: invalid content length" },
  "H25-cookie": { ...badResponse, desc: "HTTP restriction: oversized cookie" },
  "H25-header": { ...badResponse, desc: "HTTP restriction: oversized header" },
  "H25-status": { ...badResponse, desc: "HTTP restriction: oversized status line" },
  "H26-expect": {
    ...badRequest,
    desc: "Request Error",
    status: 417,
    cause: "unsupported expect header value",
  },
  "H26-header": { ...badRequest, desc: "Request Error", cause: "bad header" },
  "H26-chunk": { ...badRequest, desc: "Request Error", cause: "bad chunk" },
  H27: { ...clientLeft, desc: "Client Request Interrupted" },
  H28: { ...clientLeft, desc: "Client Connection Idle" },
  H31: { desc: "Misdirected Request", status: 421, at: "error", page: "no-page" },
  H34: { ...error, desc: "All up dynos are quarantined" },
  H80: { desc: "Maintenance mode", status: 503, at: "info", page: "maintenance" },
  // The documentation says 503; real logs say 502.
  H81: { desc: "Blank app", status: 502, at: "info", page: "welcome" },
  // The app's own rules, which Heroku does not have: no code.
  "forbidden address": { desc: "Address not allowed", status: 403, at: "info", page: "forbidden" },
  unauthorized: { desc: "Password needed", status: 401, at: "info", page: "unauthorized" },
  "rate limit": {
    desc: "Rate limit exceeded",
    status: 429,
    at: "warning",
    page: "too-many-requests",
  },
  H99: { ...error, desc: "Platform error" },
} as const satisfies Record<string, RouterErrorRow>;

export type RouterErrorCode = keyof typeof routerErrors;

/** A row of the table. */
export function routerError(code: RouterErrorCode): RouterErrorRow {
  return routerErrors[code];
}

/** A failure that the person at the other end can act on. Anything else thrown is a bug of ours. */
export class PlatformError extends Error {
  override readonly name = "PlatformError";
  readonly id: ErrorId;

  /** Which kind of thing was not found, for clients that go by it. */
  readonly resource: string | undefined;

  constructor(id: ErrorId, message: string, options: ErrorOptions & { resource?: string } = {}) {
    super(message, options);
    this.id = id;
    this.resource = options.resource;
  }
}

/** Heroku's error ids (contract §9.1). Their HTTP statuses live in api/respond-to-error.ts. */
export type ErrorId =
  | "bad_request"
  | "unauthorized"
  | "forbidden"
  | "two_factor"
  | "not_found"
  | "not_acceptable"
  | "conflict"
  | "gone"
  | "precondition_failed"
  | "rate_limit"
  | "not_implemented"
  | "requested_range_not_satisfiable"
  | "invalid_params"
  | "unavailable";

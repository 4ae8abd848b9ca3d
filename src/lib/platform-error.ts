/** A failure that the person at the other end can act on. Anything else thrown is a bug of ours. */
export class PlatformError extends Error {
  override readonly name = "PlatformError";
  readonly id: ErrorId;

  constructor(id: ErrorId, message: string, options?: ErrorOptions) {
    super(message, options);
    this.id = id;
  }
}

/** Heroku's error ids (contract §9.1). Their HTTP statuses live in api/respond-to-error.ts. */
export type ErrorId =
  | "bad_request"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "not_acceptable"
  | "conflict"
  | "gone"
  | "invalid_params"
  | "unavailable";

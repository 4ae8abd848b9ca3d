/** What could not be done, said in ` ▸    ` lines; exit status 1. */
export class CommandFailure extends Error {
  override readonly name: string = "CommandFailure";
  readonly exitStatus: number = 1;
}

/** The API refused; `id` is one of its error ids, as `not_found`. */
export class RefusedByServer extends CommandFailure {
  override readonly name = "RefusedByServer";
  readonly id: string | undefined;
  constructor(message: string, id: string | undefined) {
    super(message);
    this.id = id;
  }
}

/** A command that was written wrongly; exit status 2. */
export class UsageFailure extends CommandFailure {
  override readonly name = "UsageFailure";
  override readonly exitStatus = 2;
}

/** The app can't be built, for a reason that its owner can mend: told in full, without a stack trace. */
export class BuildFailure extends Error {}

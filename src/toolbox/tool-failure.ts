/** A tool cannot do its work, for a reason that the one who builds can act on. */
export class ToolFailure extends Error {
  override readonly name = "ToolFailure";
}

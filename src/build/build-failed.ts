/** A build that ended without a slug; its reason was printed where the user sees it. */
export class BuildFailed extends Error {
  override readonly name = "BuildFailed";
}

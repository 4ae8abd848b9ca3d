import type { Dyno } from "../model/dyno.ts";
import type { TypeImage } from "../model/slug.ts";

/**
 * What a dyno starts on a container image: the image's own words as they are; a command of a person's, or of
 * `heroku.yml`, goes through a shell, which the image's ENTRYPOINT is given to start. An ENTRYPOINT that is a
 * shell itself (`["bash", "-l", "-c"]`) takes the command as it is. Pure.
 */
export function programOf(
  image: TypeImage,
  dyno: Pick<Dyno, "kind" | "type" | "command">,
): string[] {
  const { entrypoint, command, ownCommand } = image;
  const ofType = dyno.kind === "formation" || dyno.type === "release";
  if (ownCommand && ofType) return [...entrypoint, ...command];
  if (entrypoint.at(-1) === "-c") return [...entrypoint, dyno.command];
  return [...entrypoint, ...shellCommand(dyno.command)];
}

/** A command in the image's own shell. Pure. */
export function shellCommand(command: string): string[] {
  return ["/bin/sh", "-c", command];
}

import { basename } from "node:path";
import { profile } from "./rootfs.ts";
import type { ContainerMount, ContainerProgram } from "./runtime.ts";

/** A program as it is started without a container. */
export interface ProcessCommand {
  argv: string[];
  environment: Record<string, string>;
  workingDirectory: string;
}

/**
 * Turns a container's program into one that runs without mounts: each place inside (`/app`) is
 * replaced by the real folder, in the words, in the environment and in the working directory. Pure.
 */
export function processCommand(
  program: Omit<ContainerProgram, "terminal">,
  places: Record<string, string>,
): ProcessCommand {
  const real = replacePlaces(places);
  const environment = Object.entries(program.environment).map(([key, value]) => [key, real(value)]);
  return {
    argv: withoutSystemProfile(withoutInit(program.argv.map(real))),
    environment: {
      ...(places["/tmp"] === undefined ? {} : { TMPDIR: places["/tmp"] }),
      ...(Object.fromEntries(environment) as Record<string, string>),
    },
    workingDirectory: real(program.workingDirectory),
  };
}

/** Where the targets of mounts really are: `/app` → the dyno's own copy of the slug. Pure. */
export function realPlaces(mounts: ContainerMount[]): Record<string, string> {
  return Object.fromEntries(
    mounts.map((mount) => [mount.target, mount.kind === "bind" ? mount.source : mount.upper]),
  );
}

/**
 * Places are seen in the middle of a text too (`PATH`, `--require=/app/x`, a shell command), but
 * never as a part of a longer word: `/srv/app`, `/apple`, `host/app` and most secrets stay. Pure.
 */
function replacePlaces(places: Record<string, string>): (text: string) => string {
  const longestFirst = Object.keys(places).sort((one, other) => other.length - one.length);
  if (longestFirst.length === 0) return (text) => text;
  const names = longestFirst.map((place) => place.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const before = "[^\\s=:,;'\"`(<>|&]";
  const after = "[^\\s/:,;'\"`)<>|&]";
  const pattern = new RegExp(`(?<!${before})(?:${names.join("|")})(?!${after})`, "g");
  return (text) => text.replaceAll(pattern, (place) => places[place] as string);
}

/** The monitor does what the container's init would do. */
function withoutInit(argv: string[]): string[] {
  return basename(argv[0] ?? "") === "tini" && argv[1] === "--" ? argv.slice(2) : argv;
}

/**
 * A login shell would read this machine's own /etc/profile, which changes PATH; it gets what the
 * containers have in its place, and then bash's own choice of the user's file.
 */
function withoutSystemProfile(argv: string[]): string[] {
  const [shell = "", flag, ...rest] = argv;
  if (basename(shell) !== "bash" || flag !== "--login") return argv;
  const [first, command, ...more] = rest;
  if (first === "-c") return [shell, "--noprofile", "-c", `${login}${command ?? ""}`, ...more];
  return [shell, "--noprofile", "-c", `${login}exec "$0" --noprofile "$@"`, shell, ...rest];
}

const login = `${profile}for script in "$HOME"/.bash_profile "$HOME"/.bash_login "$HOME"/.profile; do
  [ -r "$script" ] && { . "$script"; break; }
done
unset script
`;

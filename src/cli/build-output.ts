import { type BuildAnswer, reach } from "../api/client.ts";
import { CommandFailure } from "./failures.ts";
import type { World } from "./world.ts";

/** Prints what a build has said; with `follow` also what it says until its end. */
export async function printBuildOutput(
  world: World,
  build: BuildAnswer,
  { follow }: { follow: boolean },
): Promise<void> {
  const { url, headers } = reach(`${build.output_stream_url}${follow ? "" : "?follow=no"}`);
  const response = await fetch(url, { headers, timeout: false } as RequestInit);
  if (!response.ok || !response.body)
    throw new CommandFailure(`The output cannot be read: the server answered ${response.status}.`);
  const decoder = new TextDecoder();
  for await (const bytes of response.body)
    // NULs only hold the connection open.
    world.out(decoder.decode(bytes, { stream: true }).replaceAll("\0", ""));
}

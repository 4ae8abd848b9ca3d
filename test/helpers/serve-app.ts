import { afterAll, expect } from "bun:test";
import { findProcesses, startStator, type StatorOptions } from "./stator-server.ts";

/** A dyno as the API shows it. */
export interface DynoAnswer {
  id: string;
  name: string;
  state: string;
  size: string;
  command: string;
  attach_url: string | null;
}

/**
 * A server of its own for the file of tests that calls this (at its top), with an app that is
 * deployed; all of it is gone after the last test.
 */
export async function serveApp(
  files: Record<string, string>,
  options: StatorOptions & { config?: Record<string, string> } = {},
) {
  const { config, ...serverOptions } = options;
  const stator = await startStator(serverOptions);
  afterAll(() => stator.stop());
  const app = await stator.createApp(files);
  if (config) await app.api("PATCH", "/config-vars", config);
  expect((await app.push()).exitCode).toBe(0);
  return { stator, app };
}

/** The Node.js processes of a probe that has a word in its command line, in their order. */
export function nodePids(word: string): number[] {
  return findProcesses(word)
    .filter(({ argv }) => argv[0]?.endsWith("node"))
    .map(({ pid }) => pid)
    .sort((one, other) => one - other);
}

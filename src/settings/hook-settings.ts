import type { Variables } from "./values.ts";

/** What git hands to the hook of a push: where the server is, and where the new objects lie. */
export function readHookSettings(variables: Variables = process.env) {
  const names = ["GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"];
  const quarantine: Record<string, string> = {};
  for (const name of names) if (variables[name]) quarantine[name] = variables[name];
  return {
    socketPath: variables.STATOR_HOOK_SOCKET ?? "",
    id: variables.STATOR_HOOK_ID ?? "",
    quarantine,
  };
}

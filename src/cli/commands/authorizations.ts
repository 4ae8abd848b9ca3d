import type { AuthorizationAnswer } from "../../api/client.ts";
import { command, type Context, type Flags, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { durationInWords } from "../duration.ts";
import { UsageFailure } from "../failures.ts";
import { keyValueLines, tableLines } from "../layout.ts";

const list = command({
  summary: "list the tokens that open your account",
  flags: jsonFlag,
  async run({ api, flags, print, printJson }) {
    const all = await answerOf(api.oauth.authorizations.$get());
    if (flags.json) return printJson(all);
    const rows = all
      .toSorted((one, other) => one.description.localeCompare(other.description))
      .map(({ description, id, scope, last_used_at: used }) => [
        ...[description, id, scope.join(",")],
        used === null ? "never used" : `used ${used.slice(0, 16).replace("T", " ")}`,
      ]);
    for (const line of tableLines(rows)) print(line);
  },
});

const create = command({
  summary: "make a token, shown once",
  details:
    "Scopes: global, read, write, read-protected, write-protected, identity. For a robot that deploys,\nwrite-protected is enough.",
  examples: ["stator authorizations:create -d 'deploys from CI' -s write-protected -e 7776000"],
  flags: {
    description: { type: "string", short: "d", value: "TEXT", summary: "what it is for" },
    scope: { type: "string", short: "s", value: "SCOPES", summary: "split at commas (global)" },
    "expires-in": { type: "string", short: "e", value: "SECONDS", summary: "never, when left out" },
    short: { type: "boolean", short: "S", summary: "print the token, nothing else" },
    ...jsonFlag,
  },
  async run(context) {
    const { api, flags, action, print, printJson } = context;
    const seconds = flags["expires-in"] === undefined ? undefined : Number(flags["expires-in"]);
    if (seconds !== undefined && !(Number.isInteger(seconds) && seconds > 0))
      throw new UsageFailure(`--expires-in is ${flags["expires-in"]}, but must be seconds.`);
    // The API knows the scopes, and names them where one is wrong.
    const scope = flags.scope?.split(",").map((word) => word.trim()) as ["global"] | undefined;
    const made = await action("Creating OAuth Authorization", () =>
      answerOf(
        api.oauth.authorizations.$post({
          json: { description: flags.description, scope, expires_in: seconds },
        }),
      ),
    );
    if (flags.json) return printJson(made);
    if (flags.short) return print(made.access_token?.token);
    show(context.print, made);
  },
});

const info = command({
  summary: "show a token's authorization, yours when left out",
  usage: "[ID]",
  flags: jsonFlag,
  async run(context) {
    const param = { authorization: encodeURIComponent(context.args[0] ?? "~") };
    const one = await answerOf(context.api.oauth.authorizations[":authorization"].$get({ param }));
    if (context.flags.json) context.printJson(one);
    else show(context.print, one);
  },
});

const update = command({
  summary: "say otherwise what a token is for",
  usage: "ID",
  flags: {
    description: { type: "string", short: "d", value: "TEXT", summary: "what it is for" },
    ...jsonFlag,
  },
  async run(context) {
    const { api, args, flags, action, printJson } = context;
    const { description } = flags;
    if (description === undefined) throw new UsageFailure("What is it for? -d TEXT");
    const param = { authorization: encodeURIComponent(args[0] ?? "") };
    const one = await action("Updating OAuth Authorization", () =>
      answerOf(api.oauth.authorizations[":authorization"].$patch({ param, json: { description } })),
    );
    if (flags.json) printJson(one);
    else show(context.print, one);
  },
});

const revoke = command({
  summary: "end a token",
  usage: "ID",
  aliases: ["authorizations:destroy"],
  flags: jsonFlag,
  async run({ api, args, flags, action, printJson }) {
    const param = { authorization: encodeURIComponent(args[0] ?? "") };
    const gone = await action(
      "Revoking OAuth Authorization",
      () => answerOf(api.oauth.authorizations[":authorization"].$delete({ param })),
      ({ description }) => `revoked authorization from ${description || "(no description)"}`,
    );
    if (flags.json) printJson(gone);
  },
});

const rotate = command({
  summary: "replace a token by a new one, shown once",
  usage: "ID",
  flags: jsonFlag,
  async run(context) {
    const { api, args, flags, action, printJson } = context;
    const param = { authorization: encodeURIComponent(args[0] ?? "") };
    const one = await action("Rotating OAuth Authorization", () =>
      answerOf(
        api.oauth.authorizations[":authorization"].actions["regenerate-tokens"].$post({ param }),
      ),
    );
    if (flags.json) printJson(one);
    else show(context.print, one);
  },
});

function show(print: Context<Flags>["print"], one: AuthorizationAnswer): void {
  const expires = one.access_token?.expires_in ?? null;
  const lines = keyValueLines([
    ["Client", one.client?.name ?? "<none>"],
    ["ID", one.id],
    ["Description", one.description],
    ["Scope", one.scope.join(",")],
    ["Token", one.access_token?.token ?? null],
    ["Updated at", one.updated_at],
    ["Expires", expires === null ? "never" : `in ${durationInWords(expires)}`],
    ["Last used", one.last_used_at ?? "never"],
  ]);
  for (const line of lines) print(line);
}

export default {
  name: "authorizations",
  summary: "tokens that open your account",
  commands: {
    authorizations: list,
    "authorizations:create": create,
    "authorizations:info": info,
    "authorizations:update": update,
    "authorizations:revoke": revoke,
    "authorizations:rotate": rotate,
  },
} satisfies Topic;

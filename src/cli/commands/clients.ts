import type { OauthClientAnswer } from "../../api/client.ts";
import { command, type Context, type Flags, jsonFlag, shellFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { UsageFailure } from "../failures.ts";
import { keyValueLines, shellQuoted, tableLines } from "../layout.ts";

const outputFlags = { ...shellFlag, ...jsonFlag };

const list = command({
  summary: "list your OAuth clients: programs that may ask people to act for them",
  flags: jsonFlag,
  async run({ api, flags, print, printJson }) {
    const clients = await answerOf(api.oauth.clients.$get());
    if (flags.json) return printJson(clients);
    if (clients.length === 0) return print("No OAuth clients.");
    const rows = clients.map(({ name, id, redirect_uri: uri }) => [name, id, uri]);
    for (const line of tableLines(rows)) print(line);
  },
});

const create = command({
  summary: "make an OAuth client; its secret is shown once",
  usage: "NAME REDIRECT_URI",
  examples: ["stator clients:create my-tool https://tool.example.com/callback"],
  flags: outputFlags,
  async run(context) {
    const [name = "", redirectUri = ""] = context.args;
    const made = await context.action(`Creating ${name}`, () =>
      answerOf(context.api.oauth.clients.$post({ json: { name, redirect_uri: redirectUri } })),
    );
    if (context.flags.json) context.printJson(made);
    else printVariables(context.print, made);
  },
});

const info = command({
  summary: "show an OAuth client",
  usage: "ID",
  flags: outputFlags,
  async run(context) {
    const param = { client: encodeURIComponent(context.args[0] ?? "") };
    const client = await answerOf(context.api.oauth.clients[":client"].$get({ param }));
    if (context.flags.json) return context.printJson(client);
    if (context.flags.shell) return printVariables(context.print, client);
    context.print(context.paint.header(client.name));
    for (const line of keyValueLines([
      ["created_at", client.created_at],
      ["id", client.id],
      ["redirect_uri", client.redirect_uri],
    ]))
      context.print(line);
  },
});

const update = command({
  summary: "give an OAuth client another name or address",
  usage: "ID",
  flags: {
    name: { type: "string", short: "n", value: "NAME", summary: "what people see" },
    url: { type: "string", value: "URL", summary: "where people come back to" },
    ...jsonFlag,
  },
  async run({ api, args, flags, action, printJson }) {
    const { name, url } = flags;
    if (name === undefined && url === undefined)
      throw new UsageFailure("What is to change? --name NAME or --url URL");
    const param = { client: encodeURIComponent(args[0] ?? "") };
    const client = await action(`Updating ${args[0]}`, () =>
      answerOf(api.oauth.clients[":client"].$patch({ param, json: { name, redirect_uri: url } })),
    );
    if (flags.json) printJson(client);
  },
});

const rotate = command({
  summary: "replace the secret of an OAuth client; the new one is shown once",
  usage: "ID",
  flags: outputFlags,
  async run(context) {
    const param = { client: encodeURIComponent(context.args[0] ?? "") };
    const client = await context.action(`Updating ${context.args[0]}`, () =>
      answerOf(context.api.oauth.clients[":client"].actions["rotate-credentials"].$post({ param })),
    );
    if (context.flags.json) context.printJson(client);
    else printVariables(context.print, client);
  },
});

const destroy = command({
  summary: "delete an OAuth client; its tokens end",
  usage: "ID",
  flags: jsonFlag,
  async run({ api, args, flags, action, printJson }) {
    const param = { client: encodeURIComponent(args[0] ?? "") };
    const gone = await action(`Destroying ${args[0]}`, () =>
      answerOf(api.oauth.clients[":client"].$delete({ param })),
    );
    if (flags.json) printJson(gone);
  },
});

/** Heroku's names of them. */
function printVariables(print: Context<Flags>["print"], one: OauthClientAnswer): void {
  print(`HEROKU_OAUTH_ID=${shellQuoted(one.id)}`);
  print(`HEROKU_OAUTH_SECRET=${shellQuoted(one.secret)}`);
}

export default {
  name: "clients",
  summary: "OAuth clients: programs that ask people to act for them",
  commands: {
    clients: list,
    "clients:create": create,
    "clients:info": info,
    "clients:update": update,
    "clients:rotate": rotate,
    "clients:destroy": destroy,
  },
} satisfies Topic;

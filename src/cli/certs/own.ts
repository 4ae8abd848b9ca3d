import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { SniEndpointAnswer } from "../../api/client.ts";
import { appFlags, command, confirmFlag, type Context, jsonFlag } from "../command.ts";
import { confirm } from "../confirm.ts";
import { answerOf } from "../connect.ts";
import { isCovered, listCustomDomains } from "../domains.ts";
import { CommandFailure } from "../failures.ts";
import { keyValueLines, utcTime } from "../layout.ts";
import type { World } from "../world.ts";

const flags = { ...appFlags, ...jsonFlag };
const nameFlag = {
  name: { type: "string", value: "NAME", summary: "which one, where there are several" },
} as const;

export const add = command({
  summary: "add a certificate of your own; the domains that it is for take it",
  usage: "CRT KEY",
  details:
    "Both files in PEM: the certificate with those of its authorities in any order, and its private key.\nDomains that have another certificate of their own keep it (domains:update).",
  examples: ["stator certs:add server.crt server.key"],
  flags,
  async run(context) {
    const { api, args, flags, paint, action, print, printJson, world } = context;
    const json = await readPem(world, args);
    const app = await context.app();
    const param = { app };
    const endpoint = await action(`Adding SSL certificate to ${paint.app(app)}`, () =>
      answerOf(api.apps[":app"]["sni-endpoints"].$post({ param, json })),
    );
    const takers = (await listCustomDomains(context, app)).filter(
      ({ sni_endpoint: other, hostname }) =>
        other === null && isCovered(endpoint.ssl_cert.cert_domains, hostname),
    );
    for (const { id, hostname } of takers)
      await action(`Updating ${hostname} to use ${endpoint.name} certificate`, () =>
        answerOf(
          api.apps[":app"].domains[":domain"].$patch({
            param: { app, domain: id },
            json: { sni_endpoint: endpoint.name },
          }),
        ),
      );
    if (flags.json) return printJson(endpoint);
    for (const line of detailLines(endpoint)) print(line);
    if (takers.length > 0) return;
    print();
    print("No domain of the app takes it yet: stator domains:add, stator domains:update");
  },
});

export const info = command({
  summary: "show a certificate of the app's own",
  flags: {
    ...flags,
    ...nameFlag,
    "show-domains": { type: "boolean", summary: "and the domains that have it" },
  },
  async run(context) {
    const { flags, paint, print, printJson, action } = context;
    const app = await context.app();
    const chosen = await chooseEndpoint(context, { app, name: flags.name });
    const endpoint = await action(
      `Fetching SSL certificate ${chosen.name} info for ${paint.app(app)}`,
      () => Promise.resolve(chosen),
    );
    if (flags.json) return printJson(endpoint);
    const takers = flags["show-domains"] ? await listCustomDomains(context, app) : [];
    const names = takers.flatMap(({ id, hostname }) =>
      endpoint.domains.includes(id) ? [hostname] : [],
    );
    for (const line of detailLines(endpoint, { domains: names })) print(line);
  },
});

export const update = command({
  summary: "put another certificate in the place of one; its domains take it at once",
  usage: "CRT KEY",
  flags: { ...flags, ...nameFlag, ...confirmFlag },
  async run(context) {
    const { api, args, flags, paint, action, print, printJson, world } = context;
    const app = await context.app();
    const { name } = await chooseEndpoint(context, { app, name: flags.name });
    const json = await readPem(world, args);
    await confirm(world, {
      ...{ word: app, given: flags.confirm },
      warning: `Potentially Destructive Action\n ▸    This command will change the certificate of endpoint ${name} from ${paint.app(app)}.`,
    });
    const endpoint = await action(`Updating SSL certificate ${name} for ${paint.app(app)}`, () =>
      answerOf(
        api.apps[":app"]["sni-endpoints"][":endpoint"].$patch({
          param: { app, endpoint: name },
          json,
        }),
      ),
    );
    if (flags.json) return printJson(endpoint);
    for (const line of detailLines(endpoint, { title: "Updated certificate details:" }))
      print(line);
  },
});

export const remove = command({
  summary: "remove a certificate of the app's own",
  flags: { ...appFlags, ...nameFlag, ...confirmFlag, ...jsonFlag },
  async run(context) {
    const { api, flags, paint, action, printJson, world } = context;
    const app = await context.app();
    const { name } = await chooseEndpoint(context, { app, name: flags.name });
    await confirm(world, {
      ...{ word: app, given: flags.confirm },
      warning: `Destructive Action - you cannot rollback this change\n ▸    This command will remove the endpoint ${name} from ${paint.app(app)}.`,
    });
    const removed = await action(`Removing SSL certificate ${name} from ${paint.app(app)}`, () =>
      answerOf(
        api.apps[":app"]["sni-endpoints"][":endpoint"].$delete({ param: { app, endpoint: name } }),
      ),
    );
    if (flags.json) printJson(removed);
  },
});

/** The certificates that an app was given. */
export function listEndpoints({ api }: Pick<Context<typeof appFlags>, "api">, app: string) {
  return answerOf(
    api.apps[":app"]["sni-endpoints"].$get(
      { param: { app } },
      { headers: { Range: "name ..; max=1000" } },
    ),
  );
}

/** The one that is named, or the only one. */
async function chooseEndpoint(
  context: Pick<Context<typeof appFlags>, "api" | "paint">,
  { app, name }: { app: string; name: string | undefined },
): Promise<SniEndpointAnswer> {
  const all = await listEndpoints(context, app);
  const found = name === undefined ? all : all.filter((one) => one.name === name);
  const [only, ...others] = found;
  const title = context.paint.app(app);
  if (all.length === 0) throw new CommandFailure(`${title} has no SSL certificates`);
  if (others.length > 0)
    throw new CommandFailure(
      `Must pass --name when more than one endpoint: ${all.map((one) => one.name).join(", ")}`,
    );
  if (!only)
    throw new CommandFailure(
      `${title} has no SSL certificate ${name}. It has ${all.map((one) => one.name).join(", ")}.`,
    );
  return only;
}

async function readPem(world: World, [crt = "", key = ""]: string[]) {
  const read = (path: string) =>
    readFile(resolve(world.cwd, path), "utf8").catch((error: Error) => {
      throw new CommandFailure(`${path} can't be read: ${error.message}`);
    });
  return { certificate_chain: await read(crt), private_key: await read(key) };
}

function detailLines(
  { ssl_cert: cert, expiry_warning: warning }: SniEndpointAnswer,
  { title = "Certificate details:", domains = [] as string[] } = {},
): string[] {
  return [
    title,
    ...keyValueLines([
      ["Common Name(s)", cert.cert_domains],
      ["Domain(s)", domains],
      ["Expires At", utcTime(cert.expires_at)],
      ["Issuer", cert.issuer],
      ["Starts At", utcTime(cert.starts_at)],
      ["Subject", cert.subject],
    ]),
    cert["ca_signed?"]
      ? "SSL certificate is verified by a root authority."
      : cert["self_signed?"]
        ? "SSL certificate is self signed."
        : "SSL certificate is not trusted.",
    ...(warning === null ? [] : [warning]),
  ];
}

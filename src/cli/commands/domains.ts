import type { DomainAnswer } from "../../api/client.ts";
import { appFlags, command, confirmFlag, type Context, jsonFlag, type Topic } from "../command.ts";
import { confirm } from "../confirm.ts";
import { answerOf } from "../connect.ts";
import { CommandFailure } from "../failures.ts";
import { keyValueLines, shellQuoted, tableLines } from "../layout.ts";
import { coveringCertificate, listCustomDomains, listDomains, waitForDomain } from "../domains.ts";

const flags = { ...appFlags, ...jsonFlag };
const waitFlag = {
  wait: { type: "boolean", summary: "until it is served, with a certificate" },
} as const;

const list = command({
  summary: "list the domains of an app, and where their DNS records must point",
  flags,
  async run(context) {
    const { flags, paint, print, printJson } = context;
    const app = await context.app();
    const all = await listDomains(context, app);
    if (flags.json) return printJson(all);
    const name = paint.app(app);
    print(paint.header(`${name} Heroku Domain`));
    print();
    for (const { hostname } of all.filter(({ kind }) => kind === "heroku")) print(hostname);
    const custom = all.filter(({ kind }) => kind === "custom");
    if (custom.length === 0) return;
    print();
    print(paint.header(`${name} Custom Domains`));
    print();
    const head = ["Domain Name", "DNS Record Type", "DNS Target", "SNI Endpoint"];
    const rows = custom.map((one) => [
      one.hostname,
      recordTypeOf(one.hostname),
      one.cname ?? "",
      one.sni_endpoint?.name ?? "",
    ]);
    for (const line of tableLines([head, ...rows])) print(line);
  },
});

const add = command({
  summary: "give an app a domain",
  usage: "HOSTNAME",
  details:
    "It gets a certificate by itself once its DNS record points here; or give it one of the app's own.\nOne of those that is good for it is taken anyway. *.example.com is for all names below.",
  examples: ["stator domains:add www.example.com", "stator domains:add '*.example.com'"],
  flags: {
    ...flags,
    ...waitFlag,
    cert: {
      type: "string",
      short: "c",
      value: "NAME",
      summary: "a certificate of the app (certs)",
    },
  },
  async run(context) {
    const { api, args, flags, paint, action, print, printJson } = context;
    const [given = ""] = args;
    const app = await context.app();
    const param = { app };
    const domain = await action(`Adding ${given} to ${paint.app(app)}`, async () => {
      const endpoint = flags.cert ?? (await coveringCertificate(api, { app, hostname: given }));
      const json = { hostname: given, sni_endpoint: endpoint ?? null };
      return answerOf(api.apps[":app"].domains.$post({ param, json }));
    });
    if (flags.wait) await waitForDomain(context, app, domain);
    if (flags.json) return printJson(domain);
    print(`Configure your app's DNS provider to point to the DNS Target ${domain.cname}.`);
    for (const line of recordLines(domain)) print(`    ${line}`);
    if (flags.wait) return;
    print();
    print(`The domain ${domain.hostname} has been enqueued for addition`);
    print(
      `Run ${paint.command(`stator domains:wait ${shellQuoted(domain.hostname)}`)} to wait for completion`,
    );
  },
});

const info = command({
  summary: "show what there is to know of a domain",
  usage: "HOSTNAME",
  flags,
  async run(context) {
    const { flags, paint, print, printJson } = context;
    const domain = await findDomain(context, context.args[0] ?? "");
    if (flags.json) return printJson(domain);
    print(paint.header(domain.hostname));
    const lines = keyValueLines([
      ["acm_status", domain.acm_status],
      ["acm_status_reason", domain.acm_status_reason],
      ["app", domain.app.name],
      ["certificate_expires_at", domain.acm_certificate?.expires_at ?? null],
      ["cname", domain.cname],
      ["created_at", domain.created_at],
      ["dns_addresses", domain.dns_addresses],
      ["hostname", domain.hostname],
      ["id", domain.id],
      ["kind", domain.kind],
      ["sni_endpoint", domain.sni_endpoint?.name ?? null],
      ["status", domain.status],
      ["updated_at", domain.updated_at],
    ]);
    for (const line of lines) print(line);
  },
});

const remove = command({
  summary: "take a domain from an app",
  usage: "HOSTNAME",
  examples: ["stator domains:remove www.example.com"],
  flags,
  async run(context) {
    const { api, args, flags, paint, action, printJson } = context;
    const [hostname = ""] = args;
    const app = await context.app();
    const param = { app, domain: encodeURIComponent(hostname) };
    const removed = await action(`Removing ${hostname} from ${paint.app(app)}`, () =>
      answerOf(api.apps[":app"].domains[":domain"].$delete({ param })),
    );
    if (flags.json) printJson(removed);
  },
});

const clear = command({
  summary: "take all custom domains from an app",
  flags: { ...flags, ...confirmFlag },
  async run(context) {
    const { api, flags, paint, action, printJson, world } = context;
    const app = await context.app();
    const custom = await listCustomDomains(context, app);
    await confirm(world, {
      ...{ word: app, given: flags.confirm },
      warning: `This will take ${custom.map(({ hostname }) => hostname).join(", ") || "no domain"} from ${paint.app(app)}.`,
    });
    await action(`Removing all domains from ${paint.app(app)}`, async () => {
      for (const { id } of custom)
        await answerOf(api.apps[":app"].domains[":domain"].$delete({ param: { app, domain: id } }));
    });
    if (flags.json) printJson(custom);
  },
});

const wait = command({
  summary: "wait until a domain, or all of an app, are served with their certificates",
  usage: "[HOSTNAME]",
  flags,
  async run(context) {
    const app = await context.app();
    const [hostname] = context.args;
    const all =
      hostname === undefined
        ? await listDomains(context, app)
        : [await findDomain(context, hostname)];
    for (const domain of all.filter(({ kind }) => kind === "custom"))
      await waitForDomain(context, app, domain);
    if (context.flags.json) context.printJson(await listDomains(context, app));
  },
});

const update = command({
  summary: "choose the certificate of a domain",
  usage: "HOSTNAME",
  examples: [
    "stator domains:update www.example.com --cert cert-1050",
    "stator domains:update www.example.com --auto",
  ],
  flags: {
    ...flags,
    cert: { type: "string", value: "NAME", summary: "one of the app's own (certs)" },
    auto: { type: "boolean", summary: "one that it gets by itself" },
  },
  async run(context) {
    const { api, args, flags, action, printJson } = context;
    const [hostname = ""] = args;
    if ((flags.cert === undefined) === (flags.auto !== true))
      throw new CommandFailure("Give one of --cert NAME and --auto. See stator certs");
    const param = { app: await context.app(), domain: encodeURIComponent(hostname) };
    const json = { sni_endpoint: flags.cert ?? null };
    const domain = await action(
      `Updating ${hostname} to use ${flags.cert ?? "an automatic"} certificate`,
      () => answerOf(api.apps[":app"].domains[":domain"].$patch({ param, json })),
    );
    if (flags.json) printJson(domain);
  },
});

async function findDomain(
  context: Pick<Context<typeof appFlags>, "api" | "app">,
  hostname: string,
): Promise<DomainAnswer> {
  const param = { app: await context.app(), domain: encodeURIComponent(hostname) };
  return answerOf(context.api.apps[":app"].domains[":domain"].$get({ param }));
}

/** What to write at the DNS provider: a name below a domain may be an alias, the domain itself may not. */
function recordLines({ hostname, cname, dns_addresses: addresses }: DomainAnswer): string[] {
  const byAddress = addresses.map(
    (address) => `${hostname}  ${address.includes(":") ? "AAAA" : "A"}  ${address}`,
  );
  return recordTypeOf(hostname) === "CNAME"
    ? [`${hostname}  CNAME  ${cname}`]
    : byAddress.length > 0
      ? byAddress
      : [`${hostname}  ALIAS or ANAME  ${cname}, or A with the address of this server`];
}

/** As Heroku's list has it. Some countries have their domains one level down, as in `example.co.uk`. */
function recordTypeOf(hostname: string): "CNAME" | "ALIAS or ANAME" {
  const isApex = /^[^.*]+\.[^.]+$|^[^.*]+\.(?:ac|co|com|edu|gob|gov|ne|net|or|org)\.[a-z]{2}$/;
  return isApex.test(hostname) ? "ALIAS or ANAME" : "CNAME";
}

export default {
  name: "domains",
  summary: "names of an app besides its own",
  commands: {
    domains: list,
    "domains:add": add,
    "domains:info": info,
    "domains:update": update,
    "domains:wait": wait,
    "domains:remove": remove,
    "domains:clear": clear,
  },
} satisfies Topic;

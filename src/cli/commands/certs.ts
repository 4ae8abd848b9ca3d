import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { DomainAnswer, SniEndpointAnswer } from "../../api/client.ts";
import { appFlags, command, type Context, jsonFlag, type Topic } from "../command.ts";
import { generateKey } from "../certificate-request.ts";
import { confirm } from "../confirm.ts";
import { answerOf } from "../connect.ts";
import { isCovered, waitForDomain } from "../domains.ts";
import { CommandFailure, UsageFailure } from "../failures.ts";
import { keyValueLines, tableLines } from "../layout.ts";
import type { World } from "../world.ts";

const flags = { ...appFlags, ...jsonFlag };
const nameFlag = {
  name: { type: "string", value: "NAME", summary: "which one, where there are several" },
} as const;
const confirmFlag = {
  confirm: {
    type: "string",
    short: "c",
    value: "APP",
    summary: "name of the app, instead of typing it",
  },
} as const;
const waitFlag = {
  wait: { type: "boolean", summary: "until all domains have theirs" },
} as const;

type AppContext = Pick<Context<typeof appFlags>, "api" | "app" | "paint">;

const list = command({
  summary: "list the certificates of an app: its own, and those that it got by itself",
  flags,
  async run(context) {
    const { flags, paint, print, printJson } = context;
    const app = await context.app();
    const endpoints = await listEndpoints(context, app);
    const automatic = (await listCustom(context, app)).filter(
      (one) => one.acm_certificate !== null,
    );
    if (flags.json) return printJson({ sni_endpoints: endpoints, automatic });
    if (endpoints.length + automatic.length === 0)
      return print(
        `${paint.app(decodeURIComponent(app))} has no SSL certificates.\nUse ${paint.command("stator certs:add CRT KEY")} to add one.`,
      );
    const head = ["Name", "Common Name(s)", "Expires", "Trusted", "Type", "Domains"];
    const own = endpoints.map(({ name, ssl_cert: cert, domains }) => [
      ...[name, cert.cert_domains.join(", "), dateText(cert.expires_at)],
      ...[cert["ca_signed?"] ? "True" : "False", "SNI", String(domains.length)],
    ]);
    const others = automatic.map((one) => [
      ...["", one.hostname, dateText(one.acm_certificate?.expires_at ?? "")],
      ...["", "ACM", "1"],
    ]);
    for (const line of tableLines([head, ...own, ...others])) print(line);
  },
});

const add = command({
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
    const endpoint = await action(
      `Adding SSL certificate to ${paint.app(decodeURIComponent(app))}`,
      () => answerOf(api.apps[":app"]["sni-endpoints"].$post({ param, json })),
    );
    const takers = (await listCustom(context, app)).filter(
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

const info = command({
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
      `Fetching SSL certificate ${chosen.name} info for ${paint.app(decodeURIComponent(app))}`,
      () => Promise.resolve(chosen),
    );
    if (flags.json) return printJson(endpoint);
    const takers = flags["show-domains"] ? await listCustom(context, app) : [];
    const names = takers.flatMap(({ id, hostname }) =>
      endpoint.domains.includes(id) ? [hostname] : [],
    );
    for (const line of detailLines(endpoint, { domains: names })) print(line);
  },
});

const update = command({
  summary: "put another certificate in the place of one; its domains take it at once",
  usage: "CRT KEY",
  flags: { ...flags, ...nameFlag, ...confirmFlag },
  async run(context) {
    const { api, args, flags, paint, action, print, printJson, world } = context;
    const app = await context.app();
    const { name } = await chooseEndpoint(context, { app, name: flags.name });
    const json = await readPem(world, args);
    const word = decodeURIComponent(app);
    await confirm(world, {
      ...{ word, given: flags.confirm },
      warning: `Potentially Destructive Action\n ▸    This command will change the certificate of endpoint ${name} from ${paint.app(word)}.`,
    });
    const endpoint = await action(`Updating SSL certificate ${name} for ${paint.app(word)}`, () =>
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

const remove = command({
  summary: "remove a certificate of the app's own",
  flags: { ...appFlags, ...nameFlag, ...confirmFlag, ...jsonFlag },
  async run(context) {
    const { api, flags, paint, action, printJson, world } = context;
    const app = await context.app();
    const { name } = await chooseEndpoint(context, { app, name: flags.name });
    const word = decodeURIComponent(app);
    await confirm(world, {
      ...{ word, given: flags.confirm },
      warning: `Destructive Action - you cannot rollback this change\n ▸    This command will remove the endpoint ${name} from ${paint.app(word)}.`,
    });
    const removed = await action(`Removing SSL certificate ${name} from ${paint.app(word)}`, () =>
      answerOf(
        api.apps[":app"]["sni-endpoints"][":endpoint"].$delete({ param: { app, endpoint: name } }),
      ),
    );
    if (flags.json) printJson(removed);
  },
});

const text = (value: string, summary: string) => ({ type: "string", value, summary }) as const;

const generate = command({
  summary: "make a key, and a request for a certificate that you can bring to an authority",
  usage: "DOMAIN",
  details: "In the current folder, by openssl; the key does not leave this machine.",
  examples: ["stator certs:generate www.example.com --owner 'Example Ltd' --country GB"],
  flags: {
    ...appFlags,
    selfsigned: { type: "boolean", summary: "a certificate that nobody vouches for, instead" },
    owner: text("NAME", "who it is for"),
    country: text("CODE", "in two letters"),
    area: text("NAME", "state or province"),
    city: text("NAME", "city"),
    subject: text("SUBJECT", "all of it, as in /O=Example/CN=www.example.com"),
    keysize: text("BITS", "of the RSA key (2048)"),
    now: { type: "boolean", summary: "ask nothing, as it is anyway" },
  },
  async run(context) {
    const { args, flags, world } = context;
    const [domain = ""] = args;
    const bits = Number(flags.keysize ?? 2048);
    if (![2048, 3072, 4096].includes(bits))
      throw new UsageFailure(`--keysize is ${flags.keysize}, but must be 2048, 3072 or 4096.`);
    const app = await context.app();
    const isThere = (await listEndpoints(context, app)).some(({ ssl_cert: cert }) =>
      cert.cert_domains.includes(domain.toLowerCase()),
    );
    const selfsigned = flags.selfsigned === true;
    const { keyFile, outFile } = await generateKey(world, domain, { ...flags, selfsigned, bits });
    const next = `stator certs:${isThere ? "update" : "add"}`;
    world.err(
      selfsigned
        ? `Your key and self-signed certificate have been generated.\nNext, run:\n$ ${next} ${outFile} ${keyFile}\n`
        : `Your key and certificate signing request have been generated.\nSubmit the CSR in '${outFile}' to your preferred certificate authority.\nWhen you've received your certificate, run:\n$ ${next} CERTFILE ${keyFile}\n`,
    );
  },
});

const automatic = command({
  summary: "show how it is with certificates that domains get by themselves",
  flags: { ...flags, ...waitFlag },
  async run(context) {
    const { api, flags, paint, print, printJson } = context;
    const param = { app: await context.app() };
    const { acm, name } = await answerOf(api.apps[":app"].$get({ param }));
    if (flags.wait) await waitForAll(context, param.app);
    const custom = await listCustom(context, param.app);
    if (flags.json) return printJson({ acm, domains: custom });
    print(
      paint.header(
        `Automatic Certificate Management is ${acm ? "enabled" : "disabled"} on ${paint.app(name)}`,
      ),
    );
    if (!acm) return;
    print();
    for (const line of statusLines(custom)) print(line);
  },
});

const switchTo = (on: boolean) =>
  command({
    summary: on
      ? "let domains get certificates by themselves"
      : "let them have none but the app's own",
    flags: { ...appFlags, ...jsonFlag, ...(on ? waitFlag : confirmFlag) },
    async run(context) {
      const { api, flags, paint, action, printJson, world } = context;
      const param = { app: await context.app() };
      const word = decodeURIComponent(param.app);
      const given = context.flags as { confirm?: string; wait?: boolean };
      if (!on) {
        await confirm(world, {
          ...{ word, given: given.confirm },
          warning: `This command will disable Automatic Certificate Management from ${paint.app(word)}.\n ▸    Domains without a certificate of their own are not served over HTTPS any more. To avoid that,\n ▸    bring one first: stator certs:add CRT KEY`,
        });
        const changed = await action("Disabling Automatic Certificate Management", () =>
          answerOf(api.apps[":app"].acm.$delete({ param })),
        );
        if (flags.json) printJson(changed);
        return;
      }
      world.err("Enabling Automatic Certificate Management... ");
      const changed = await answerOf(api.apps[":app"].acm.$post({ param })).catch(
        (error: unknown) => {
          world.err("!\n");
          throw error;
        },
      );
      world.err(
        given.wait
          ? "starting.\n"
          : "starting. See status with stator certs:auto or wait until active with stator certs:auto --wait\n",
      );
      if (given.wait) await waitForAll(context, param.app);
      if (flags.json) printJson(changed);
    },
  });

const refresh = command({
  summary: "try again, now, what has failed",
  flags: { ...appFlags, ...jsonFlag },
  async run({ api, action, app, flags, printJson }) {
    const param = { app: await app() };
    const refreshed = await action("Refreshing Automatic Certificate Management", () =>
      answerOf(api.apps[":app"].acm.$patch({ param })),
    );
    if (flags.json) printJson(refreshed);
  },
});

function listEndpoints({ api }: Pick<AppContext, "api">, app: string) {
  return answerOf(
    api.apps[":app"]["sni-endpoints"].$get(
      { param: { app } },
      { headers: { Range: "name ..; max=1000" } },
    ),
  );
}

async function listCustom({ api }: Pick<AppContext, "api">, app: string): Promise<DomainAnswer[]> {
  const all = await answerOf(
    api.apps[":app"].domains.$get(
      { param: { app } },
      { headers: { Range: "hostname ..; max=1000" } },
    ),
  );
  return all.filter(({ kind }) => kind === "custom");
}

async function waitForAll(
  context: Pick<Context<typeof appFlags>, "api" | "world">,
  app: string,
): Promise<void> {
  for (const domain of await listCustom(context, app)) await waitForDomain(context, app, domain);
}

/** The one that is named, or the only one. */
async function chooseEndpoint(
  context: AppContext,
  { app, name }: { app: string; name: string | undefined },
): Promise<SniEndpointAnswer> {
  const all = await listEndpoints(context, app);
  const found = name === undefined ? all : all.filter((one) => one.name === name);
  const [only, ...others] = found;
  const title = context.paint.app(decodeURIComponent(app));
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
  { ssl_cert: cert }: SniEndpointAnswer,
  { title = "Certificate details:", domains = [] as string[] } = {},
): string[] {
  return [
    title,
    ...keyValueLines([
      ["Common Name(s)", cert.cert_domains],
      ["Domain(s)", domains],
      ["Expires At", dateText(cert.expires_at)],
      ["Issuer", cert.issuer],
      ["Starts At", dateText(cert.starts_at)],
      ["Subject", cert.subject],
    ]),
    cert["ca_signed?"]
      ? "SSL certificate is verified by a root authority."
      : cert["self_signed?"]
        ? "SSL certificate is self signed."
        : "SSL certificate is not trusted.",
  ];
}

/** Heroku's words for its `acm_status`. */
const statusWords: Record<string, string> = {
  "dns-verified": "DNS Verified",
  "cert issued": "Cert issued",
  "in-progress": "In Progress",
};

function statusLines(domains: DomainAnswer[]): string[] {
  if (domains.length === 0)
    return ["Add a custom domain to your app by running: stator domains:add <yourdomain.com>"];
  const isFailing = domains.some(({ acm_status: status }) => status?.startsWith("fail"));
  const rows = domains.map((one) => {
    const status = one.acm_status ?? "";
    const words = statusWords[status] ?? status.replace(/^./, (letter) => letter.toUpperCase());
    const expires = one.acm_certificate?.expires_at;
    return [
      one.hostname,
      one.sni_endpoint ? `Own certificate (${one.sni_endpoint.name})` : words,
      expires === undefined ? "" : dateText(expires),
      one.acm_status_reason ?? "",
    ];
  });
  return [
    ...tableLines([["Domain", "Status", "Expires", ...(isFailing ? ["Reason"] : [])], ...rows]),
    ...(isFailing
      ? [
          "",
          "When it is put right, they are tried again: stator certs:auto:refresh, or by themselves",
        ]
      : []),
  ];
}

/** `2026-01-31 09:05 UTC` */
function dateText(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;
}

export default {
  name: "certs",
  summary: "certificates for HTTPS: by themselves, or your own",
  commands: {
    certs: list,
    "certs:add": add,
    "certs:info": info,
    "certs:update": update,
    "certs:remove": remove,
    "certs:generate": generate,
    "certs:auto": automatic,
    "certs:auto:enable": switchTo(true),
    "certs:auto:disable": switchTo(false),
    "certs:auto:refresh": refresh,
  },
} satisfies Topic;

import type { Client, VisitorRulesAnswer } from "../../api/client.ts";
import { appFlags, command, type Context, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { durationInWords, readDuration } from "../duration.ts";
import { UsageFailure } from "../failures.ts";
import { keyValueLines } from "../layout.ts";
import { readSecret } from "../read-secret.ts";

const flags = { ...appFlags, ...jsonFlag };
type Change = Parameters<Client["apps"][":app"]["visitor-rules"]["$patch"]>[0]["json"];

const list = command({
  summary: "show who may visit an app, and how",
  flags,
  async run(context) {
    const { api, flags, paint, print, printJson } = context;
    const param = { app: await context.app() };
    const rules = await answerOf(api.apps[":app"]["visitor-rules"].$get({ param }));
    if (flags.json) return printJson(rules);
    print(paint.header(`${paint.app(rules.app.name)} Visitors`));
    print();
    for (const line of ruleLines(rules)) print(line);
  },
});

const allow = command({
  summary: "let only some addresses in, or everybody again",
  usage: "[ADDRESS…]",
  details: "All addresses that may come in, at once: the new list takes the old one's place.",
  examples: ["stator visitors:allow 192.0.2.7 2001:db8::/32", "stator visitors:allow --all"],
  flags: { ...flags, all: { type: "boolean", summary: "everybody" } },
  async run(context) {
    const { args, flags } = context;
    if ((args.length === 0) !== (flags.all === true))
      throw new UsageFailure("Give addresses, as 192.0.2.0/24, or --all for everybody.");
    await change(
      context,
      args.length === 0 ? "Letting everybody in" : `Allowing only ${args.join(", ")}`,
      {
        allowed_addresses: args.length === 0 ? null : args,
      },
    );
  },
});

const password = command({
  summary: "ask visitors for a password (HTTP basic auth)",
  usage: "USER",
  details:
    "The password is asked for, or read from a pipe. As soon as there is one, nobody is let in without.",
  examples: ["stator visitors:password guest", "stator visitors:password guest --remove"],
  flags: { ...flags, remove: { type: "boolean", summary: "this user's password is good no more" } },
  async run(context) {
    const { args, flags, world } = context;
    const [user = ""] = args;
    const secret = flags.remove ? null : await readSecret(world, `Password of ${user}: `);
    if (secret === "") throw new UsageFailure("No password was given.");
    await change(context, `${flags.remove ? "Removing" : "Setting"} the password of ${user}`, {
      passwords: { [user]: secret },
    });
  },
});

const https = command({
  summary: "send visitors from HTTP to HTTPS, and have browsers remember it",
  details:
    "--hsts is for how long browsers take HTTPS only, whatever a link says: begin with a short time, as 1h.",
  examples: [
    "stator visitors:https --redirect on",
    "stator visitors:https --hsts 365d --subdomains",
  ],
  flags: {
    ...flags,
    redirect: { type: "string", value: "on|off", summary: "answer HTTP with the address at HTTPS" },
    hsts: { type: "string", value: "TIME|off", summary: "Strict-Transport-Security" },
    subdomains: { type: "boolean", summary: "with --hsts: for all names below too" },
    preload: { type: "boolean", summary: "with --hsts: browsers may have it built in" },
  },
  async run(context) {
    const { flags } = context;
    const { redirect, hsts } = flags;
    if (redirect === undefined && hsts === undefined)
      throw new UsageFailure("Give --redirect on|off or --hsts TIME|off.");
    if (redirect !== undefined && !/^(on|off)$/.test(redirect))
      throw new UsageFailure(`--redirect is ${redirect}, but must be on or off.`);
    await change(context, "Setting HTTPS", {
      ...(redirect === undefined ? {} : { https_redirect: redirect === "on" }),
      ...(hsts === undefined
        ? {}
        : {
            hsts:
              hsts === "off"
                ? null
                : {
                    max_age: readDuration("--hsts", hsts),
                    include_sub_domains: flags.subdomains === true,
                    preload: flags.preload === true,
                  },
          }),
    });
  },
});

const limit = command({
  summary: "limit how many requests there may be",
  details:
    "More are answered with status 429, and when to come again. RATE is as 10/s, 600/m or 100/30s.",
  examples: [
    "stator visitors:limit --client 10/s",
    "stator visitors:limit --total 500/s --client off",
  ],
  flags: {
    ...flags,
    client: { type: "string", value: "RATE|off", summary: "of each address" },
    total: { type: "string", value: "RATE|off", summary: "of all visitors together" },
  },
  async run(context) {
    const { client, total } = context.flags;
    if (client === undefined && total === undefined)
      throw new UsageFailure("Give --client RATE or --total RATE, as in --client 10/s.");
    await change(context, "Limiting requests", {
      rate_limits: {
        ...(client === undefined ? {} : { client: readRate("--client", client) }),
        ...(total === undefined ? {} : { app: readRate("--total", total) }),
      },
    });
  },
});

async function change(context: Context<typeof flags>, title: string, json: Change): Promise<void> {
  const { api, flags, paint, action, printJson } = context;
  const param = { app: await context.app() };
  const rules = await action(`${title} on ${paint.app(param.app)}`, () =>
    answerOf(api.apps[":app"]["visitor-rules"].$patch({ param, json })),
  );
  if (flags.json) printJson(rules);
}

/** `10/s` or `100/30s`; nothing for `off`. */
function readRate(flag: string, text: string): { requests: number; seconds: number } | null {
  if (text === "off") return null;
  const [, requests, time] = /^(\d{1,7})\/(\d{0,5}[smhd])$/.exec(text.trim()) ?? [];
  if (requests === undefined || time === undefined || Number(requests) === 0)
    throw new UsageFailure(`${flag} is ${text}, but must be a rate as 10/s or 600/m, or off.`);
  const duration = /^\d/.test(time) ? time : `1${time}`;
  return { requests: Number(requests), seconds: readDuration(flag, duration) };
}

function ruleLines(rules: VisitorRulesAnswer): string[] {
  const { passwords, allowed_addresses: addresses, https_redirect: redirect, hsts } = rules;
  const { app, client } = rules.rate_limits;
  return keyValueLines([
    ["Addresses", addresses ?? "all"],
    ["Passwords", passwords.length === 0 ? "none asked for" : passwords],
    ["HTTP", redirect ? "redirected to HTTPS" : "served"],
    ["HSTS", hsts === null ? "off" : hstsText(hsts)],
    ["Limit of each address", rateText(client)],
    ["Limit in all", rateText(app)],
  ]);
}

function hstsText(hsts: NonNullable<VisitorRulesAnswer["hsts"]>): string {
  const more = [hsts.include_sub_domains ? "subdomains" : "", hsts.preload ? "preload" : ""];
  return [durationInWords(hsts.max_age), ...more].filter(Boolean).join(", ");
}

function rateText(rate: VisitorRulesAnswer["rate_limits"]["app"]): string {
  if (rate === null) return "off";
  const time = rate.seconds === 1 ? "s" : durationInWords(rate.seconds).replace(/^1(?=[mhd]$)/, "");
  const burst = rate.burst === rate.requests ? "" : `, ${rate.burst} at once`;
  return `${rate.requests}/${time}${burst}`;
}

export default {
  name: "visitors",
  summary: "who may visit an app: addresses, passwords, HTTPS, limits",
  commands: {
    visitors: list,
    "visitors:allow": allow,
    "visitors:password": password,
    "visitors:https": https,
    "visitors:limit": limit,
  },
} satisfies Topic;

import type { DomainAnswer } from "../../api/client.ts";
import { appFlags, command, confirmFlag, type Context, jsonFlag } from "../command.ts";
import { confirm } from "../confirm.ts";
import { answerOf } from "../connect.ts";
import { listCustomDomains, waitForDomain } from "../domains.ts";
import { tableLines, utcTime } from "../layout.ts";

const waitFlag = {
  wait: { type: "boolean", summary: "until all domains have theirs" },
} as const;

export const automatic = command({
  summary: "show how it is with certificates that domains get by themselves",
  flags: { ...appFlags, ...jsonFlag, ...waitFlag },
  async run(context) {
    const { api, flags, paint, print, printJson } = context;
    const param = { app: await context.app() };
    const { acm, name } = await answerOf(api.apps[":app"].$get({ param }));
    if (flags.wait) await waitForAll(context, param.app);
    const custom = await listCustomDomains(context, param.app);
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

export const enable = command({
  summary: "let domains get certificates by themselves",
  flags: { ...appFlags, ...jsonFlag, ...waitFlag },
  async run(context) {
    const { api, flags, printJson, world } = context;
    const param = { app: await context.app() };
    world.err("Enabling Automatic Certificate Management... ");
    const changed = await answerOf(api.apps[":app"].acm.$post({ param })).catch((error: Error) => {
      world.err("!\n");
      throw error;
    });
    // Heroku's words: what was asked for has begun, and is not done.
    const next =
      " See status with stator certs:auto or wait until active with stator certs:auto --wait";
    world.err(`starting.${flags.wait ? "" : next}\n`);
    if (flags.wait) await waitForAll(context, param.app);
    if (flags.json) printJson(changed);
  },
});

export const disable = command({
  summary: "let them have none but the app's own",
  flags: { ...appFlags, ...jsonFlag, ...confirmFlag },
  async run(context) {
    const { api, flags, paint, action, printJson, world } = context;
    const app = await context.app();
    await confirm(world, {
      ...{ word: app, given: flags.confirm },
      warning: `This command will disable Automatic Certificate Management from ${paint.app(app)}.\n ▸    Domains without a certificate of their own are not served over HTTPS any more. To avoid that,\n ▸    bring one first: stator certs:add CRT KEY`,
    });
    const changed = await action("Disabling Automatic Certificate Management", () =>
      answerOf(api.apps[":app"].acm.$delete({ param: { app } })),
    );
    if (flags.json) printJson(changed);
  },
});

export const refresh = command({
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

async function waitForAll(
  context: Pick<Context<typeof appFlags>, "api" | "world">,
  app: string,
): Promise<void> {
  for (const domain of await listCustomDomains(context, app))
    await waitForDomain(context, app, domain);
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
      expires === undefined ? "" : utcTime(expires),
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

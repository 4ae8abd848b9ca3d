import { command, jsonFlag, type Topic } from "../command.ts";
import { confirm } from "../confirm.ts";
import { answerOf } from "../connect.ts";
import { keyValueLines } from "../layout.ts";
import { readSecret } from "../read-secret.ts";
import type { World } from "../world.ts";

const show = command({
  summary: "show your account",
  flags: jsonFlag,
  async run({ api, flags, paint, print, printJson }) {
    const account = await answerOf(api.account.$get());
    if (flags.json) return printJson(account);
    print(paint.header(account.email));
    print();
    for (const line of keyValueLines([
      ["Name", account.name],
      ["Second factor", account.two_factor_authentication ? "on" : "off"],
      ["Last login", account.last_login],
      ["Since", account.created_at],
    ]))
      print(line);
  },
});

const password = command({
  summary: "choose a password: it opens the login with a browser, and heroku login -i",
  details:
    "Asks for the password until now (if there is one) and for the new one; from a pipe, a line each.\nOther logins by the old password end; tokens stay.",
  aliases: ["auth:password"],
  flags: jsonFlag,
  async run({ api, flags, action, printJson, world }) {
    const old = await readSecret(world, "Current password (none: just Enter): ");
    const next = await readSecret(world, "New password: ");
    const account = await action("Setting the password", () =>
      answerOf(api.account.$patch({ json: { password: old || undefined, new_password: next } })),
    );
    if (flags.json) printJson(account);
  },
});

const factor = command({
  summary: "tell whether logins need a second factor",
  aliases: ["auth:2fa", "twofactor"],
  flags: jsonFlag,
  async run({ api, flags, print, printJson }) {
    const { two_factor_authentication: isOn } = await answerOf(api.account.$get());
    if (flags.json) printJson({ two_factor_authentication: isOn });
    else print(`Two-factor authentication is ${isOn ? "enabled" : "not enabled"}`);
  },
});

const enable = command({
  summary: "have logins by password need a code of your authenticator too",
  aliases: ["auth:2fa:enable", "twofactor:enable"],
  details: "Shows the secret for the authenticator, asks for its code, then shows recovery codes.",
  flags: jsonFlag,
  async run({ api, flags, paint, action, print, printJson, world }) {
    const proof = { password: await askPassword(world) };
    const { secret, url } = await answerOf(api.account["second-factor"].$post({ json: proof }));
    world.err(`Add this to your authenticator:\n\n  ${secret}\n  ${url}\n\n`);
    const code = await readSecret(world, "Its code of now: ");
    const done = await action("Enabling two-factor authentication", () =>
      answerOf(api.account["second-factor"].actions.confirm.$post({ json: { code } })),
    );
    if (flags.json) return printJson(done);
    print(paint.header("Recovery codes: each opens once, keep them apart from this machine"));
    print();
    for (const one of done.recovery_codes) print(one);
  },
});

const disable = command({
  summary: "have logins need the password alone",
  aliases: ["auth:2fa:disable", "twofactor:disable"],
  flags: {
    ...jsonFlag,
    confirm: { type: "string", short: "c", value: "EMAIL", summary: "yours, instead of typing it" },
  },
  async run({ api, flags, action, printJson, world }) {
    const { email } = await answerOf(api.account.$get());
    await confirm(world, {
      ...{ word: email, given: flags.confirm },
      warning: "Who knows your password will get in with it alone.",
    });
    const proof = { password: await askPassword(world) };
    const code = await readSecret(world, "Code of your authenticator, or a recovery code: ");
    const account = await action("Disabling two-factor authentication", () =>
      answerOf(
        api.account["second-factor"].$delete(
          { json: proof },
          { headers: { "Heroku-Two-Factor-Code": code } },
        ),
      ),
    );
    if (flags.json) printJson(account);
  },
});

/** Nothing for an account without a password. */
async function askPassword(world: World): Promise<string | undefined> {
  return (await readSecret(world, "Password (none: just Enter): ")) || undefined;
}

export default {
  name: "account",
  summary: "your account: password and second factor",
  commands: {
    account: show,
    "account:password": password,
    "2fa": factor,
    "2fa:enable": enable,
    "2fa:disable": disable,
  },
} satisfies Topic;

import { appFlags, command, confirmFlag, jsonFlag, type Topic } from "../command.ts";
import { confirm } from "../confirm.ts";
import { answerOf } from "../connect.ts";
import { tableLines } from "../layout.ts";

const list = command({
  summary: "list apps that are being handed to you, or by you",
  flags: jsonFlag,
  async run({ api, flags, print, printJson }) {
    const transfers = await answerOf(api.account["app-transfers"].$get());
    if (flags.json) return printJson(transfers);
    if (transfers.length === 0) return print("No transfers.");
    const rows = transfers.map(({ app, owner, recipient, state }) => [
      ...[app.name, `from ${owner.email}`, `to ${recipient.email}`, state],
    ]);
    for (const line of tableLines(rows)) print(line);
  },
});

const begin = command({
  summary: "hand an app to another account, which has to accept it",
  usage: "EMAIL",
  aliases: ["apps:transfer", "sharing:transfer"],
  details:
    "They see it in stator transfers, and take it by stator transfers:accept APP. Then it is theirs alone.",
  examples: ["stator apps:transfer friend@example.com -a my-shop"],
  flags: {
    ...appFlags,
    ...confirmFlag,
    ...jsonFlag,
  },
  async run(context) {
    const { api, args, flags, paint, action, printJson, world } = context;
    const [recipient = ""] = args;
    const app = await context.app();
    await confirm(world, {
      ...{ word: app, given: flags.confirm },
      warning: `${paint.app(app)} will belong to ${recipient}, if they accept it.`,
    });
    const transfer = await action(
      `Initiating transfer of ${paint.app(app)} to ${recipient}`,
      () => answerOf(api.account["app-transfers"].$post({ json: { app, recipient } })),
      () => "it waits to be accepted",
    );
    if (flags.json) printJson(transfer);
  },
});

const settle = (state: "accepted" | "declined") =>
  command({
    summary: state === "accepted" ? "take an app that is handed to you" : "leave it where it is",
    usage: "APP",
    flags: jsonFlag,
    async run({ api, args, flags, paint, action, printJson }) {
      const param = { transfer: encodeURIComponent(args[0] ?? "") };
      const word = state === "accepted" ? "Accepting" : "Declining";
      const settled = await action(`${word} the transfer of ${paint.app(args[0] ?? "")}`, () =>
        answerOf(api.account["app-transfers"][":transfer"].$patch({ param, json: { state } })),
      );
      if (flags.json) printJson(settled);
    },
  });

const cancel = command({
  summary: "keep an app that you were about to hand over",
  usage: "APP",
  flags: jsonFlag,
  async run({ api, args, flags, paint, action, printJson }) {
    const param = { transfer: encodeURIComponent(args[0] ?? "") };
    const gone = await action(`Cancelling the transfer of ${paint.app(args[0] ?? "")}`, () =>
      answerOf(api.account["app-transfers"][":transfer"].$delete({ param })),
    );
    if (flags.json) printJson(gone);
  },
});

export default {
  name: "transfers",
  summary: "apps that change hands",
  commands: {
    transfers: list,
    transfer: begin,
    "transfers:accept": settle("accepted"),
    "transfers:decline": settle("declined"),
    "transfers:cancel": cancel,
  },
} satisfies Topic;

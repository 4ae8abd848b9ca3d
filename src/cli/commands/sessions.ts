import { command, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { tableLines, timeAgo } from "../layout.ts";

const list = command({
  summary: "list where you are logged in with your password",
  flags: jsonFlag,
  async run({ api, flags, print, printJson }) {
    const sessions = await answerOf(api.oauth.sessions.$get());
    if (flags.json) return printJson(sessions);
    if (sessions.length === 0) return print("No OAuth sessions.");
    const rows = sessions.map((one) => [
      ...[one.description, one.id],
      `last seen ${timeAgo(one.updated_at)}`,
    ]);
    for (const line of tableLines(rows)) print(line);
  },
});

const destroy = command({
  summary: "log out there",
  usage: "ID",
  flags: jsonFlag,
  async run({ api, args, flags, action, printJson }) {
    const param = { session: encodeURIComponent(args[0] ?? "") };
    const gone = await action(`Destroying ${args[0]}`, () =>
      answerOf(api.oauth.sessions[":session"].$delete({ param })),
    );
    if (flags.json) printJson(gone);
  },
});

export default {
  name: "sessions",
  summary: "where you are logged in",
  commands: { sessions: list, "sessions:destroy": destroy },
} satisfies Topic;

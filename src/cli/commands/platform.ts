import { command, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import { tableLines } from "../layout.ts";

const regions = command({
  summary: "list where apps can run: this machine",
  flags: jsonFlag,
  async run({ api, flags, print, printJson }) {
    const all = await answerOf(api.regions.$get());
    if (flags.json) return printJson(all);
    for (const line of tableLines(all.map(({ name, description }) => [name, description])))
      print(line);
  },
});

const sizes = command({
  summary: "list how large a dyno can be",
  flags: jsonFlag,
  async run({ api, flags, print, printJson }) {
    const all = await answerOf(api["dyno-sizes"].$get());
    if (flags.json) return printJson(all);
    const rows = all.map(({ name, memory, compute }) => [
      name,
      `${memory} GB`,
      `compute ${compute}`,
    ]);
    for (const line of tableLines(rows)) print(line);
  },
});

export default {
  name: "platform",
  summary: "what this platform has: sizes, regions",
  commands: { regions, sizes },
} satisfies Topic;

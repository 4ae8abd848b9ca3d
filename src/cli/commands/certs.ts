import { automatic, disable, enable, refresh } from "../certs/automatic.ts";
import { generate } from "../certs/generate.ts";
import { list } from "../certs/list.ts";
import { add, info, remove, update } from "../certs/own.ts";
import type { Topic } from "../command.ts";

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
    "certs:auto:enable": enable,
    "certs:auto:disable": disable,
    "certs:auto:refresh": refresh,
  },
} satisfies Topic;

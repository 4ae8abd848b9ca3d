import type { Topic } from "../command.ts";
import { exec } from "../ps/exec.ts";
import { list } from "../ps/list.ts";
import { restart, stop } from "../ps/restart.ts";
import { scale, type } from "../ps/scale.ts";
import { sleep } from "../ps/sleep.ts";
import { wait } from "../ps/wait.ts";

export default {
  name: "ps",
  summary: "look at dynos, scale, restart, stop and enter them",
  commands: {
    ps: list,
    "ps:scale": scale,
    "ps:type": type,
    "ps:restart": restart,
    "ps:stop": stop,
    "ps:wait": wait,
    "ps:exec": exec,
    "ps:sleep": sleep,
  },
} satisfies Topic;

import { command, type Topic } from "../command.ts";
import { UsageFailure } from "../failures.ts";

const text = (value: string, summary: string) => ({ type: "string", value, summary }) as const;

/** Only explained here: `src/main.ts` starts it before the command line is looked at. */
const server = command({
  summary: "run the platform on this machine",
  details:
    "SIGTERM stops the server in order; dynos and the router go on. Variables instead of flags: STATOR_DATA,\nSTATOR_DOMAIN, STATOR_HTTP_PORT, STATOR_HTTPS_PORT, STATOR_HOST. Flags win.",
  examples: ["stator server --domain example.com", "stator server --data ./.stator --http 8080"],
  flags: {
    data: text("FOLDER", "where everything is kept (root: /var/lib/stator)"),
    domain: text("DOMAIN", "apps are at APP.DOMAIN, the API at api.DOMAIN (localhost)"),
    http: text("PORT", "for HTTP (80; with localhost 8080)"),
    https: text("PORT", "for HTTPS, 0 for none (443; with localhost none)"),
    host: text("ADDRESS", "to listen on (0.0.0.0; with localhost 127.0.0.1)"),
    "stop-dynos": { type: "boolean", summary: "stop all dynos when the server is stopped" },
  },
  run() {
    throw new UsageFailure("The server is started by the stator executable itself.");
  },
});

export default {
  name: "server",
  summary: "the platform itself",
  commands: { server },
} satisfies Topic;

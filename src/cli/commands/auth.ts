import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "../../api/client.ts";
import { command, jsonFlag, type Topic } from "../command.ts";
import { answerOf } from "../connect.ts";
import {
  checkAddress,
  type Credentials,
  forgetCredentials,
  gitAddressOf,
  readCredentials,
  readServer,
  storeCredentials,
} from "../credentials.ts";
import { CommandFailure } from "../failures.ts";
import { loginByBrowser, loginByPassword } from "../login.ts";
import { readSecret } from "../read-secret.ts";
import type { World } from "../world.ts";

const login = command({
  summary: "store the token that opens the server",
  aliases: ["auth:login"],
  details:
    "On the server itself it reads the owner's token from the data folder. Elsewhere, with --api,\nit asks for a token, or reads it from a pipe; or for email address and password (-i), or a browser does\n(stator account:password chooses one). The token goes to ~/.netrc, where git finds it too.",
  examples: [
    "sudo stator login",
    "stator login --api https://api.example.com",
    "stator login -i --api https://api.example.com",
  ],
  flags: {
    interactive: { type: "boolean", short: "i", summary: "with email address and password" },
    browser: { type: "boolean", short: "b", summary: "with a browser" },
    api: { type: "string", value: "URL", summary: "address of the API of a server elsewhere" },
    data: { type: "string", value: "FOLDER", summary: "data folder of the server on this machine" },
    ...jsonFlag,
  },
  async run({ flags, world, action, printJson }) {
    const { settings } = world;
    const api = flags.api ?? (flags.data === undefined ? settings.api : undefined);
    const asked = flags.interactive || flags.browser ? (api ?? readServer(settings).api) : api;
    const credentials =
      asked === undefined
        ? readLocalCredentials(flags.data ?? settings.dataDir)
        : await askForCredentials(world, asked.replace(/\/+$/, ""), {
            ...{ interactive: flags.interactive, browser: flags.browser },
          });
    await action(
      `Logging in to ${credentials.api}`,
      () => Promise.resolve(storeCredentials(settings, credentials)),
      () => `as ${credentials.email}`,
    );
    // Not its token: what is printed ends up in logs (auth:token prints it).
    const { email, git } = credentials;
    if (flags.json) printJson({ api: credentials.api, git, email });
  },
});

function readLocalCredentials(dataDir: string): Credentials {
  const path = join(dataDir, "credentials.json");
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Credentials;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason =
      code === "ENOENT" ? "it is not there" : code === "EACCES" ? "only its owner may" : message;
    throw new CommandFailure(
      `Cannot read ${path}: ${reason}.\nOn the server itself, as the user who runs it: stator login --data FOLDER\nElsewhere: stator login --api https://api.DOMAIN`,
    );
  }
}

async function askForCredentials(
  world: World,
  api: string,
  { interactive, browser }: Record<"interactive" | "browser", boolean | undefined>,
): Promise<Credentials> {
  checkAddress(api);
  const token = interactive
    ? await loginByPassword(world, api)
    : browser
      ? await loginByBrowser(world, api)
      : (world.settings.token ?? (await readSecret(world, `Token for ${api}: `)));
  if (token === "") throw new CommandFailure("No token was given.");
  const { email } = await answerOf(createClient(api, token).account.$get());
  return { api, git: gitAddressOf(api), email, token };
}

const logout = command({
  summary: "forget the stored token",
  aliases: ["auth:logout"],
  flags: jsonFlag,
  run({ flags, world, print, printJson }) {
    const isForgotten = forgetCredentials(world.settings);
    if (flags.json) printJson({ logged_out: isForgotten });
    else print(isForgotten ? "Logged out" : "Nobody was logged in");
    return Promise.resolve();
  },
});

const whoami = command({
  summary: "print who is logged in",
  aliases: ["whoami"],
  flags: jsonFlag,
  async run({ api, flags, print, printJson }) {
    const account = await answerOf(api.account.$get());
    if (flags.json) printJson(account);
    else print(account.email);
  },
});

const token = command({
  summary: "print the stored token",
  flags: jsonFlag,
  run({ flags, world, print, printJson }) {
    const { token } = readCredentials(world.settings);
    if (flags.json) printJson({ token });
    else print(token);
    return Promise.resolve();
  },
});

export default {
  name: "auth",
  summary: "log in and out",
  commands: { login, logout, "auth:whoami": whoami, "auth:token": token },
} satisfies Topic;

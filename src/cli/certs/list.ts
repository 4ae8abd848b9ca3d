import { appFlags, command, jsonFlag } from "../command.ts";
import { listCustomDomains } from "../domains.ts";
import { tableLines, utcTime } from "../layout.ts";
import { listEndpoints } from "./own.ts";

export const list = command({
  summary: "list the certificates of an app: its own, and those that it got by itself",
  flags: { ...appFlags, ...jsonFlag },
  async run(context) {
    const { flags, paint, print, printJson } = context;
    const app = await context.app();
    const endpoints = await listEndpoints(context, app);
    const automatic = (await listCustomDomains(context, app)).filter(
      (one) => one.acm_certificate !== null,
    );
    if (flags.json) return printJson({ sni_endpoints: endpoints, automatic });
    if (endpoints.length + automatic.length === 0)
      return print(
        `${paint.app(app)} has no SSL certificates.\nUse ${paint.command("stator certs:add CRT KEY")} to add one.`,
      );
    const head = ["Name", "Common Name(s)", "Expires", "Trusted", "Type", "Domains"];
    const own = endpoints.map(({ name, ssl_cert: cert, domains }) => [
      ...[name, cert.cert_domains.join(", "), utcTime(cert.expires_at)],
      ...[cert["ca_signed?"] ? "True" : "False", "SNI", String(domains.length)],
    ]);
    const others = automatic.map((one) => [
      ...["", one.hostname, utcTime(one.acm_certificate?.expires_at ?? "")],
      ...["", "ACM", "1"],
    ]);
    for (const line of tableLines([head, ...own, ...others])) print(line);
    for (const { expiry_warning: warning } of endpoints)
      if (warning !== null) print(`\n${warning}`);
  },
});

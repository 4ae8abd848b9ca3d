import { appFlags, command, jsonFlag } from "../command.ts";
import { UsageFailure } from "../failures.ts";
import { generateKey } from "./certificate-request.ts";
import { listEndpoints } from "./own.ts";

const text = (value: string, summary: string) => ({ type: "string", value, summary }) as const;

export const generate = command({
  summary: "make a key, and a request for a certificate that you can bring to an authority",
  usage: "DOMAIN",
  details: "In the current folder, by openssl; the key does not leave this machine.",
  examples: ["stator certs:generate www.example.com --owner 'Example Ltd' --country GB"],
  flags: {
    ...appFlags,
    selfsigned: { type: "boolean", summary: "a certificate that nobody vouches for, instead" },
    owner: text("NAME", "who it is for"),
    country: text("CODE", "in two letters"),
    area: text("NAME", "state or province"),
    city: text("NAME", "city"),
    subject: text("SUBJECT", "all of it, as in /O=Example/CN=www.example.com"),
    keysize: text("BITS", "of the RSA key (2048)"),
    now: { type: "boolean", summary: "ask nothing, as it is anyway" },
    ...jsonFlag,
  },
  async run(context) {
    const { args, flags, printJson, world } = context;
    const [domain = ""] = args;
    const bits = Number(flags.keysize ?? 2048);
    if (![2048, 3072, 4096].includes(bits))
      throw new UsageFailure(`--keysize is ${flags.keysize}, but must be 2048, 3072 or 4096.`);
    const app = await context.app();
    const isThere = (await listEndpoints(context, app)).some(({ ssl_cert: cert }) =>
      cert.cert_domains.includes(domain.toLowerCase()),
    );
    const selfsigned = flags.selfsigned === true;
    const { keyFile, outFile } = await generateKey(world, domain, { ...flags, selfsigned, bits });
    const next = `stator certs:${isThere ? "update" : "add"}`;
    world.err(
      selfsigned
        ? `Your key and self-signed certificate have been generated.\nNext, run:\n$ ${next} ${outFile} ${keyFile}\n`
        : `Your key and certificate signing request have been generated.\nSubmit the CSR in '${outFile}' to your preferred certificate authority.\nWhen you've received your certificate, run:\n$ ${next} CERTFILE ${keyFile}\n`,
    );
    if (flags.json) printJson({ key: keyFile, [selfsigned ? "certificate" : "request"]: outFile });
  },
});

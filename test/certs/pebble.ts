import { openSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostEnvironment, spawn } from "../../src/lib/exec.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { freePorts } from "../helpers/free-ports.ts";
import { makeCertificate } from "./make-certificate.ts";

/** A real ACME server, and a DNS server that says what a test wants. */
export interface Pebble extends AsyncDisposable {
  directoryUrl: string;
  caBundlePath: string;
  dnsServer: string;
  /** `PATH?` of the DNS server's management: `set-txt`, `add-a`, `add-caa` … */
  dns(verb: string, body: unknown): Promise<void>;
  dnsManagementUrl: string;
  /** What it was asked so far, as in `POST /order-plz`. */
  asked(): Promise<string[]>;
  /** The CA goes away, and comes back with the same address but without its memory. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/**
 * Pebble in its strict mode; it refuses every fifth nonce, signs nothing for blocked.test, and
 * validates on `httpPort`.
 */
export async function startPebble(options: {
  httpPort: number;
  validitySeconds?: number;
  /** Has it prove each order anew; it takes an old proof for every second one, otherwise. */
  forgetsProofs?: boolean;
}): Promise<Pebble> {
  await ensurePrograms({ pebble: "pebble", "pebble-challtestsrv": "pebble" });
  const dir = await mkdtemp(join(tmpdir(), "stator-pebble-"));
  const own = await makeCertificate(["localhost"]);
  const caBundlePath = join(dir, "cert.pem");
  await Bun.write(caBundlePath, own.certificate);
  await Bun.write(join(dir, "key.pem"), own.privateKey);
  const [port, managementPort, dnsPort, dnsManagementPort] = freePorts(4);
  const logPath = join(dir, "log");
  const configPath = join(dir, "config.json");
  await Bun.write(
    configPath,
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        managementListenAddress: `127.0.0.1:${managementPort}`,
        certificate: caBundlePath,
        privateKey: join(dir, "key.pem"),
        httpPort: options.httpPort,
        tlsPort: 1,
        ocspResponderURL: "",
        externalAccountBindingRequired: false,
        domainBlocklist: ["blocked.test"],
        certificateValidityPeriod: options.validitySeconds ?? 3_600,
      },
    }),
  );
  const quiet = { stdin: "ignore", stdout: "ignore", stderr: "ignore" } as const;
  const nothing = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""];
  const startDns = () =>
    spawn(
      [
        "pebble-challtestsrv",
        ...["-dns01", `127.0.0.1:${dnsPort}`, "-management", `127.0.0.1:${dnsManagementPort}`],
        ...nothing,
      ],
      quiet,
    );
  const startServer = () =>
    spawn(["pebble", "-strict", "-config", configPath, "-dnsserver", `127.0.0.1:${dnsPort}`], {
      ...{ ...quiet, stdout: openSync(logPath, "a") },
      env: {
        ...hostEnvironment,
        PEBBLE_VA_NOSLEEP: "1",
        PEBBLE_WFE_NONCEREJECT: "5",
        ...(options.forgetsProofs === true && { PEBBLE_AUTHZREUSE: "0" }),
      },
    });
  const dnsManagementUrl = `http://127.0.0.1:${dnsManagementPort}`;
  const directoryUrl = `https://localhost:${port}/dir`;

  /** One that ended at once had its port taken by somebody's connection: it is started again. */
  async function startUntilUp(start: () => ReturnType<typeof spawn>, url: string) {
    const tls = { ca: own.certificate };
    let running = start();
    for (const untilMs = performance.now() + 30_000; performance.now() < untilMs;) {
      if (running.exitCode !== null) running = start();
      else if (await fetch(url, { tls, keepalive: false }).catch(() => undefined)) return running;
      await Bun.sleep(20);
    }
    running.kill();
    throw new Error(`Nothing answers at ${url}`);
  }

  const dns = await startUntilUp(startDns, dnsManagementUrl);
  let pebble = await startUntilUp(startServer, directoryUrl);
  return {
    ...{ directoryUrl, caBundlePath, dnsManagementUrl, dnsServer: `127.0.0.1:${dnsPort}` },
    async dns(verb, body) {
      const response = await fetch(`${dnsManagementUrl}/${verb}`, {
        method: "POST",
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(`${verb}: ${response.status}`);
    },
    async asked() {
      const log = await readFile(logPath, "utf8");
      return [...log.matchAll(/(HEAD|GET|POST) (\/[a-zA-Z-]+)/g)].map(
        ([, method, path]) => `${method} ${path}`,
      );
    },
    async stop() {
      pebble.kill();
      await pebble.exited;
    },
    async start() {
      pebble = await startUntilUp(startServer, directoryUrl);
    },
    async [Symbol.asyncDispose]() {
      pebble.kill();
      dns.kill();
      await Promise.all([pebble.exited, dns.exited]);
      await rm(dir, { recursive: true });
    },
  };
}

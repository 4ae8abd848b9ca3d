import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { openCertificateFolder } from "../../src/certs/certificate-files.ts";
import type { RouterLimits } from "../../src/router/limits.ts";
import type { RouteCertificate } from "../../src/router/route-table.ts";
import { makeCertificate } from "../certs/make-certificate.ts";
import { startTestRouter } from "./router-fixture.ts";

const hosts = ["demo.test", "other.test"];
const made = await makeCertificate(hosts);

/** The certificate of demo.test and other.test, as a router's table names it. */
export function certificateIn(dir: string): RouteCertificate {
  return openCertificateFolder(`${dir}/certificates`).put({
    ...{ hosts, privateKey: () => made.privateKey, certificateChain: made.certificate },
  });
}

/** A test router that listens for TLS too, with a certificate for its table. */
export async function startTlsRouter(options: { limits?: Partial<RouterLimits> } = {}) {
  const router = await startTestRouter({ ...options, https: true });
  return { router, certificate: certificateIn(router.dir) };
}

/** A TLS connection for demo.test; whoever signed the certificate. */
export function openTls(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const usual = { port, host: "127.0.0.1", servername: "demo.test", rejectUnauthorized: false };
    const socket = connect({ ...usual, ...options }, () => resolve(socket));
    socket.once("error", reject);
  });
}

/** A TLS connection that names no server, as Heroku's command line makes it. */
export function openNameless(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const usual = { port, host: "127.0.0.1", rejectUnauthorized: false };
    const socket = connect({ ...usual, ...options }, () => resolve(socket));
    socket.once("error", reject);
  });
}

/** All that comes until the other side ends or breaks off. */
export function textToEnd(socket: TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (bytes: Buffer) => (text += bytes.toString("latin1")));
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
    socket.on("end", () => socket.destroy());
  });
}

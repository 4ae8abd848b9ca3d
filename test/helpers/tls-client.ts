import { X509Certificate } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";

/** What came back over TLS, and the certificate that was shown for the name. */
export interface TlsAnswer {
  status: number;
  headers: Headers;
  body: string;
  certificate: X509Certificate;
}

/** One TLS connection to loopback that asks by a name, which no resolver needs to know. */
export async function openTlsClient(port: number, host: string) {
  const socket = await new Promise<TLSSocket>((resolve, reject) => {
    const options = { port, host: "127.0.0.1", servername: host, rejectUnauthorized: false };
    const opened = connect(options, () => resolve(opened));
    opened.once("error", reject);
  });
  const certificate = new X509Certificate(socket.getPeerCertificate().raw);
  let received = "";
  let wake = () => {};
  socket.setEncoding("latin1");
  socket.on("data", (text) => {
    received += String(text);
    wake();
  });
  for (const event of ["close", "error"] as const) socket.on(event, () => wake());
  return {
    certificate,
    async ask(path = "/", headers: Record<string, string> = {}): Promise<TlsAnswer> {
      const lines = Object.entries({ Host: host, ...headers }).map((pair) => pair.join(": "));
      socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
      for (;;) {
        const answer = readAnswer(received);
        if (answer) {
          received = "";
          return { ...answer, certificate };
        }
        if (socket.destroyed || socket.readableEnded)
          throw new Error(`the connection ended after ${JSON.stringify(received)}`);
        await Promise.race([new Promise<void>((resolve) => (wake = resolve)), Bun.sleep(200)]);
      }
    },
    close: () => void socket.destroy(),
  };
}

/** Asks once; throws when no TLS connection comes about, as when there is no certificate for the name. */
export async function askOverTls(
  port: number,
  host: string,
  { path = "/", headers = {} }: { path?: string; headers?: Record<string, string> } = {},
): Promise<TlsAnswer> {
  const client = await openTlsClient(port, host);
  try {
    return await client.ask(path, headers);
  } finally {
    client.close();
  }
}

function readAnswer(text: string): Omit<TlsAnswer, "certificate"> | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first = "", ...rows] = text.slice(0, end).split("\r\n");
  const headers = new Headers(
    rows.map((row): [string, string] => {
      const colon = row.indexOf(":");
      return [row.slice(0, colon), row.slice(colon + 1).trim()];
    }),
  );
  const body = text.slice(end + 4);
  const length = Number(headers.get("content-length") ?? Number.NaN);
  const isWhole = Number.isNaN(length) ? body.endsWith("\r\n0\r\n\r\n") : body.length >= length;
  const [, chunk] = /^[0-9a-f]+\r\n([^]*?)\r\n0\r\n\r\n$/.exec(body) ?? [];
  return isWhole
    ? { status: Number(first.split(" ")[1]), headers, body: chunk ?? body }
    : undefined;
}

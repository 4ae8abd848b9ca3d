import { unlimitedIdleTime } from "../lib/idle-time.ts";

export interface Bridge {
  /** `http://127.0.0.1:49152` */
  url: string;
  close(): Promise<void>;
}

/** Headers of one connection, which the next one does not get. */
const ofOneConnection = [
  ...["connection", "keep-alive", "proxy-authorization", "proxy-connection"],
  ...["te", "trailer", "transfer-encoding", "upgrade", "host"],
];

/**
 * Passes requests on, unchanged, from a free port on loopback to the API: `heroku` talks to no other
 * hosts than Heroku's own and this machine's. It adds no token: whoever reaches the port has to
 * bring one. As a proxy (older versions read logs that way) it leads to the API too, and refuses those
 * who ask for other hosts: no token gets to Heroku.
 */
export function startBridge(api: string): Bridge {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    ...unlimitedIdleTime,
    async fetch(request) {
      const { url, method } = request;
      const hosts = [`127.0.0.1:${server.port}`, new URL(api).host];
      if (method === "CONNECT" || !hosts.includes(new URL(url).host))
        return refusal(403, `${method} ${url} is not for ${api}: this bridge goes nowhere else.`);
      try {
        return await passOn(request, api);
      } catch (error) {
        return refusal(502, `Cannot reach ${api}: ${(error as Error).message}`);
      }
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    close: () => server.stop(true),
  };
}

async function passOn(request: Request, api: string): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const headers = new Headers(request.headers);
  for (const name of ofOneConnection) headers.delete(name);
  const answer = await fetch(new URL(pathname + search, api), {
    ...{ method: request.method, headers, body: request.body, signal: request.signal },
    ...{ redirect: "manual", decompress: false },
  });
  const answered = new Headers(answer.headers);
  for (const name of ofOneConnection) answered.delete(name);
  return new Response(answer.body, { status: answer.status, headers: answered });
}

/** In the form of the API's errors, which `heroku` prints as they are. */
function refusal(status: number, message: string): Response {
  return Response.json({ id: "bridge", message }, { status });
}

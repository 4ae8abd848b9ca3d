import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createRouterClient } from "../../../src/router/router-client.ts";
import { freePorts } from "../../helpers/free-ports.ts";
import { cpuTicks, pssMegabytes, sum } from "../processes.ts";
import { pinned, type Place } from "./pinned.ts";

/** A router that runs, in front of the one upstream. */
export interface Contender {
  name: string;
  http: number;
  https: number;
  /** Of all its processes, in hundredths of a second. */
  ticks(): number;
  megabytes(): number;
  stop(): Promise<void>;
}

export interface Setting {
  folder: string;
  upstream: number;
  certificatePath: string;
  privateKeyPath: string;
  /** Requests are logged to a file. */
  log: boolean;
  /** One, usually. */
  workers?: 2;
}

type Told = Setting & { dir: string; http: number; https: number };

/** How each is told the same: one process or thread, kept connections to the upstream, TLS 1.3 only. */
const peers = {
  async nginx(told: Told): Promise<string[]> {
    const { dir, http, https, upstream, log } = told;
    await Bun.write(
      join(dir, "nginx.conf"),
      `worker_processes 1; daemon off; pid ${dir}/pid; error_log ${dir}/error.log;
worker_rlimit_nofile 20000;
events { worker_connections 8192; }
http {
  access_log ${log ? `${dir}/access.log` : "off"};
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/f;
  uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  keepalive_requests 100000000;
  client_max_body_size 0; proxy_request_buffering off; proxy_max_temp_file_size 0;
  upstream app { server 127.0.0.1:${upstream}; keepalive 1024; keepalive_requests 100000000; }
  map $http_upgrade $kept { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${http} backlog=4096;
    listen 127.0.0.1:${https} ssl http2 backlog=4096;
    ssl_certificate ${told.certificatePath}; ssl_certificate_key ${told.privateKeyPath};
    ssl_protocols TLSv1.3;
    location / {
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Host $host;
      proxy_set_header Connection $kept; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Request-Id $request_id;
    }
  }
}
`,
    );
    return ["nginx", "-p", dir, "-c", join(dir, "nginx.conf")];
  },

  async HAProxy(told: Told): Promise<string[]> {
    const { dir, http, https, upstream, log } = told;
    const pem = join(dir, "both.pem");
    const parts = [told.certificatePath, told.privateKeyPath];
    await Bun.write(pem, parts.map((path) => readFileSync(path, "utf8")).join(""));
    await Bun.write(
      join(dir, "haproxy.cfg"),
      `global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
${log ? "  log stdout format raw daemon\n  option httplog" : ""}
frontend in
  bind 127.0.0.1:${http} backlog 4096
  bind 127.0.0.1:${https} backlog 4096 ssl crt ${pem} alpn h2,http/1.1 ssl-min-ver TLSv1.3
  option forwardfor
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  unique-id-format %{+X}o%ci%cp%rt%pid
  unique-id-header X-Request-Id
  default_backend app
backend app
  http-reuse always
  server one 127.0.0.1:${upstream} pool-max-conn 1024
`,
    );
    return ["haproxy", "-db", "-f", join(dir, "haproxy.cfg")];
  },

  async Caddy(told: Told): Promise<string[]> {
    const { dir, http, https, upstream, log } = told;
    const proxy = `${log ? `log {\n output file ${dir}/access.log\n }` : ""}
  reverse_proxy 127.0.0.1:${upstream} {
    header_up X-Request-Id {http.request.uuid}
    transport http {
      keepalive_idle_conns 1024
      keepalive_idle_conns_per_host 1024
    }
  }`;
    await Bun.write(
      join(dir, "Caddyfile"),
      `{
  admin off
  auto_https off
  storage file_system ${dir}
  default_bind 127.0.0.1
  default_sni localhost
  log {
    level ERROR
    exclude http.log.access
  }
}
http://localhost:${http} {
  ${proxy}
}
https://localhost:${https} {
  tls ${told.certificatePath} ${told.privateKeyPath} {
    protocols tls1.3
  }
  ${proxy}
}
`,
    );
    return ["caddy", "run", "--config", join(dir, "Caddyfile"), "--adapter", "caddyfile"];
  },
};

export const peerNames = Object.keys(peers) as (keyof typeof peers)[];

/** Starts nginx, HAProxy or Caddy on free ports. */
export async function startPeer(name: keyof typeof peers, setting: Setting): Promise<Contender> {
  const [http = 0, https = 0] = freePorts(2);
  const dir = join(setting.folder, `${name}-${http}`);
  mkdirSync(dir);
  const argv = await peers[name]({ ...setting, dir, http, https });
  const process_ = start(argv, dir);
  await untilListening([http, https], process_);
  return { name, http, https, ...measured(process_) };
}

/** Starts Stator's router; eight dynos of the same address, since it lets 200 requests wait for each. */
export async function startStator(setting: Setting): Promise<Contender> {
  const dir = join(setting.folder, `stator-${crypto.randomUUID().slice(0, 8)}`);
  const main = join(import.meta.dir, "../../../src/main.ts");
  const process_ = start(
    [
      ...[process.execPath, "--no-env-file", main, "router", "--dir", dir, "--host", "127.0.0.1"],
      ...["--http", "0", "--https", "0", "--workers", String(setting.workers ?? 1)],
      ...(setting.log ? [] : ["--no-log"]),
    ],
    setting.folder,
    setting.workers === 2 ? "two workers" : "router",
  );
  const client = createRouterClient(dir);
  let status = await client.status().catch(() => undefined);
  for (; status === undefined; status = await client.status().catch(() => undefined)) {
    if (process_.exitCode !== null) throw new Error(`the router ended with ${process_.exitCode}`);
    await Bun.sleep(20);
  }
  const { setAside } = await client.putTable({
    version: 1,
    domain: "localhost",
    hosts: { localhost: { app: "app" } },
    apps: {
      app: {
        ...{ name: "app", deployed: true, maintenance: false, crashed: false, starting: false },
        webQuantity: 8,
        dynos: Array.from({ length: 8 }, (_, index) => ({
          id: `dyno-${index}`,
          name: `web.${index}`,
          address: "127.0.0.1",
          port: setting.upstream,
        })),
      },
    },
    certificates: [{ hosts: ["localhost"], ...setting }],
  });
  if (setAside.length > 0) throw new Error(setAside.join("; "));
  const { httpPort, httpsPort } = status;
  return { name: "Stator", http: httpPort!, https: httpsPort!, ...measured(process_) };
}

/** Starts the upstream, which shares the processor of the load. */
export async function startUpstream(folder: string) {
  const [port = 0] = freePorts(1);
  const argv = [process.execPath, join(import.meta.dir, "upstream.ts"), String(port)];
  const process_ = start(argv, folder, "load");
  await untilListening([port], process_);
  return { port, ...measured(process_) };
}

function start(argv: string[], cwd: string, place: Place = "router") {
  return Bun.spawn(pinned(place, argv), {
    cwd,
    env: { ...process.env, HOME: cwd, GOMAXPROCS: "1" },
    stdin: "ignore",
    stdout: Bun.file(join(cwd, "output.log")),
    stderr: Bun.file(join(cwd, "errors.log")),
  });
}

/** The process and its children: what they use, and their end. */
function measured(process_: Bun.Subprocess) {
  const pids = () => [
    process_.pid,
    ...readFileSync(`/proc/${process_.pid}/task/${process_.pid}/children`, "utf8")
      .split(" ")
      .filter(Boolean)
      .map(Number),
  ];
  return {
    ticks: () => sum(pids().map(cpuTicks)),
    megabytes: () => sum(pids().map(pssMegabytes)),
    async stop() {
      const all = pids();
      process_.kill("SIGTERM");
      await Promise.race([process_.exited, Bun.sleep(3_000)]);
      for (const pid of all)
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It has ended by itself.
        }
      await process_.exited;
    },
  };
}

async function untilListening(ports: number[], process_: Bun.Subprocess): Promise<void> {
  for (const port of ports)
    for (;;) {
      if (process_.exitCode !== null) throw new Error(`nothing listens on ${port}: see errors.log`);
      const socket = await Bun.connect({
        hostname: "127.0.0.1",
        port,
        socket: { data() {} },
      }).catch(() => undefined);
      socket?.terminate();
      if (socket !== undefined) break;
      await Bun.sleep(20);
    }
}

import { afterAll, expect, test } from "bun:test";
import { exec, execOk } from "../../src/lib/exec.ts";
import { freePorts } from "../helpers/free-ports.ts";
import { serveApp } from "../helpers/serve-app.ts";
import { probeFiles, until } from "../helpers/stator-server.ts";

const label = crypto.randomUUID().slice(0, 8);
/** Another machine: a network namespace with a wire to this one. */
const outside = { namespace: `scan-${label}`, link: `scan${label}`, host: "203.0.113.5" };
/** Connects to every port there is, many at a time; the ones that open, in order. */
const scanScript = `
import asyncio, sys
gate = asyncio.Semaphore(500)
async def knock(port):
  async with gate:
    try: writer = (await asyncio.wait_for(asyncio.open_connection(sys.argv[1], port), 5))[1]
    except (OSError, asyncio.TimeoutError): return []
    writer.close()
    return [port]
async def scan(): return sum(await asyncio.gather(*map(knock, range(1, 65536))), [])
print(asyncio.run(scan()))`;

async function openPorts(): Promise<number[]> {
  const from = ["ip", "netns", "exec", outside.namespace] as const;
  return JSON.parse(await execOk([...from, "python3", "-c", scanScript, outside.host])) as number[];
}

afterAll(async () => {
  await exec(["ip", "link", "delete", outside.link]);
  await exec(["ip", "netns", "delete", outside.namespace]);
});
const { namespace, link, host } = outside;
await execOk(["ip", "netns", "add", namespace]);
const peer = ["type", "veth", "peer", "name", "eth0", "netns", namespace] as const;
await execOk(["ip", "link", "add", link, ...peer]);
await execOk(["ip", "address", "add", `${host}/30`, "dev", link]);
await execOk(["ip", "link", "set", link, "up"]);
await execOk(["ip", "-n", namespace, "address", "add", "203.0.113.6/30", "dev", "eth0"]);
await execOk(["ip", "-n", namespace, "link", "set", "eth0", "up"]);
const openBefore = await openPorts();
const flags = ["--stop-dynos", "--host", "0.0.0.0"];
const { stator, app } = await serveApp(probeFiles(), { flags });

test("a scan of all ports from another machine finds the router's two, and nothing else of ours", async () => {
  const [httpsPort] = freePorts(1);
  await stator.kill("SIGTERM");
  await stator.restart({ flags: [...flags, "--https", String(httpsPort)] });
  await until("the app is up again", async () => (await app.get()).ok);
  const opened = (await openPorts()).filter((port) => !openBefore.includes(port));
  expect(opened.map(String).sort()).toEqual([stator.port, httpsPort].map(String).sort());
});

import { expect, test } from "bun:test";
import { execOk } from "../../src/lib/exec.ts";
import { tryRead } from "../../src/runtime/read-file.ts";
import { anotherMachine } from "../helpers/another-machine.ts";
import { freePorts } from "../helpers/free-ports.ts";
import { serveApp } from "../helpers/serve-app.ts";
import { probeFiles, type StatorServer, until } from "../helpers/stator-server.ts";

const other = await anotherMachine();
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
  const scan = other.there(["python3", "-c", scanScript, other.host]);
  return JSON.parse(await execOk(scan)) as number[];
}

/** The ports that processes of this machine listen on, and whether one of a server's is among them. */
async function listeners({ dataDir, instance }: StatorServer): Promise<[number, boolean][]> {
  const isOurs = (pid: string | undefined) =>
    tryRead(`/proc/${pid}/cmdline`).includes(dataDir) ||
    tryRead(`/proc/${pid}/cgroup`).includes(`stator-${instance}`);
  return (await execOk(["ss", "-Hltnp"])).split("\n").flatMap((row) => {
    const pids = [...row.matchAll(/pid=(\d+)/g)].map(([, pid]) => pid);
    const port = Number(/:(\d+)\s/.exec(row)?.[1]);
    return pids.length > 0 ? [[port, pids.some(isOurs)] as [number, boolean]] : [];
  });
}

const openBefore = await openPorts();
const flags = ["--stop-dynos", "--host", "0.0.0.0"];
const { stator, app } = await serveApp(probeFiles(), { flags });

test("a scan of all ports from another machine finds the router's two, and nothing else of ours", async () => {
  const [httpsPort] = freePorts(1);
  await stator.kill("SIGTERM");
  await stator.restart({ flags: [...flags, "--https", String(httpsPort)] });
  await until("the app is up again", async () => (await app.get()).ok);
  // Other tests of this machine, and their servers, come and go meanwhile.
  const others = new Set(openBefore);
  let isScanning = true;
  const scan = openPorts().finally(() => (isScanning = false));
  for (; isScanning; await Bun.sleep(500))
    for (const [port, isOurs] of await listeners(stator)) if (!isOurs) others.add(port);
  const still = new Set((await listeners(stator)).map(([port]) => port));
  const opened = (await scan).filter((port) => !others.has(port) && still.has(port));
  expect(opened.map(String).sort()).toEqual([stator.port, httpsPort].map(String).sort());
});

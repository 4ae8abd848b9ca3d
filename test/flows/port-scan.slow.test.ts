import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { execOk } from "../../src/lib/exec.ts";
import { anotherMachine } from "../helpers/another-machine.ts";
import { freePorts } from "../helpers/free-ports.ts";
import { serveApp } from "../helpers/serve-app.ts";
import { probeFiles, until } from "../helpers/stator-server.ts";

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

/**
 * The ports of other tests of this machine, and of their servers, that come and go meanwhile: their
 * processes name another folder than this server's.
 */
async function portsOfOthers(dataDir: string): Promise<number[]> {
  const isOther = (pid: string | undefined) => {
    try {
      const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      const isTest = /^[^\0]*bun[^\0]*\0test\0/.test(argv) && Number(pid) !== process.pid;
      return isTest || (/\0--(?:data|dir)\0/.test(argv) && !argv.includes(dataDir));
    } catch {
      return false;
    }
  };
  return (await execOk(["ss", "-Hltnp"])).split("\n").flatMap((row) => {
    const pids = [...row.matchAll(/pid=(\d+)/g)].map(([, pid]) => pid);
    const port = Number(/:(\d+)\s/.exec(row)?.[1]);
    return pids.length > 0 && pids.every(isOther) ? [port] : [];
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
  const known = new Set(openBefore);
  let isScanning = true;
  const scan = openPorts().finally(() => (isScanning = false));
  for (; isScanning; await Bun.sleep(500))
    for (const port of await portsOfOthers(stator.dataDir)) known.add(port);
  const opened = (await scan).filter((port) => !known.has(port));
  expect(opened.map(String).sort()).toEqual([stator.port, httpsPort].map(String).sort());
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { constantRequests } from "../helpers/constant-requests.ts";
import {
  packageJson,
  probeFiles,
  startStator,
  type StatorApp,
  type StatorServer,
  until,
} from "../helpers/stator-server.ts";

let stator: StatorServer;
let quiet: StatorApp;

beforeAll(async () => {
  stator = await startStator();
  quiet = await stator.createApp(probeFiles());
  await quiet.push();
});
afterAll(() => stator.stop());

/** An app that, when asked, says 200,000 numbered lines in 10 s. */
const loudFiles = {
  "package.json": packageJson(),
  Procfile: "web: node server.js\n",
  "server.js": `
require("node:http").createServer((request, response) => {
  response.end("ok");
  if (request.url === "/flood") flood(Date.now(), 0);
}).listen(process.env.PORT);
function flood(begin, said) {
  const until = Math.min(200000, (Date.now() - begin) * 20);
  let text = "";
  for (; said < until; said++) text += "line " + said + " of the flood, as long as lines are\\n";
  if (text !== "") process.stdout.write(text);
  if (said < 200000) setTimeout(flood, 5, begin, said);
  // By the same pipe: of two, one may be ahead.
  else console.log("the flood is over");
}
`,
};

/** The numbers of the lines that are kept, from the files, oldest first. */
async function keptNumbers(app: StatorApp): Promise<number[]> {
  const { id } = await app.api<{ id: string }>("GET");
  const folder = join(stator.dataDir, "logs", id);
  const text = readdirSync(folder)
    .filter((name) => name.endsWith(".log"))
    .sort()
    .map((name) => readFileSync(join(folder, name), "utf8"))
    .join("");
  return [...text.matchAll(/^\S+ app\[web\.1\]1?: line (\d+) of the flood/gm)].map(([, number]) =>
    Number(number),
  );
}

const memoryOf = (pid: number) =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

/** The first number that is not where it should be; all of them would fill the screen. */
const firstWrong = (numbers: number[]) => numbers.findIndex((number, index) => number !== index);

for (const kills of [0, 5])
  test(`20,000 lines/s for 10 s, the server killed ${kills} times: all there, once, in order; memory flat; another app undisturbed`, async () => {
    const loud = await stator.createApp(loudFiles);
    await loud.push();
    const traffic = constantRequests(stator, quiet);
    await Bun.sleep(1000);
    const before = memoryOf(stator.pid);
    let most = before;
    await loud.get("/flood");
    let over = false;
    const watch = until("the flood is over", async () => {
      // While the server is being killed there is no answer.
      const said = await loud.logs().catch(() => "");
      return (over = said.includes("the flood is over"));
    });
    for (let kill = 0; kill < kills; kill++) {
      await Bun.sleep(500 + Math.random() * 1000);
      await stator.kill("SIGKILL");
      await stator.restart();
    }
    while (!over) {
      most = Math.max(most, memoryOf(stator.pid));
      await Bun.sleep(50);
    }
    await watch;
    expect((await traffic.stop()).failures).toEqual([]);
    const numbers = await keptNumbers(loud);
    expect([firstWrong(numbers), numbers.length]).toEqual([-1, 200_000]);
    if (kills === 0) expect(most - before).toBeLessThan(100);
  });

import { serveLocalPlatform } from "../helpers/local-platform.ts";

type Row = [what: string, figure: string, goal: string];

const appCount = 1000;
const releaseCount = 100_000;
const clients = 8;
const loadMs = 5000;

/** What the API does in a second for eight clients, with a large store: an app, a list of apps, its releases. */
export async function measureApi(): Promise<Row[]> {
  const served = serveLocalPlatform({ requestsPerHour: 1e9 });
  try {
    const app = await served.platform.createApp({ name: "large", user: served.account });
    served.deploy(app, { web: "npm start" });
    for (let count = 1; count < appCount; count++)
      await served.platform.createApp({ name: `app-${count}`, user: served.account });
    addReleases(served, app.id);
    const newest = { Range: "version ..; max=15, order=desc" };
    return [
      await measure("GET /apps/:a", () => served.ask("/apps/large")),
      await measure("GET /apps, 1,000 of them", () =>
        served.ask("/apps", { headers: { Range: "name ..; max=1000" } }),
      ),
      await measure("GET /apps/:a/releases, 15 of 100,000", () =>
        served.ask("/apps/large/releases", { headers: newest }),
      ),
    ];
  } finally {
    await served.stop();
  }
}

function addReleases(served: ReturnType<typeof serveLocalPlatform>, appId: string): void {
  const { $client: store } = served.platform.database;
  const columns = store.query("PRAGMA table_info(releases)").all() as { name: string }[];
  const values = columns.map(({ name }) => {
    if (name === "id") return "lower(hex(randomblob(16)))";
    return name === "version" ? "?1" : name;
  });
  const copy = store.query(
    `INSERT INTO releases SELECT ${values.join(", ")} FROM releases WHERE appId = ?2 AND version = 1`,
  );
  store.transaction(() => {
    for (let version = 4; version < releaseCount; version++) copy.run(version, appId);
  })();
}

async function measure(what: string, ask: () => Promise<Response>): Promise<Row> {
  const tookMs: number[] = [];
  const end = performance.now() + loadMs;
  const client = async () => {
    while (performance.now() < end) {
      const begin = performance.now();
      const response = await ask();
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`${what}: ${response.status}`);
      tookMs.push(performance.now() - begin);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const p99 = tookMs.toSorted((a, b) => a - b)[Math.floor(tookMs.length * 0.99)] ?? 0;
  const each = Math.round((tookMs.length / loadMs) * 1000);
  return [`API: ${what}`, `${each} requests/s, p99 ${p99.toFixed(1)} ms`, ""];
}

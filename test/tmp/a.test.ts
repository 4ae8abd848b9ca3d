import { test } from "bun:test";
import { herokuStory } from "../helpers/heroku-cli.ts";
import { packageJson, probeFiles } from "../helpers/stator-server.ts";
const story = await herokuStory({
  version: "11.10.0",
  apps: {
    shop: probeFiles("1", { Procfile: "web: node server.js 1\nworker: sleep 1000\n" }),
    past: { "package.json": packageJson(), Procfile: "worker: sleep 1000\n" },
  },
});
test("x", async () => {
  const t0 = performance.now();
  const probe = async (label: string) => {
    for (let i = 0; i < 8; i++) {
      const t = performance.now();
      const c = story.person.startOther([
        "curl",
        "-s",
        "-k",
        "-o",
        "/dev/null",
        "-m",
        "30",
        "-w",
        "%{http_code} %{time_connect} %{time_appconnect} %{time_total}",
        `https://api.stator.example:${story.httpsPort}/account`,
      ]);
      const s = await story.ended(c);
      console.log(label, Math.round(t - t0), s.out, s.status);
      await Bun.sleep(1000);
    }
  };
  const ps = [probe("a"), probe("b")];
  for (const n of [4, 4]) {
    const t = performance.now();
    const r = await Promise.all(
      Array.from({ length: n }, async (_, i) => {
        const s = performance.now();
        const x = await story.run(i % 2 ? ["create"] : ["whoami"]);
        console.log("cli", i, performance.now() - s);
        return x;
      }),
    );
    console.log(
      n,
      performance.now() - t,
      r.map((one) => one.status + one.err.slice(-60)),
    );
  }
  await Promise.all(ps);
  console.log(story.stator.said());
});

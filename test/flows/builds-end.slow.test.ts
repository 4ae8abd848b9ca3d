import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  findProcesses,
  packageJson,
  probeFiles,
  startStator,
  until,
} from "../helpers/stator-server.ts";

for (const signal of ["SIGTERM", "SIGKILL"] as const)
  test(`a build from an archive has failed after its server's ${signal}, and leaves nothing`, async () => {
    const stator = await startStator({ flags: [] });
    try {
      const sleep = `1000.${crypto.getRandomValues(new Uint32Array(1))[0]}`;
      const build = `echo the build begins && sleep ${sleep}`;
      const app = await stator.createApp(
        probeFiles("1", { "package.json": packageJson({ build }) }),
      );
      const archive = join(stator.work, "app.tar");
      await app.git("archive", "--output", archive, "HEAD");
      const { source_blob: blob } = await stator.api<{
        source_blob: { get_url: string; put_url: string };
      }>("POST", "/sources");
      await stator.ask("api", new URL(blob.put_url).pathname, {
        method: "PUT",
        body: readFileSync(archive),
      });
      const begun = await app.api<{ id: string; output_stream_url: string }>("POST", "/builds", {
        source_blob: { url: blob.get_url },
      });
      await until("the build sleeps", () => findProcesses(sleep).length > 0);
      const { pathname } = new URL(begun.output_stream_url);
      await until("what it said is kept", async () =>
        (await (await stator.ask("api", `${pathname}?follow=no`)).text()).includes("build begins"),
      );
      const status = await stator.kill(signal);
      if (signal === "SIGTERM")
        expect([status, stator.said()]).toEqual([0, expect.not.stringContaining("Error")]);
      await stator.restart({ flags: ["--stop-dynos"] });
      await until("the build's processes end", () => findProcesses(sleep).length === 0);
      const ended = await app.api<{ status: string; output_stream_url: string }>(
        "GET",
        `/builds/${begun.id}`,
      );
      expect(ended.status).toBe("failed");
      const output = await (
        await stator.ask("api", new URL(ended.output_stream_url).pathname)
      ).text();
      expect(output).toContain("the build begins");
      if (signal === "SIGTERM")
        expect(output).toContain("The build was ended: the server of the platform stops.");
      expect(await app.api<unknown[]>("GET", "/releases")).toHaveLength(2);
    } finally {
      await stator.stop();
    }
  });

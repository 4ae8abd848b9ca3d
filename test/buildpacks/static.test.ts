import { expect, test } from "bun:test";
import { openBench } from "../helpers/buildpack-bench.ts";

test("a machine without nginx is told at the build, with what brings it", async () => {
  const bench = await openBench("static");
  try {
    bench.env["PATH"] = bench.path("bin");
    bench.env["STACK_SBIN"] = bench.path("nowhere");
    await bench.write("app/index.html", "hello");
    expect((await bench.detect()).stdout).toBe("Static\n");
    const { stdout, status } = await bench.compile();
    expect(stdout).toBe(
      " !     The stack has no nginx, which serves static sites.\n" +
        " !     Its operator can install it: apt-get install nginx && systemctl disable --now nginx\n",
    );
    expect(status).toBe(1);
  } finally {
    await bench.close();
  }
});

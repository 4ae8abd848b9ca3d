import { existsSync, rmSync, writeFileSync } from "node:fs";
import { output } from "./pinned.ts";

const packages = {
  nginx: "nginx",
  haproxy: "haproxy",
  caddy: "caddy",
  wrk: "wrk",
  h2load: "nghttp2-client",
  curl: "curl",
};

/** Debian's own routers and load generators, those that are missing; none of them is started as a service. */
export async function installTools(
  wanted = Object.keys(packages) as (keyof typeof packages)[],
): Promise<void> {
  // Where daemons lie is not on everyone's path.
  process.env.PATH += ":/usr/sbin:/sbin";
  const missing = wanted.flatMap((program) =>
    Bun.which(program, { PATH: process.env.PATH! }) ? [] : [packages[program]],
  );
  if (missing.length === 0) return;
  const policy = "/usr/sbin/policy-rc.d";
  const isOurs = !existsSync(policy);
  if (isOurs) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"];
    await output([...apt, "update"]);
    await output([...apt, "install", "-y", "--no-install-recommends", ...missing]);
  } finally {
    if (isOurs) rmSync(policy);
  }
}

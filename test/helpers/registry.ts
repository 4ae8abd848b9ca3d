import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execOk, spawn } from "../../src/lib/exec.ts";
import { freePort } from "../../src/lib/free-port.ts";
import { ensurePrograms } from "./debian-programs.ts";
import { until } from "./stator-server.ts";

/** Debian's docker-registry on loopback, over HTTP; with `account` it lets nobody else in. */
export async function startRegistry(folder: string, account?: { user: string; password: string }) {
  await ensurePrograms({ "docker-registry": "docker-registry" });
  const port = freePort();
  const address = `127.0.0.1:${port}`;
  mkdirSync(folder, { recursive: true });
  const passwords = join(folder, "passwords");
  if (account) {
    const hash = await Bun.password.hash(account.password, { algorithm: "bcrypt", cost: 5 });
    writeFileSync(passwords, `${account.user}:${hash}\n`);
  }
  const settings = {
    version: 0.1,
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: join(folder, "store") } },
    http: { addr: address },
    ...(account ? { auth: { htpasswd: { realm: "test", path: passwords } } } : {}),
  };
  writeFileSync(join(folder, "settings.json"), JSON.stringify(settings));
  const server = spawn(["docker-registry", "serve", join(folder, "settings.json")], {
    ...{ stdout: "ignore", stderr: "ignore" },
  });
  await until(
    "the registry answers",
    async () => (await fetch(`http://${address}/v2/`).catch(() => null)) !== null,
  );
  return {
    address,
    /** Puts an image of an OCI folder under a name. */
    async push(oci: string, name: string, options: string[] = []): Promise<void> {
      const to = `docker://${address}/${name}`;
      const login = account ? ["--dest-creds", `${account.user}:${account.password}`] : [];
      const argv = ["skopeo", "copy", "--dest-tls-verify=false", ...login, ...options] as const;
      await execOk([...argv, `oci:${oci}`, to]);
    },
    async stop(): Promise<void> {
      server.kill();
      await server.exited;
    },
  };
}

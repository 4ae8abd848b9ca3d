import { afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { javaTruststore } from "../../src/toolbox/truststore.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { run } from "../helpers/run.ts";

let folder: string;
beforeAll(() => ensurePrograms({ keytool: "openjdk-17-jre-headless" }));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "truststore-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function certificate(name: string): Promise<string> {
  const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "one.pem")];
  const kind = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", `/CN=${name}`];
  await run(["openssl", "req", ...kind, ...files]);
  return Bun.file(join(folder, "one.pem")).text();
}

test("Java reads the certificates of a bundle, and one that is broken does not cut off the others", async () => {
  const broken = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n";
  const bundle = `# ours\n${await certificate("one.example")}${broken}${await certificate("two.example")}`;
  const path = join(folder, "store.jks");
  writeFileSync(path, javaTruststore(bundle));
  const list = ["keytool", "-list", "-v", "-keystore", path, "-storepass", "changeit"];
  const { stdout, status } = await run(list);
  expect(stdout).toContain("Your keystore contains 2 entries");
  expect(stdout).toContain("Owner: CN=one.example");
  expect(stdout).toContain("Owner: CN=two.example");
  expect(status).toBe(0);
});

test("a file without certificates is refused", () => {
  expect(() => javaTruststore("nothing")).toThrow("There is no certificate in this file.");
});

import { describe, expect, test } from "bun:test";
import { exec } from "../../src/lib/exec.ts";
import { basicAuthUser } from "../../src/router/access.ts";
import { demoTable, dynoThatAnswers, get, ok, startTestRouter } from "./router-fixture.ts";
import { openTls, startTlsRouter } from "./tls-fixture.ts";

async function askOverTls(port: number, request: string): Promise<string> {
  const socket = await openTls(port);
  socket.write(request);
  return new Promise((resolve) => {
    let answer = "";
    socket.on("data", (bytes: Buffer) => (answer += bytes.toString()));
    socket.on("close", () => resolve(answer));
    socket.on("end", () => socket.destroy());
  });
}

describe("TLS", () => {
  test("is 1.2 or 1.3, with forward secrecy and authenticated encryption", async () => {
    const { router, certificate } = await startTlsRouter();
    await using _ = router;
    await router.put({ certificates: [certificate] });
    const port = router.httpsPort!;
    const handshake = async (...options: string[]) => {
      const { stdout, stderr } = await exec(
        [
          "openssl",
          "s_client",
          "-connect",
          `127.0.0.1:${port}`,
          "-servername",
          "demo.test",
          ...options,
        ],
        { stdin: "" },
      );
      return /Cipher is (\S+)|Cipher\s+: (\S+)/.exec(stdout + stderr)?.[1];
    };
    expect(await handshake("-tls1_3")).toMatch(/^TLS_AES_/);
    expect(await handshake("-tls1_2")).toMatch(/^ECDHE-ECDSA-/);
    for (const weak of ["-tls1_1", "-tls1"])
      expect(["(NONE)", undefined]).toContain(await handshake(weak, "-cipher", "ALL:@SECLEVEL=0"));
    for (const cipher of ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "DES-CBC3-SHA"])
      expect(["(NONE)", undefined]).toContain(
        await handshake("-tls1_2", "-cipher", `${cipher}:@SECLEVEL=0`),
      );
  });

  test("of one name goes on when the certificate of another is broken or missing", async () => {
    using cleanup = new DisposableStack();
    const { router, certificate } = await startTlsRouter();
    await using _ = router;
    const dyno = cleanup.adopt(dynoThatAnswers(ok("safe")), (it) => it.stop());
    const broken = `${router.dir}/broken.pem`;
    await Bun.write(broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    const { setAside } = await router.put({
      ...demoTable([dyno]),
      certificates: [
        { ...certificate, hosts: ["x.test"], certificatePath: broken },
        { ...certificate, hosts: ["y.test"], privateKeyPath: "/nowhere" },
        certificate,
      ],
    });
    expect(setAside.map((sentence) => sentence.split(":")[0])).toEqual([
      "certificate of x.test",
      "certificate of y.test",
    ]);
    expect(await askOverTls(router.httpsPort!, get)).toEndWith("safe");
    expect(openTls(router.httpsPort!, { servername: "x.test" })).rejects.toThrow();
  });

  test("tells browsers to stay with it, if the app wants that and says nothing itself", async () => {
    using cleanup = new DisposableStack();
    const { router, certificate } = await startTlsRouter();
    await using _ = router;
    const own = "Strict-Transport-Security: max-age=5\r\n";
    const dyno = cleanup.adopt(dynoThatAnswers(ok("safe")), (it) => it.stop());
    const speaking = cleanup.adopt(
      dynoThatAnswers(ok("safe").replace("OK\r\n", `OK\r\n${own}`)),
      (it) => it.stop(),
    );
    const hsts = { maxAgeSeconds: 31_536_000, includeSubDomains: true };
    await router.put({ ...demoTable([dyno], { hsts }), certificates: [certificate] });
    const header = "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n";
    expect(await askOverTls(router.httpsPort!, get)).toContain(header);
    expect(await router.ask(get)).not.toContain("Strict-Transport");
    await router.put({ ...demoTable([speaking], { hsts }), certificates: [certificate] });
    const answer = await askOverTls(router.httpsPort!, get);
    expect(answer).toContain(own);
    expect(answer).not.toContain(header);
  });

  test("is where an app that wants it sends plain HTTP", async () => {
    const { router, certificate } = await startTlsRouter();
    await using _ = router;
    await router.put({ ...demoTable([], { httpsRedirect: true }), certificates: [certificate] });
    const answer = await router.ask(get.replace("GET /", "GET /a?b=c"));
    expect(answer).toStartWith("HTTP/1.1 301 Moved Permanently\r\n");
    expect(answer).toContain(`Location: https://demo.test:${router.httpsPort}/a?b=c\r\n`);
    expect((await router.logLines(1))[0]).toStartWith("at=info method=GET");
  });
});

test("a CA is answered for each host, before all rules of the app; other tokens are the app's", async () => {
  using cleanup = new DisposableStack();
  await using router = await startTestRouter();
  const dyno = cleanup.adopt(dynoThatAnswers(ok("the app's")), (it) => it.stop());
  const challenges = { "token-1": "token-1.thumbprint" };
  const closed = { maintenance: true, basicAuth: [basicAuthUser("a", "b")], allowedAddresses: [] };
  const ask = (token: string, host = "demo.test") =>
    router.ask(
      `GET /.well-known/acme-challenge/${token} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
  await router.put({ ...demoTable([dyno], closed), challenges });
  expect(await ask("token-1")).toEndWith("\r\n\r\ntoken-1.thumbprint");
  expect(await ask("token-1", "unknown.test")).toEndWith("\r\n\r\ntoken-1.thumbprint");
  expect(await ask("token-2")).toStartWith("HTTP/1.1 403 ");
  await router.put({ ...demoTable([dyno]), challenges });
  expect(await ask("token-2")).toEndWith("the app's");
  await router.put(demoTable([dyno]));
  expect(await ask("token-1")).toEndWith("the app's");
});

import { expect, test } from "bun:test";
import { serverHelp } from "../../src/settings/server-help.ts";
import { readServerSettings } from "../../src/settings/server-settings.ts";
import { SettingsError } from "../../src/settings/values.ts";

test("without flags and variables: root's folder, localhost, port 8080 on loopback, no HTTPS", () => {
  expect(readServerSettings({}, {})).toMatchObject({
    ...{ domain: "localhost", httpPort: 8080, httpsPort: null, host: "127.0.0.1" },
    ...{ stopDynos: false, buildTimeoutMs: 900_000, bootTimeoutMs: 60_000, buildEnvironment: {} },
    runtime: "oci",
  });
});

test("with a real domain: ports 80 and 443 on all addresses", () => {
  expect(readServerSettings({ domain: "example.org" }, {})).toMatchObject({
    ...{ domain: "example.org", httpPort: 80, httpsPort: 443, host: "0.0.0.0" },
  });
  expect(readServerSettings({ domain: "app.localhost" }, {}).host).toBe("127.0.0.1");
});

test("flags win over variables", () => {
  const variables = {
    ...{ STATOR_DATA: "/data", STATOR_DOMAIN: "a.example", STATOR_HTTP_PORT: "1" },
    ...{ STATOR_HTTPS_PORT: "2", STATOR_HOST: "::1" },
  };
  expect(readServerSettings({}, variables)).toMatchObject({
    ...{ dataDir: "/data", domain: "a.example", httpPort: 1, httpsPort: 2, host: "::1" },
  });
  const flags = { data: "/other", domain: "b.example", http: "3", https: "0", host: "10.0.0.1" };
  expect(readServerSettings(flags, variables)).toMatchObject({
    ...{ dataDir: "/other", domain: "b.example", httpPort: 3, httpsPort: null, host: "10.0.0.1" },
  });
});

test("logs are kept for a week or up to 64 MB, or as it is set", () => {
  expect(readServerSettings({}, {}).logs).toEqual({
    maxBytes: 64 * 1024 * 1024,
    maxAgeMs: 7 * 24 * 3600 * 1000,
  });
  const set = { STATOR_LOG_DAYS: "30", STATOR_LOG_MEGABYTES: "1" };
  expect(readServerSettings({}, set).logs).toEqual({
    maxBytes: 1024 * 1024,
    maxAgeMs: 30 * 24 * 3600 * 1000,
  });
});

test("an account may ask 4500 times an hour, or as often as it is set", () => {
  expect(readServerSettings({}, {}).requestsPerHour).toBe(4500);
  const variables = { STATOR_API_REQUESTS_PER_HOUR: "100000" };
  expect(readServerSettings({}, variables).requestsPerHour).toBe(100_000);
});

test("the help names each variable that is read, and no other", () => {
  const asked = new Set<string>();
  const variables = new Proxy<Record<string, string | undefined>>(
    { HOME: "/root" },
    { get: (_, name) => void asked.add(String(name)) },
  );
  readServerSettings({}, variables);
  const byForm = /^STATOR_BUILD_ENV_|^STATOR_BUILD_CA_BUNDLE$|^STATOR_(?!BUILDPACK)\w+_MIRROR$/;
  const named = serverHelp.match(/\bSTATOR_\w+/g) ?? [];
  expect(new Set(named.filter((name) => !byForm.test(name)))).toEqual(
    new Set([...asked].filter((name) => name.startsWith("STATOR_"))),
  );
});

test("the runtime without isolation must be asked for, by flag or variable", () => {
  expect(readServerSettings({}, { STATOR_RUNTIME: "process" }).runtime).toBe("process");
  expect(readServerSettings({ runtime: "oci" }, { STATOR_RUNTIME: "process" }).runtime).toBe("oci");
});

test("a folder that is relative is taken from where the server is started", () => {
  expect(readServerSettings({ data: "data" }, {}).dataDir).toBe(`${process.cwd()}/data`);
});

test("builds get the variables that are meant for them, and no other", () => {
  const { buildEnvironment } = readServerSettings(
    {},
    {
      ...{ STATOR_BUILD_ENV_HTTPS_PROXY: "http://proxy:3128", STATOR_NODE_MIRROR: "http://m" },
      ...{
        STATOR_BUILD_CA_BUNDLE: import.meta.path,
        HTTPS_PROXY: "no",
        AWS_SECRET_ACCESS_KEY: "no",
      },
      ...{ STATOR_DATA: "/data", STATOR_API_KEY: "no", STATOR_BUILD_TIMEOUT: "7" },
    },
  );
  expect(buildEnvironment).toEqual({
    ...{ HTTPS_PROXY: "http://proxy:3128", STATOR_NODE_MIRROR: "http://m" },
    STATOR_BUILD_CA_BUNDLE: import.meta.path,
  });
});

test("certificates come from Let's Encrypt for a public domain, and from nobody for a local one", () => {
  const authority = (domain: string, variables = {}, flags = {}) =>
    readServerSettings({ domain, ...flags }, variables).acme;
  expect(authority("paas.example.org")).toEqual({
    directoryUrl: "https://acme-v02.api.letsencrypt.org/directory",
    ...{ email: undefined, caBundlePath: undefined, isPublic: true, httpPort: 80 },
    ...{ dnsHook: undefined, dnsServers: undefined },
  });
  const local = [
    "localhost",
    "a.localhost",
    "paas.test",
    "paas.lan",
    "box.local",
    "paas",
    "a.internal",
  ];
  for (const domain of local) expect([domain, authority(domain)]).toEqual([domain, null]);
  const STATOR_ACME_DIRECTORY = "https://ca.example/dir";
  const named = authority("paas.lan", {
    ...{ STATOR_ACME_DIRECTORY, STATOR_ACME_EMAIL: "me@example.com" },
    ...{ STATOR_ACME_DNS_SERVERS: "9.9.9.9, 10.0.0.1:5353,[2620:fe::fe]:53" },
    ...{ STATOR_ACME_DNS_HOOK: "/bin/sh", STATOR_ACME_HTTP_PORT: "8080" },
  });
  expect(named).toMatchObject({
    ...{ directoryUrl: STATOR_ACME_DIRECTORY, email: "me@example.com", isPublic: false },
    ...{ dnsServers: ["9.9.9.9", "10.0.0.1:5353", "[2620:fe::fe]:53"] },
    ...{ dnsHook: "/bin/sh", httpPort: 8080 },
  });
  expect(authority("paas.example.org", { STATOR_ACME_DIRECTORY: "none" })).toBeNull();
  expect(authority("paas.example.org", {}, { https: "0" })).toBeNull();
});

for (const [variable, flag, values] of [
  ["STATOR_HTTP_PORT", "http", ["", "x", "65536", "-1", "1.5", " 80", "0x50"]],
  ["STATOR_HTTPS_PORT", "https", ["", "none", "99999"]],
  [
    "STATOR_DOMAIN",
    "domain",
    ["", "UPPER.example", "a..b", "-a", "a-", "a b", "ü.example", `${"a".repeat(64)}.b`],
  ],
  ["STATOR_HOST", "host", ["", "localhost", "1.2.3", "1.2.3.256", "::g"]],
  ["STATOR_DATA", "data", [""]],
  ["STATOR_LOG_DAYS", null, ["", "0", "-1", "1.5", "week", "10000"]],
  ["STATOR_LOG_MEGABYTES", null, ["", "0", "64 MB", "1e3", "1234567"]],
  ["STATOR_RUNTIME", "runtime", ["", "docker", "OCI", "process "]],
  ["STATOR_BUILD_TIMEOUT", null, ["0", "", "1m", "-5", "1.5"]],
  ["STATOR_BOOT_TIMEOUT", null, ["0", "x"]],
  ["STATOR_BUILD_CACHE_MEGABYTES", null, ["", "-1", "2 GB"]],
  ["STATOR_BUILDPACK_MIRROR", null, ["", "mirror.example"]],
  ["STATOR_GITHUB_API", null, ["", "api.github.com"]],
  ["STATOR_DYNO_DISK_MEGABYTES", null, ["", "15"]],
  ["STATOR_BUILD_CA_BUNDLE", null, ["", "/nowhere/ca.pem", "/etc", "ca.pem"]],
  ["STATOR_ACME_DIRECTORY", null, ["", "http://ca.example/dir", "ca.example", "letsencrypt"]],
  ["STATOR_ACME_EMAIL", null, ["", "me", "mailto:me@example.com"]],
  ["STATOR_ACME_CA_BUNDLE", null, ["", "/nowhere/ca.pem", "/etc"]],
  ["STATOR_ACME_DNS_HOOK", null, ["", "/nowhere/hook", "/etc/passwd", "sh"]],
  ["STATOR_ACME_DNS_SERVERS", null, ["", "dns.example", "9.9.9.9,", "2620:fe::fe", "1.2.3.4:x"]],
  ["STATOR_ACME_HTTP_PORT", null, ["", "0", "65536"]],
  ["STATOR_NODE_MIRROR", null, ["", "mirror.example", "ftp://mirror.example"]],
] as const)
  test(`a wrong ${variable} is named with its value, in one line`, () => {
    for (const value of values) {
      const said = (read: () => unknown) => {
        try {
          read();
          return `${JSON.stringify(value)} is taken`;
        } catch (error) {
          expect(error).toBeInstanceOf(SettingsError);
          return (error as Error).message;
        }
      };
      const byVariable = said(() => readServerSettings({}, { [variable]: value }));
      expect(byVariable).toStartWith(`${variable} is ${JSON.stringify(value)}, but must be `);
      expect(byVariable).not.toContain("\n");
      if (flag === null) continue;
      const byFlag = said(() => readServerSettings({ [flag]: value }, {}));
      expect(byFlag).toStartWith(`--${flag} is ${JSON.stringify(value)}, but must be `);
    }
  });

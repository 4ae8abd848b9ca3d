import { describe, expect, test } from "bun:test";
import { createCustomPages } from "../../src/router/custom-pages.ts";
import { errorPage } from "../../src/router/error-page.ts";
import { fetchPage } from "../../src/router/page-fetch.ts";

const page = "<!doctype html><html><head><title>Ours</title></head><body>Sorry</body></html>";

function startHost() {
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      switch (new URL(request.url).pathname) {
        case "/page":
          return new Response(page, { headers: { "content-type": "text/html" } });
        case "/moved":
          return Response.redirect("/page", 302);
        case "/loop":
          return Response.redirect("/loop", 302);
        case "/metadata":
          return Response.redirect("http://169.254.169.254/latest/meta-data", 302);
        case "/large":
          return new Response("x".repeat(300_000), { headers: { "content-type": "text/html" } });
        case "/slow":
          await Bun.sleep(2_000);
          return new Response(page, { headers: { "content-type": "text/html" } });
        case "/json":
          return Response.json({});
        default:
          return new Response("no", { status: 404, headers: { "content-type": "text/html" } });
      }
    },
  });
}

describe("an app's own error page", () => {
  test("is fetched, over redirects too", async () => {
    using host = startHost();
    const isAllowed = () => true;
    expect(await fetchPage(`http://127.0.0.1:${host.port}/page`, { isAllowed })).toBe(page);
    expect(await fetchPage(`http://127.0.0.1:${host.port}/moved`, { isAllowed })).toBe(page);
  });

  test("is not fetched from this machine or its network, by whatever name or way", async () => {
    using host = startHost();
    const refusal = "which is not on the public internet";
    for (const url of [
      `http://127.0.0.1:${host.port}/page`,
      `http://localhost:${host.port}/page`,
      `http://[::1]:${host.port}/page`,
      `http://[::ffff:127.0.0.1]:${host.port}/page`,
      `http://0x7f.1:${host.port}/page`,
      "http://169.254.169.254/",
    ])
      expect(fetchPage(url)).rejects.toThrow(refusal);
    expect(
      fetchPage(`http://127.0.0.1:${host.port}/metadata`, {
        isAllowed: (address) => address === "127.0.0.1",
      }),
    ).rejects.toThrow(refusal);
    expect(fetchPage("file:///etc/passwd")).rejects.toThrow("file: is not http: or https:");
  });

  test("is refused when it is large, slow, missing, no page, or leads in circles", async () => {
    using host = startHost();
    const get = (path: string, timeoutMs = 60_000) =>
      fetchPage(`http://127.0.0.1:${host.port}${path}`, { isAllowed: () => true, timeoutMs });
    expect(get("/large")).rejects.toThrow("longer than 262144 bytes");
    expect(get("/slow", 300)).rejects.toThrow("no answer in 300 ms");
    expect(get("/missing")).rejects.toThrow("the answer is 404, not 200");
    expect(get("/json")).rejects.toThrow("is not text/html");
    expect(get("/loop")).rejects.toThrow("more than 3 redirects");
  });

  test("clause 50: is framed by its address, and by its copy once there is one", async () => {
    const fetched: string[] = [];
    const pages = createCustomPages((url) => {
      fetched.push(url);
      return url.includes("bad") ? Promise.reject(new Error("no")) : Promise.resolve(page);
    });
    const url = 'https://host.example/x?a&"b';
    expect(pages.copyOf(url)).toBeUndefined();
    expect(errorPage("application-error", { url })).toContain(
      '<iframe src="https://host.example/x?a&amp;&quot;b"></iframe>',
    );
    await Bun.sleep(1);
    const copy = pages.copyOf(url);
    expect(copy).toBe(page);
    const framed = errorPage("application-error", { url, copy });
    expect(framed).toContain('<iframe src="https://host.example/x?a&amp;&quot;b" srcdoc="');
    expect(framed).toContain('sandbox="allow-scripts');
    expect(framed).not.toContain("allow-same-origin");
    expect(framed).not.toContain("<title>Ours");
    pages.copyOf("https://bad.example/");
    await Bun.sleep(1);
    expect(pages.copyOf("https://bad.example/")).toBeUndefined();
    expect(fetched).toEqual([url, "https://bad.example/"]);
  });

  test("is ours when the owner's address is none of the web", () => {
    for (const url of ["javascript:alert(1)", "data:text/html,x", "/path", "https://", "x"])
      expect(errorPage("application-error", { url })).not.toContain("iframe");
  });
});

import { join } from "node:path";
import { answerAsGithub } from "./github-api.ts";

/** The process of `startOutsideServer`: git's own program behind HTTP, and files. */
const [folder = "", port = ""] = process.argv.slice(2);
let asked: string[] = [];

Bun.serve({
  hostname: "0.0.0.0",
  port: Number(port),
  async fetch(request) {
    const url = new URL(request.url);
    if (url.pathname === "/asked") {
      const all = asked;
      asked = [];
      return Response.json(all);
    }
    asked.push(`${request.method} ${url.pathname}${url.search}`);
    if (url.pathname.startsWith("/github/"))
      return answerAsGithub(request, { folder, at: "/github" });
    const password = `Basic ${Buffer.from("someone:opensesame").toString("base64")}`;
    if (url.pathname.startsWith("/private/") && request.headers.get("authorization") !== password)
      return new Response("who?", {
        status: 401,
        headers: { "www-authenticate": 'Basic realm="outside"' },
      });
    if (!/\.git\/(info\/refs|git-upload-pack)$/.test(url.pathname)) {
      const file = Bun.file(join(folder, url.pathname));
      return (await file.exists()) ? new Response(file) : new Response("none", { status: 404 });
    }
    return git(request, url);
  },
});

/** One call of git's CGI program. */
async function git(request: Request, url: URL): Promise<Response> {
  const child = Bun.spawn(["git", "http-backend"], {
    env: {
      PATH: "/usr/bin:/bin",
      HOME: folder,
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      PATH_INFO: url.pathname.replace(".git/", "/.git/"),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers.get("content-type") ?? "",
      HTTP_CONTENT_ENCODING: request.headers.get("content-encoding") ?? "",
      HTTP_GIT_PROTOCOL: request.headers.get("git-protocol") ?? "",
      GIT_PROTOCOL: request.headers.get("git-protocol") ?? "",
    },
    stdin: new Blob([await request.arrayBuffer()]),
    stdout: "pipe",
  });
  const bytes = Buffer.from(await new Response(child.stdout).arrayBuffer());
  const end = bytes.indexOf("\r\n\r\n");
  const headers = new Headers();
  let status = 200;
  for (const line of bytes.subarray(0, end).toString().split("\r\n")) {
    const [name = "", value = ""] = line.split(/:\s*/, 2);
    if (name.toLowerCase() === "status") status = Number.parseInt(value, 10);
    else headers.append(name, value);
  }
  return new Response(bytes.subarray(end + 4), { status, headers });
}

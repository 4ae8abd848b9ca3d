import mimeTypes from "../mime-types.json";
import type { SiteRules } from "./site-rules.ts";

/** Files of the app that are no part of its site, when its site is all of the app. */
const ownFiles = "Procfile static.json app.json project.toml package.json".split(" ");

/** What nginx compresses at once, where no compressed file lies beside. */
export const compressedTypes = Object.keys(mimeTypes).filter((type) =>
  /^text\/|json|xml|javascript|wasm|font\/(?:ttf|otf)/.test(type),
);

/**
 * The rules as a configuration of nginx; `@PORT@`, `@HOME@` and `@WORK@` are filled in when a dyno starts. Pure.
 * Headers are chosen by maps, since nginx forgets them all in a location that adds one.
 */
export function nginxConfig(rules: SiteRules): string {
  const headers = rules.headers.flatMap(([pattern, pairs]) =>
    pairs.map(([name, value]) => ({ pattern, name, value })),
  );
  return `daemon off;
worker_processes 2;
error_log stderr;
pid @WORK@/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  server_tokens off;
  absolute_redirect off;
  client_body_temp_path @WORK@/body;
  proxy_temp_path @WORK@/proxy;
  fastcgi_temp_path @WORK@/fastcgi;
  uwsgi_temp_path @WORK@/uwsgi;
  scgi_temp_path @WORK@/scgi;
  default_type application/octet-stream;
  charset utf-8;
  types {
${Object.entries(mimeTypes)
  .map(([type, endings]) => `    ${type} ${endings.join(" ")};`)
  .join("\n")}
  }
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 100s;
  gzip on;
  gzip_static on;
  gzip_vary on;
  gzip_proxied any;
  gzip_min_length 1024;
  gzip_types ${compressedTypes.filter((type) => type !== "text/html").join(" ")};
  geo $dollar { default "$"; }
${headers
  .map(
    ({ pattern, value }, index) =>
      `  map $uri $header_${index} { default ""; ${quoted(`~${regex(pattern)}`)} ${quoted(value, { literal: true })}; }`,
  )
  .join("\n")}
  server {
    listen @PORT@;
    root ${quoted(`@HOME@/${rules.root}`)};
    index index.html;
${[
  ...headers.map(({ name }, index) => `add_header ${name} $header_${index} always;`),
  ...(rules.httpsOnly
    ? ['if ($http_x_forwarded_proto = "http") { return 301 https://$host$request_uri; }']
    : []),
  ...(rules.errorPage ? [`error_page 404 ${quoted(rooted(rules.errorPage))};`] : []),
  // Nothing of the build, and no secret that somebody has left there.
  "location ~ /\\.(?!well-known/) { return 404; }",
  ...(rules.root === "."
    ? [`location ~ ^/(?:${ownFiles.map(escaped).join("|")})$ { return 404; }`]
    : []),
  ...rules.redirects.map(
    ([pattern, { url, status }]) =>
      `location ~ ${quoted(regex(pattern))} { return ${status} ${quoted(url, { literal: true })}; }`,
  ),
  ...rules.routes.map(
    ([pattern, file]) =>
      `location ~ ${quoted(regex(pattern))} { try_files ${tried(rules)} ${quoted(rooted(file))} =404; }`,
  ),
  `location / { try_files ${tried(rules)} =404; }`,
]
  .map((line) => `    ${line}`)
  .join("\n")}
  }
}
`;
}

function tried({ cleanUrls }: SiteRules): string {
  return cleanUrls ? "$uri $uri.html $uri/" : "$uri $uri/";
}

/** A pattern of paths as a regular expression. */
function regex(pattern: string): string {
  const parts = pattern.split(/(\*\*|\*)/);
  const read = parts.map((part) => (part === "**" ? ".*" : part === "*" ? "[^/]*" : escaped(part)));
  return `^${read.join("")}$`;
}

function escaped(part: string): string {
  return part.replaceAll(/[\\^$.|?*+()[\]{}]/g, "\\$&");
}

function rooted(file: string): string {
  return file.startsWith("/") ? file : `/${file}`;
}

/** A word of nginx's language; in a literal one, a dollar is only a dollar. */
function quoted(text: string, { literal = false } = {}): string {
  const safe = text.replaceAll(/["\\]/g, "\\$&");
  return `"${literal ? safe.replaceAll("$", "${dollar}") : safe}"`;
}

import type { ErrorPage } from "./router-error.ts";

const style = `
:root{color-scheme:light dark;--ink:#1f2430;--soft:#5d6679;--paper:#f6f7fb;--card:#fff;--line:#e3e6ef;--accent:#5b4bdb}
@media(prefers-color-scheme:dark){:root{--ink:#eceef5;--soft:#a3abbd;--paper:#14161c;--card:#1c1f28;--line:#2c313d;--accent:#a99cff}}
*{box-sizing:border-box}html,body{height:100%;margin:0}
body{display:grid;place-items:center;padding:24px;background:var(--paper);color:var(--ink);font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:560px;padding:40px;background:var(--card);border:1px solid var(--line);border-radius:16px;box-shadow:0 12px 40px rgb(20 22 40/.08)}
svg{display:block;width:44px;height:44px;margin-bottom:20px;color:var(--accent)}
h1{margin:0 0 12px;font-size:24px;line-height:1.25}p{margin:0 0 12px;color:var(--soft)}p:last-child{margin:0}
code{padding:2px 6px;border-radius:6px;background:var(--paper);color:var(--ink);font:14px ui-monospace,SFMono-Regular,Menlo,monospace}`
  .trim()
  .replaceAll("\n", "");

const mark = `<svg viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round" aria-hidden="true"><circle cx="24" cy="24" r="20"/><circle cx="24" cy="24" r="7"/><path d="M24 4v8M24 36v8M4 24h8M36 24h8"/></svg>`;

/** All pages that the router can show: those of the errors, and two more. */
export type OwnPage = ErrorPage | "no-such-app" | "moved";

const words: Record<OwnPage, { title: string; body: string }> = {
  "application-error": {
    title: "Application error",
    body: `<p>An error occurred in the application and your page could not be served. If you are the application owner, check your logs for details. You can do this from the command line:</p><p><code>stator logs --tail</code></p>`,
  },
  maintenance: {
    title: "Offline for maintenance",
    body: `<p>This application is undergoing maintenance right now. Please check back later.</p>`,
  },
  welcome: {
    title: "Welcome to your new app!",
    body: `<p>There is nothing deployed here yet. Push your code, and it will be served at this address:</p><p><code>git push stator main</code></p>`,
  },
  "no-such-app": {
    title: "No such app",
    body: `<p>There is no app configured at that hostname. Perhaps the app owner has renamed it, or you mistyped the address.</p>`,
  },
  moved: {
    title: "This way",
    body: `<p>This application is served over HTTPS only.</p>`,
  },
  forbidden: {
    title: "Not from here",
    body: `<p>This application answers only to certain addresses, and yours is not among them.</p>`,
  },
  unauthorized: {
    title: "Password needed",
    body: `<p>This application asks for a user name and a password.</p>`,
  },
  "too-many-requests": {
    title: "Too many requests",
    body: `<p>More requests came than this application takes. Please try again in a moment.</p>`,
  },
  "no-page": { title: "Bad request", body: `<p>The request could not be understood.</p>` },
};

/** A page of the app's owner: where it is, and a copy of it if there is one. */
export interface CustomPage {
  url: string;
  copy?: string | undefined;
}

/** A whole page that asks no other host for anything, unless the app's owner names one of their own. */
export function errorPage(page: OwnPage, custom?: CustomPage): string {
  const { title, body } = words[page];
  const head = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">`;
  if (custom !== undefined && isWebAddress(custom.url))
    return `${head}<title>${title}</title><style>html,body,iframe{margin:0;padding:0;}html,body{height:100%;overflow:hidden;}iframe{width:100%;height:100%;border:0;}</style></head><body>${frame(custom)}</body></html>`;
  return `${head}<meta name="robots" content="noindex"><title>${title}</title><style>${style}</style></head><body><main>${mark}<h1>${title}</h1>${body}</main></body></html>`;
}

/** Only such addresses are put into a page or fetched. */
function isWebAddress(url: string): boolean {
  return /^(https?:)?\/\/[^/]/i.test(url);
}

/**
 * Heroku's frame around the owner's page (contract §3.8). With a copy it also shows where the page
 * may not be framed, or its host is down; without the app's origin, since the page is of another.
 */
function frame({ url, copy }: CustomPage): string {
  const src = `src="${Bun.escapeHTML(url)}"`;
  if (copy === undefined) return `<iframe ${src}></iframe>`;
  const base = `<base href="${Bun.escapeHTML(url)}" target="_top">`;
  const page = /<head[^>]*>/i.test(copy)
    ? copy.replace(/<head[^>]*>/i, (head) => head + base)
    : base + copy;
  return `<iframe ${src} srcdoc="${Bun.escapeHTML(page)}" sandbox="allow-scripts allow-forms allow-popups allow-top-navigation-by-user-activation"></iframe>`;
}

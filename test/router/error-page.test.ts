import { expect, test } from "bun:test";
import { errorPage, type OwnPage } from "../../src/router/error-page.ts";
import { routerErrors } from "../../src/router/router-error.ts";

const pages: OwnPage[] = [
  ...new Set([
    ...Object.values(routerErrors).map(({ page }) => page),
    "no-such-app",
    "moved",
  ] as const),
];

for (const page of pages)
  test(`the page ${page} is whole: title and words, for light and dark, and nothing from any other place`, () => {
    const html = errorPage(page);
    expect(html).toMatch(/<title>[^<]+<\/title>.*<h1>[^<]+<\/h1><p>/s);
    expect(html).toContain("prefers-color-scheme:dark");
    expect(html).not.toMatch(/\/\/|src=|href=|url\(|@import|<script|<link/i);
  });

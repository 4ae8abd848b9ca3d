/** What the pages of the login have in common: nothing of others in them, and no others around them. */
export const pageHeaders = {
  "Cache-Control": "no-store",
  "Content-Security-Policy":
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/** A page with a form, whose text may come from anyone. Pure. */
export function formPage(options: {
  title: string;
  words: string[];
  fields: { name: string; label: string; type: "email" | "password" | "text"; isOptional?: true }[];
  button: string;
  problem?: string | undefined;
}): string {
  const { title, words, fields, button, problem } = options;
  const inputs = fields.map(
    ({ name, label, type, isOptional }) =>
      `<label>${escaped(label)}<input name="${name}" type="${type}"${isOptional ? "" : " required"} autocomplete="${autocompleteOf(name)}"></label>`,
  );
  return page(title, [
    ...words.map((text) => `<p>${escaped(text)}</p>`),
    ...(problem === undefined ? [] : [`<p role="alert">${escaped(problem)}</p>`]),
    `<form method="post">${inputs.join("")}<button>${escaped(button)}</button></form>`,
  ]);
}

/** A page that only says something. Pure. */
export function wordsPage(title: string, text: string): string {
  return page(title, [`<p>${escaped(text)}</p>`]);
}

export const credentialFields = [
  { name: "email", label: "Email address", type: "email" },
  { name: "password", label: "Password", type: "password" },
  { name: "code", label: "Second factor, if you have one", type: "text", isOptional: true },
] as const;

function autocompleteOf(name: string): string {
  if (name === "email") return "username";
  if (name === "code") return "one-time-code";
  return name === "password" ? "current-password" : "new-password";
}

function page(title: string, content: string[]): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 12vh auto; padding: 0 1rem; color: #1d1d2b; }
label { display: block; margin: 0 0 1rem; }
input { display: block; box-sizing: border-box; width: 100%; font: inherit; padding: .5rem; border: 1px solid #8a8a9c; border-radius: 4px; }
button { font: inherit; padding: .5rem 1.5rem; border: 0; border-radius: 4px; background: #4b3bbf; color: #fff; }
[role=alert] { color: #a8071a; }
</style>
<h1>${escaped(title)}</h1>
${content.join("\n")}
`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (letter) => `&#${letter.codePointAt(0)};`);
}

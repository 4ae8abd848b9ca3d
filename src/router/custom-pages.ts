import { fetchPage } from "./page-fetch.ts";

/** Copies of the pages that apps have for their errors. */
export interface CustomPages {
  /** The copy at hand, at once; what is missing or old is fetched for the next time. */
  copyOf(url: string): string | undefined;
}

interface Copy {
  html?: string;
  atMs: number;
}

const freshMs = 5 * 60_000;
const retryMs = 30_000;
const maxCopies = 200;
const maxFetches = 4;

/** No copies yet. A page that can't be fetched is tried again later; its old copy stays. */
export function createCustomPages(
  fetch: (url: string) => Promise<string> = fetchPage,
): CustomPages {
  const copies = new Map<string, Copy>();
  let fetches = 0;

  async function refresh(url: string, copy: Copy): Promise<void> {
    fetches++;
    try {
      copy.html = await fetch(url);
    } catch {
      // The browser is given the address too, and can try itself.
      copy.atMs -= freshMs - retryMs;
    } finally {
      fetches--;
    }
  }

  return {
    copyOf(url) {
      let copy = copies.get(url);
      if (copy === undefined) {
        const [oldest] = copies.keys();
        if (copies.size >= maxCopies && oldest !== undefined) copies.delete(oldest);
        copies.set(url, (copy = { atMs: -Infinity }));
      }
      if (performance.now() - copy.atMs > freshMs && fetches < maxFetches) {
        copy.atMs = performance.now();
        void refresh(url, copy);
      }
      return copy.html;
    },
  };
}

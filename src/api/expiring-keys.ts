import { randomBytes } from "node:crypto";

/** Secret names for things that are there for a while: 256 random bits each. */
export class ExpiringKeys<Thing> {
  readonly #things = new Map<string, { thing: Thing; timer: Timer }>();
  readonly #lifeMs: number;
  readonly #onExpire: (thing: Thing) => void;

  constructor(lifeMs: number, onExpire: (thing: Thing) => void = () => {}) {
    this.#lifeMs = lifeMs;
    this.#onExpire = onExpire;
  }

  add(thing: Thing): string {
    const key = randomBytes(32).toString("base64url");
    const timer = setTimeout(() => {
      this.#things.delete(key);
      this.#onExpire(thing);
    }, this.#lifeMs);
    timer.unref();
    this.#things.set(key, { thing, timer });
    return key;
  }

  count(isOne: (thing: Thing) => boolean = () => true): number {
    return [...this.#things.values()].filter(({ thing }) => isOne(thing)).length;
  }

  find(key: string): Thing | undefined {
    return this.#things.get(key)?.thing;
  }

  /** Finds a thing and ends its key: it opens once. */
  take(key: string): Thing | undefined {
    const found = this.#things.get(key);
    clearTimeout(found?.timer);
    this.#things.delete(key);
    return found?.thing;
  }
}

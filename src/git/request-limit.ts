const hourMs = 60 * 60_000;

export interface RequestLimit {
  /** Counts a request; false when there were too many within the last hour. */
  allows(who: string, now?: number): boolean;
}

/** So many requests of each within an hour, forgotten by a restart; `null`: as many as they like. */
export function createRequestLimit(perHour: number | null): RequestLimit {
  const times = new Map<string, number[]>();
  let sweptAt = 0;
  return {
    allows(who, now = Date.now()) {
      if (perHour === null) return true;
      if (now - sweptAt > hourMs) {
        for (const [key, all] of times) if ((all.at(-1) ?? 0) <= now - hourMs) times.delete(key);
        sweptAt = now;
      }
      const recent = (times.get(who) ?? []).filter((time) => time > now - hourMs);
      const allowed = recent.length < perHour;
      if (allowed) recent.push(now);
      times.set(who, recent);
      return allowed;
    },
  };
}

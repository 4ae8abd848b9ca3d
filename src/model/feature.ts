import type { App } from "./app.ts";

/** What an app can be told to do otherwise (contract §1.3, §1.14, §3.9). */
export interface Feature {
  name: string;
  description: string;
  /** `general` ones are listed by `features`, `beta` ones by `labs`. */
  state: "general" | "beta";
  byDefault: boolean;
}

export const features: Feature[] = [
  {
    name: "preboot",
    description:
      "New web dynos are up before the old ones are stopped. Off: Heroku's order, old ones are stopped as new ones start.",
    state: "general",
    byDefault: true,
  },
  {
    name: "http-session-affinity",
    description: "A client's requests go to the same web dyno as long as it is up.",
    state: "general",
    byDefault: false,
  },
  {
    name: "runtime-dyno-metadata",
    description:
      "HEROKU_APP_NAME, HEROKU_SLUG_COMMIT and their like in the environment, from the next release on.",
    state: "beta",
    byDefault: false,
  },
];

export function findFeature(name: string): Feature | undefined {
  return features.find((feature) => feature.name === name);
}

export function isFeatureEnabled(app: Pick<App, "features">, name: string): boolean {
  return app.features[name] ?? findFeature(name)?.byDefault ?? false;
}

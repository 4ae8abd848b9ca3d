import { go } from "./go.ts";
import { python } from "./python.ts";
import { ruby } from "./ruby.ts";
import type { Vendor } from "./vendor.ts";

/** Runtimes that a buildpack can ask for by name. */
export const vendors: Record<string, Vendor> = { go, python, ruby };

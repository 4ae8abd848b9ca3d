import { go } from "./go.ts";
import { java } from "./java.ts";
import { node } from "./node.ts";
import { python } from "./python.ts";
import { ruby } from "./ruby.ts";
import type { Vendor } from "./vendor.ts";
import { zulu } from "./zulu.ts";

/** Runtimes that a buildpack can ask for by name. */
export const vendors: Record<string, Vendor> = { go, java, node, python, ruby, zulu };

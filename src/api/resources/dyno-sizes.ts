import { type Context, Hono } from "hono";
import { z } from "zod";
import { PlatformError } from "../../lib/platform-error.ts";
import type { DynoSize } from "../../model/dyno-size.ts";
import type { Platform } from "../../platform.ts";
import { answers, named, never } from "../answers.ts";
import { pageOf } from "../list-range.ts";
import { account, type ApiEnvironment, member } from "../policy.ts";
import { stableId } from "../stable-id.ts";

const sizeAnswer = named.extend({
  architecture: z.string(),
  compute: z.int(),
  cost: never,
  dedicated: z.boolean(),
  dyno_units: z.int(),
  generation: named,
  memory: z.number(),
  precise_dyno_units: z.number(),
  private_space_only: z.literal(false),
});

export const dynoSizesApi = ({ sizes }: Platform) => {
  const list = (c: Context) =>
    pageOf(c, sizes.list.map(presentSize), { name: (one) => one.name, id: (one) => one.id });
  return new Hono<ApiEnvironment>()
    .get("/dyno-sizes", account("read"), answers(z.array(sizeAnswer)), (c) => c.json(list(c)))
    .get("/apps/:app/available-dyno-sizes", member("read"), answers(z.array(sizeAnswer)), (c) =>
      c.json(list(c)),
    )
    .get("/dyno-sizes/:size", account("read"), answers(sizeAnswer), (c) => {
      const wanted = c.req.param("size");
      const found = sizes.find(wanted) ?? sizes.list.find(({ name }) => idOf(name) === wanted);
      if (!found)
        throw new PlatformError(
          "not_found",
          `Couldn't find that dyno size: ${JSON.stringify(wanted.slice(0, 80))}.`,
        );
      return c.json(presentSize(found));
    });
};

function idOf(name: string): string {
  return stableId("dyno-size", name);
}

const gibibyte = 1024 ** 3;

/** Nobody pays here, so there is no cost. */
function presentSize({
  name,
  memoryBytes,
  cpuWeight,
  dedicated,
}: DynoSize): z.input<typeof sizeAnswer> {
  return {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    compute: Math.max(1, Math.round(cpuWeight / 100)),
    cost: null,
    dedicated,
    dyno_units: Math.max(1, Math.round(cpuWeight / 100)),
    generation: { id: stableId("generation", "cedar"), name: "cedar" },
    id: idOf(name),
    memory: memoryBytes / gibibyte,
    name,
    precise_dyno_units: cpuWeight / 100,
    private_space_only: false,
  };
}

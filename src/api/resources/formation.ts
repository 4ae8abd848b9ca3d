import { Hono } from "hono";
import { z } from "zod";
import type { ImageUpdate } from "../../deploy/release-images.ts";
import { PlatformError } from "../../lib/platform-error.ts";
import type { Account } from "../../model/account.ts";
import type { App } from "../../model/app.ts";
import { type Formation, listFormation, plannedFormation } from "../../model/formation.ts";
import { currentRelease } from "../../model/release.ts";
import { findSlug } from "../../model/slug.ts";
import type { Platform } from "../../platform.ts";
import { answers, born, named } from "../answers.ts";
import { body } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { type ApiEnvironment, member } from "../policy.ts";
import { stableId } from "../stable-id.ts";

const quantity = z.union([z.int().min(0), z.string()]).nullish();
const sizeName = z.string("must be the name of a size").nullish();
/** `container:release` and `container:rm` (`Accept: …; version=3.docker-releases`). */
const dockerImage = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, "must be sha256: and 64 hex digits")
  .nullish();
const change = z.object({
  quantity,
  size: sizeName,
  dyno_size: z
    .union([z.string(), z.object({ name: z.string().nullish(), id: z.string().nullish() })])
    .nullish(),
});
const batch = z.object({
  updates: z.array(
    change.extend({ type: z.string("must be a process type"), docker_image: dockerImage }),
  ),
});

const formationAnswer = z.object({
  ...born,
  app: named,
  command: z.string(),
  dyno_size: named,
  quantity: z.int(),
  size: z.string(),
  type: z.string(),
});

export const formationApi = (platform: Platform) =>
  new Hono<ApiEnvironment>()
    .get("/:app/formation", member("read"), answers(z.array(formationAnswer)), (c) => {
      const formation = presentedFormation(platform, c.var.app);
      return c.json(pageOf(c, formation, { type: (row) => row.type, id: (row) => row.id }));
    })
    .patch(
      "/:app/formation",
      member("write"),
      answers(z.array(formationAnswer)),
      body(batch),
      (c) => {
        const { app } = c.var;
        const given = c.req.valid("json").updates;
        const images = given.flatMap(({ type, docker_image: image }) =>
          image === undefined ? [] : [{ type, image }],
        );
        if (images.length > 0)
          return c.json(releasedFormation(platform, app, { images, user: c.var.account }));
        const updates = given.map((one) => ({ type: one.type, ...changeOf(platform, one) }));
        platform.scale(app, { updates, user: c.var.account });
        return c.json(presentedFormation(platform, app));
      },
    )
    .patch(
      "/:app/formation/:type",
      member("write"),
      answers(formationAnswer),
      body(change.extend({ docker_image: dockerImage })),
      (c) => {
        const { app } = c.var;
        const { type, ...row } = findRow(platform, app, c.req.param("type"));
        const { docker_image: image } = c.req.valid("json");
        if (image !== undefined) {
          platform.releaseImages(app, { updates: [{ type, image }], user: c.var.account });
          return c.json({ ...row, type });
        }
        const updates = [{ type, ...changeOf(platform, c.req.valid("json")) }];
        platform.scale(app, { updates, user: c.var.account });
        return c.json(findRow(platform, app, type));
      },
    )
    .get("/:app/formation/:type", member("read"), answers(formationAnswer), (c) => {
      return c.json(findRow(platform, c.var.app, c.req.param("type")));
    });

/** A size comes by its name, or as an object with its name or its id. */
function changeOf(platform: Platform, given: z.output<typeof change>) {
  const { size, dyno_size: dynoSize } = given;
  const wanted = typeof dynoSize === "string" ? dynoSize : (dynoSize?.name ?? dynoSize?.id);
  const byId = platform.sizes.list.find(({ name }) => stableId("dyno-size", name) === wanted);
  return {
    quantity: given.quantity ?? undefined,
    size: size ?? byId?.name ?? wanted ?? undefined,
  };
}

function findRow(platform: Platform, app: App, typeOrId: string) {
  const found = presentedFormation(platform, app).find(
    (row) => row.type === typeOrId || row.id === typeOrId,
  );
  if (found) return found;
  throw new PlatformError(
    "not_found",
    `Couldn't find that process type (${typeOrId.slice(0, 80)}).`,
  );
}

/** What the formation is once a release of images has gone live. */
function releasedFormation(
  platform: Platform,
  app: App,
  { images, user }: { images: ImageUpdate[]; user: Account },
) {
  const { slug } = platform.releaseImages(app, { updates: images, user });
  const { processTypes } = slug;
  return plannedFormation(app, listFormation(platform.database, app), processTypes).map((row) =>
    presentFormation(app, row, processTypes[row.type] ?? ""),
  );
}

function presentedFormation({ database }: Platform, app: App) {
  const slugId = currentRelease(database, app)?.slugId;
  const processTypes = slugId ? (findSlug(database, slugId)?.processTypes ?? {}) : {};
  return listFormation(database, app).map((row) =>
    presentFormation(app, row, processTypes[row.type] ?? ""),
  );
}

function presentFormation(
  app: App,
  row: Formation,
  command: string,
): z.input<typeof formationAnswer> {
  return {
    app: { id: app.id, name: app.name },
    command,
    created_at: app.createdAt.toISOString(),
    dyno_size: { id: stableId("dyno-size", row.size), name: row.size },
    id: stableId("formation", app.id, row.type),
    quantity: row.quantity,
    size: row.size,
    type: row.type,
    updated_at: app.updatedAt.toISOString(),
  };
}

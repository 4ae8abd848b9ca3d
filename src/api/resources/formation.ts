import { Hono } from "hono";
import { PlatformError } from "../../lib/platform-error.ts";
import { type App, findApp } from "../../model/app.ts";
import { type Formation, listFormation } from "../../model/formation.ts";
import { currentRelease } from "../../model/release.ts";
import { findSlug } from "../../model/slug.ts";
import type { Platform } from "../../platform.ts";
import type { ApiEnvironment } from "../authenticate.ts";
import { pageOf } from "../list-range.ts";
import { stableId } from "../stable-id.ts";

export const formationApi = (platform: Platform) =>
  new Hono<ApiEnvironment>()
    .get("/:app/formation", (c) => {
      const formation = presentedFormation(platform, c.req.param("app"));
      return c.json(pageOf(c, formation, { type: (row) => row.type, id: (row) => row.id }));
    })
    .get("/:app/formation/:type", (c) => {
      const type = c.req.param("type");
      const found = presentedFormation(platform, c.req.param("app")).find(
        (row) => row.type === type || row.id === type,
      );
      if (!found)
        throw new PlatformError("not_found", `Couldn't find that process type (${type}).`);
      return c.json(found);
    });

function presentedFormation({ database }: Platform, idOrName: string) {
  const app = findApp(database, idOrName);
  const slugId = currentRelease(database, app)?.slugId;
  const processTypes = slugId ? (findSlug(database, slugId)?.processTypes ?? {}) : {};
  return listFormation(database, app).map((row) =>
    presentFormation(app, row, processTypes[row.type] ?? ""),
  );
}

function presentFormation(app: App, row: Formation, command: string) {
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

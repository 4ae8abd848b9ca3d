import { PlatformError } from "../lib/platform-error.ts";
import type { Account } from "../model/account.ts";
import { type App, containerStack } from "../model/app.ts";
import type { Database } from "../model/database.ts";
import { listPushedImages } from "../model/pushed-image.ts";
import { listReleases, type Release } from "../model/release.ts";
import { createSlug, findSlug, imageCommand, type Slug, type TypeImage } from "../model/slug.ts";
import type { ReleaseContext } from "./release-context.ts";
import { releaseSlug } from "./release-slug.ts";

/** Which pushed image a type gets, by its `sha256:…`; `null`: the type goes. */
export interface ImageUpdate {
  type: string;
  image: string | null;
}

/** A new release in which some types have other images; the others keep theirs (Heroku's `container:release`). */
export function releaseImages(
  context: ReleaseContext,
  app: App,
  { updates, user }: { updates: ImageUpdate[]; user: Account },
): { release: Release; slug: Slug } {
  const slug = imageSlug(context, app, updates);
  const release = releaseSlug(context, app, { slug, user, description: describe(updates) });
  return { release, slug };
}

type Store = Pick<ReleaseContext, "database">;

/** The code of such a release. */
export function imageSlug({ database }: Store, app: App, updates: ImageUpdate[]): Slug {
  if (app.stack !== containerStack)
    throw new PlatformError(
      "invalid_params",
      `The stack of ${app.name} is ${app.stack}; images are released on the stack container. To change it: stator stack:set container -a ${app.name}`,
    );
  const before = newestSlug(database, app);
  const images: Record<string, TypeImage> = { ...before?.images };
  const processTypes = before?.images ? { ...before.processTypes } : {};
  for (const { type, image: id } of updates) {
    delete images[type];
    delete processTypes[type];
    if (id === null) continue;
    const image = pushed(database, app, { type, id });
    images[type] = { ...image, ownCommand: true };
    processTypes[type] = imageCommand(image);
  }
  const first = images.web ?? Object.values(images)[0];
  if (!first)
    throw new PlatformError(
      "invalid_params",
      `${app.name} would have no image left. To stop it: stator ps:scale TYPE=0 -a ${app.name}`,
    );
  const { sha256, sizeBytes } = first;
  return createSlug(database, {
    ...{ appId: app.id, sha256, sizeBytes, images, processTypes },
    ...{ commit: "", stack: app.stack, buildpackDescription: "Container" },
  });
}

/** `Deployed web (9f2a81c0a7b1)`. Pure. */
function describe(updates: ImageUpdate[]): string {
  const words = updates.map(({ type, image }) =>
    image === null ? `Removed ${type}` : `Deployed ${type} (${image.slice(7, 19)})`,
  );
  return words.join(", ");
}

function newestSlug(database: Database, app: App): Slug | undefined {
  const id = listReleases(database, app).find(({ status }) => status !== "failed")?.slugId;
  return id ? findSlug(database, id) : undefined;
}

function pushed(database: Database, app: App, { type, id }: { type: string; id: string }) {
  const found = listPushedImages(database, app).find((one) => one.type === type)?.image;
  if (found?.id === id) return found;
  throw new PlatformError(
    "not_found",
    `No image ${JSON.stringify(id.slice(0, 80))} was pushed for ${type} of ${app.name}. To push one: stator container:push ${type} --archive FILE -a ${app.name}`,
  );
}

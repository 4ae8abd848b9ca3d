import type { App } from "../model/app.ts";
import type { Dyno } from "../model/dyno.ts";
import { dynoName } from "../model/dyno.ts";
import type { Release } from "../model/release.ts";
import type { Slug, TypeImage } from "../model/slug.ts";
import type { Vault } from "../model/vault.ts";
import type { SlugStore } from "../slug/slug-store.ts";

export interface OpenReleaseContext {
  vault: Vault;
  slugs: SlugStore;
  /** Where the dynos of a slug find their software; throws when its image is gone. */
  stackOf: (slug: Slug) => DynoStack;
  /** `my-app.localhost`. */
  hostOf: (app: App) => string;
}

/** The software under a slug. */
export interface DynoStack {
  /** What programs are told in `STACK`. */
  announced: string;
  /** An image's unpacked root; `undefined`: the machine's own software. */
  rootfs: string | undefined;
}

/** A release as dynos are started from it. */
export interface OpenedRelease {
  /** What is laid under `/app`; under the whole root when it is of a container image. */
  slugFolder: string;
  /** The image that the dyno runs on; `null`: the platform's own root. */
  image: TypeImage | null;
  stack: DynoStack;
  /** Config vars; for a one-off, with what it was given over them. */
  environment: Record<string, string>;
  /** What dynos are told of their release, when it was made with the lab on. */
  metadata: ReleaseMetadata | null;
}

export interface ReleaseMetadata {
  app: { id: string; name: string; host: string };
  release: { version: number; createdAt: Date; commit: string; description: string };
}

/** Opens a release's slug and config vars (contract §1.3). */
export async function openRelease(
  { vault, slugs, stackOf, hostOf }: OpenReleaseContext,
  app: App,
  options: { release: Release; slug: Slug; type: string; added?: Record<string, string> },
): Promise<OpenedRelease> {
  const { release, slug, type, added } = options;
  const image = typeImage(slug, type);
  const { version, createdAt, description } = release;
  return {
    stack: stackOf(slug),
    slugFolder: await slugs.open(image?.sha256 ?? slug.sha256, app.idRange),
    image,
    environment: { ...vault.open(release.sealedConfig), ...added },
    metadata: release.withMetadata
      ? {
          app: { id: app.id, name: app.name, host: hostOf(app) },
          release: { version, createdAt, commit: slug.commit, description },
        }
      : null,
  };
}

/** The image that dynos of a type run on; of a one-off's type it is the web's. Pure. */
export function typeImage({ images }: Pick<Slug, "images">, type: string): TypeImage | null {
  if (!images) return null;
  const own = Object.hasOwn(images, type) ? images[type] : undefined;
  return own ?? images.web ?? Object.values(images)[0] ?? null;
}

/** The variables of the lab `runtime-dyno-metadata` (contract §1.3). Pure. */
export function metadataVariables(
  metadata: ReleaseMetadata,
  dyno: Pick<Dyno, "id">,
): Record<string, string> {
  const { app, release } = metadata;
  return {
    HEROKU_APP_ID: app.id,
    HEROKU_APP_NAME: app.name,
    HEROKU_APP_DEFAULT_DOMAIN_NAME: app.host,
    HEROKU_DYNO_ID: dyno.id,
    HEROKU_RELEASE_CREATED_AT: release.createdAt.toISOString(),
    HEROKU_RELEASE_VERSION: `v${release.version}`,
    HEROKU_SLUG_COMMIT: release.commit,
    HEROKU_SLUG_DESCRIPTION: release.description,
  };
}

/** What `/etc/heroku/dyno` says then. Pure. */
export function metadataFile({ app, release }: ReleaseMetadata, dyno: Dyno): string {
  const { version: id, commit, description } = release;
  return JSON.stringify({
    dyno: { id: dyno.id, name: dynoName(dyno) },
    app: { id: app.id, name: app.name },
    release: { id, commit, description },
  });
}

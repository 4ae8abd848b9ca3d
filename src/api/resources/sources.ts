import { Hono } from "hono";
import { PlatformError } from "../../lib/platform-error.ts";
import type { Platform } from "../../platform.ts";
import { account, anyone, type ApiEnvironment, member } from "../policy.ts";
import { isSigned, signLink } from "../signed-links.ts";

/** A place to upload an archive to, and to build it from (contract §4.5). */
export const sourcesApi = (platform: Platform) => {
  const present = () => {
    const url = sourceUrl(platform, crypto.randomUUID());
    return { source_blob: { get_url: url, put_url: url } };
  };
  return new Hono<ApiEnvironment>()
    .post("/sources", account("write"), (c) => c.json(present(), 201))
    .post("/apps/:app/sources", member("write"), (c) => c.json(present(), 201));
};

/** The other end of these addresses: the signature in them is the permission. */
export const sourceBlobsApi = (platform: Platform) =>
  new Hono<ApiEnvironment>()
    .put("/:id/:signature", anyone(), async (c) => {
      const { id, signature } = c.req.param();
      if (!isSigned(platform.vault, signature, "source", id)) throw noSuchSource();
      c.env?.server?.timeout(c.req.raw, 0);
      await platform.sources.put(id, bytesOf(c.req.raw));
      return c.body(null, 200);
    })
    .get("/:id/:signature", anyone(), (c) => {
      const { id, signature } = c.req.param();
      const bytes = isSigned(platform.vault, signature, "source", id)
        ? platform.sources.open(id)
        : undefined;
      if (!bytes) throw noSuchSource();
      return c.body(bytes.stream());
    });

/** The upload that an address of ours stands for. */
export function uploadOf(platform: Platform, url: string): string | undefined {
  const prefix = `${platform.urls.api}/source-blobs/`;
  if (!url.startsWith(prefix)) return undefined;
  const [id = "", signature = ""] = url.slice(prefix.length).split("/");
  return isSigned(platform.vault, signature, "source", id) ? id : undefined;
}

/** The body of an upload, as it comes. */
export function bytesOf(request: Request): AsyncIterable<Uint8Array> {
  if (!request.body) throw new PlatformError("bad_request", "The body has to be the archive.");
  return request.body as unknown as AsyncIterable<Uint8Array>;
}

function sourceUrl({ urls, vault }: Platform, id: string): string {
  return `${urls.api}/source-blobs/${id}/${signLink(vault, "source", id)}`;
}

function noSuchSource(): PlatformError {
  return new PlatformError("not_found", "No such source.");
}

import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { giveAllTo, giveTo } from "../lib/give-to.ts";
import { PlatformError } from "../lib/platform-error.ts";
import type { ImageJob } from "./image-job.ts";
import { runTool, ToolFailure } from "./image-tool.ts";

/** Where an image comes from. */
export type ImageSource =
  /** A tar of a root, as `mmdebstrap` and `docker export` write it; plain, gzip or zstd. */
  | { kind: "tar"; path: string; shown?: string }
  /** A tar of a folder with an OCI image layout. */
  | { kind: "oci-archive"; path: string; tag?: string | undefined; shown?: string }
  | LayeredSource;

export type LayeredSource =
  /** A folder with an OCI image layout; without a tag it must have one image. */
  | { kind: "oci"; path: string; tag?: string | undefined; shown?: string }
  | {
      kind: "docker";
      /** `heroku/heroku:24`, `registry.example.com/x@sha256:…`. */
      reference: string;
      credentials?: { username: string; password: string } | undefined;
      /** HTTP, or a certificate that nobody vouches for. */
      insecure?: boolean | undefined;
    };

/** What a source is called in messages. */
export function sourceName(source: ImageSource): string {
  if (source.kind === "docker") return `docker://${source.reference}`;
  if (source.shown !== undefined) return source.shown;
  return source.kind === "tar" ? source.path : ociAddress(source);
}

function ociAddress({ path, tag }: { path: string; tag?: string | undefined }): string {
  return `oci:${path}${tag ? `:${tag}` : ""}`;
}

/** What the registry calls that which a reference means now; the same word as `docker pull` shows. */
export async function resolveDigest(
  source: Extract<LayeredSource, { kind: "docker" }>,
  job: ImageJob,
): Promise<string> {
  const argv = ["skopeo", "inspect", "--no-tags", "--format", "{{.Digest}}"] as const;
  const address = `docker://${pinned(source.reference, job.wanted)}`;
  const said = await explained(source, () =>
    runTool([...argv, ...access(source, job, ""), "--", address], job),
  );
  return said.trim();
}

/** Copies an image, for this machine's processor, into a new OCI folder at `layout`, under the tag `image`. */
export async function copyImage(
  source: LayeredSource,
  layout: string,
  { job, digest }: { job: ImageJob; digest: string | undefined },
): Promise<void> {
  mkdirSync(layout, { mode: 0o700 });
  // An operator's folder may be root's alone, a build's is the build's: read with its owner's rights, not ours.
  const userId = source.kind === "oci" ? ownerOf(source) : job.userId;
  giveTo(layout, userId);
  const argv = ["skopeo", "copy", "--dest-compress-format", "gzip"] as const;
  const address =
    source.kind === "docker" ? `docker://${pinned(source.reference, digest)}` : ociAddress(source);
  const options = source.kind === "docker" ? access(source, job, "src-") : [];
  await explained(source, () =>
    runTool([...argv, ...options, "--", address, `oci:${layout}:image`], job, {
      userId,
      onLine: (line) => line.startsWith("Copying") && job.onProgress(line),
      watch: () => assertSize(layout, job),
    }),
  );
  assertSize(layout, job);
  await giveAllTo(layout, job.userId);
}

function ownerOf(source: Extract<LayeredSource, { kind: "oci" }>): number {
  const index = statSync(join(source.path, "index.json"), { throwIfNoEntry: false });
  if (!index?.isFile())
    throw new PlatformError(
      "not_found",
      `There is no OCI image in ${source.shown ?? source.path}: it has no index.json.`,
    );
  return index.uid;
}

/** The same image by its digest, whatever the tag says by then. Pure. */
export function pinned(reference: string, digest: string | undefined): string {
  if (digest === undefined) return reference;
  const name = reference.replace(/@sha256:[0-9a-f]+$/, "").replace(/:[^:/]+$/, "");
  return `${name}@${digest}`;
}

/** Options of skopeo that let it in; a password goes by a file that only its user may read. */
function access(
  source: Extract<LayeredSource, { kind: "docker" }>,
  job: ImageJob,
  prefix: "" | "src-",
): string[] {
  const trust = source.insecure ? [`--${prefix}tls-verify=false`] : [];
  if (!source.credentials) return [...trust, `--${prefix}no-creds`];
  const file = join(job.work, "auth.json");
  if (!existsSync(file)) {
    const { username, password } = source.credentials;
    const auth = Buffer.from(`${username}:${password}`).toString("base64");
    const text = JSON.stringify({ auths: { [registryOf(source.reference)]: { auth } } });
    writeFileSync(file, text, { mode: 0o600 });
    giveTo(file, job.userId);
  }
  return [...trust, `--${prefix === "" ? "" : "src-"}authfile`, file];
}

/** The host of a reference; one without is Docker Hub's. Pure. */
export function registryOf(reference: string): string {
  const [first = "", ...rest] = reference.split("/");
  return rest.length > 0 && /[.:]|^localhost$/.test(first) ? first : "docker.io";
}

/** What is downloaded is compressed, so it is less than what it becomes. */
function assertSize(layout: string, { maxBytes }: ImageJob): void {
  const blobs = join(layout, "blobs/sha256");
  const files = [layout, blobs].flatMap((folder) =>
    existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [],
  );
  const bytes = files.reduce(
    (sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
  if (bytes > maxBytes)
    throw new PlatformError(
      "invalid_params",
      `The image is larger than ${Math.floor(maxBytes / 1024 / 1024)} MB.`,
    );
}

async function explained<T>(source: LayeredSource, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (!(error instanceof ToolFailure)) throw error;
    const { id, hint } = failureOf(error.message);
    const place = source.kind === "oci" ? source.path : "";
    const reason = place ? error.message.replaceAll(place, sourceName(source)) : error.message;
    throw new PlatformError(id, `Cannot get ${sourceName(source)}: ${reason}.${hint}`, {
      cause: error,
    });
  }
}

/** What a failure of skopeo means, by its words, and the way out. Pure. */
export function failureOf(reason: string): {
  id: "not_found" | "invalid_params" | "unavailable";
  hint: string;
} {
  const rows: [RegExp, "not_found" | "invalid_params" | "unavailable", string][] = [
    [
      /unauthorized|authentication required|denied/i,
      "invalid_params",
      " Give a user and a password for the registry.",
    ],
    [
      /HTTP response to HTTPS client|x509|certificate/i,
      "invalid_params",
      " `--insecure` takes it without a proof of who it is.",
    ],
    [
      /manifest unknown|name unknown|not found|no descriptor found/i,
      "not_found",
      " Look at its name and tag.",
    ],
    [
      /invalid reference format|unsupported|does not match|mismatch|no image found|more than one image/i,
      "invalid_params",
      "",
    ],
    [/no space left/i, "unavailable", " Free some space on the server's disk."],
  ];
  const row = rows.find(([pattern]) => pattern.test(reason));
  return row ? { id: row[1], hint: row[2] } : { id: "unavailable", hint: "" };
}

import { createHash } from "node:crypto";
import {
  chmodSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { unpackArchive } from "../lib/archive.ts";
import { asUser } from "../lib/as-user.ts";
import { execOk } from "../lib/exec.ts";
import { giveAllTo, giveTo } from "../lib/give-to.ts";
import { type BuildpackName, buildpackSource } from "../model/buildpack-source.ts";
import { copyBuildpack } from "./buildpacks.ts";
import { fetchedInside, fetchInside, FetchFailed, openFetched } from "./fetch-inside.ts";
import { githubArchive, githubRepository, resolveOnGithub } from "./github-buildpack.ts";
import type { Workshop } from "./workshop.ts";

/** A buildpack in a build's folder of buildpacks. */
export interface BroughtBuildpack {
  folderName: string;
  /** The commit, or the SHA-256 of its archive; `null`: it is built in, or the app's own. */
  version: string | null;
}

export interface BuildpackStoreOptions {
  /** Archives of commits, the server's own. */
  archivesDir: string;
  /** Where names that are not built in are looked for. */
  registry: string;
  /** Where GitHub's API is. */
  githubApi: string;
  /** Whether `heroku/nodejs` is Heroku's own also where one is built in. */
  official: boolean;
}

const maxBuildpackBytes = 1024 * 1024 * 1024;
const keptCommits = 3;
const unusedForMs = 30 * 24 * 60 * 60_000;

export type BuildpackStore = ReturnType<typeof createBuildpackStore>;

/** Brings buildpacks into builds: built-in ones, commits of repositories (kept), and archives. */
export function createBuildpackStore({
  archivesDir,
  registry,
  githubApi,
  official,
}: BuildpackStoreOptions) {
  mkdirSync(archivesDir, { recursive: true, mode: 0o700 });

  async function bring(
    workshop: Workshop,
    buildpack: BuildpackName | "inline",
  ): Promise<BroughtBuildpack> {
    if (buildpack === "inline") return bringInline(workshop);
    const source = buildpackSource(buildpack.text);
    const { secrets } = buildpack;
    switch (source.kind) {
      case "named": {
        const { namespace, name } = source;
        const installed = join(workshop.buildpacksDir, name);
        if (namespace === "heroku" && !official && existsSync(join(installed, "bin/compile")))
          return bringBuiltIn(workshop, name);
        const url = `${registry}/${namespace}/${name}.tgz`;
        return bringArchive(workshop, url, null);
      }
      case "archive":
        return bringArchive(workshop, source.url, secrets);
      case "git":
        return bringCommit(workshop, source, secrets);
      case "inline":
        return bringInline(workshop);
    }
  }

  async function bringCommit(
    workshop: Workshop,
    { url, ref }: { url: string; ref: string | null },
    secrets: string | null,
  ): Promise<BroughtBuildpack> {
    const from = repositoryDoor(workshop, { url, ref, secrets, githubApi });
    const commit = await from.resolve();
    // Who may not read the repository does not get its code from here either.
    const key = createHash("sha256")
      .update(`${url}\0${secrets ?? ""}`)
      .digest("hex");
    const folder = join(archivesDir, key.slice(0, 32));
    const archive = join(folder, `${commit}.tar`);
    if (!existsSync(archive)) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const partial = `${archive}.${crypto.randomUUID()}`;
      await from.fetch(commit, partial);
      renameSync(partial, archive);
      forgetUnused(archivesDir);
    }
    utimesSync(archive, new Date(), new Date());
    await unpackInto(workshop, commit, createReadStream(archive));
    return { folderName: commit, version: commit };
  }

  return { bring };
}

async function bringBuiltIn(workshop: Workshop, name: string): Promise<BroughtBuildpack> {
  const folder = workshop.buildpackFolder(name);
  rmSync(folder, { recursive: true, force: true });
  copyBuildpack(join(workshop.buildpacksDir, name), folder);
  await giveAllTo(folder, workshop.userId);
  return { folderName: name, version: null };
}

/** The app itself is the buildpack: a copy, since a buildpack may write into its folder. */
async function bringInline(workshop: Workshop): Promise<BroughtBuildpack> {
  const folder = makeFolder(workshop, "inline");
  const [from, to] = [workshop.buildFolder, folder].map((path) =>
    relative(workshop.tmpFolder, path),
  );
  // The user reaches these folders from where it is put, and by no path.
  await execOk(asUser(workshop.userId, ["cp", "-a", "--", `./${from}/.`, `./${to}`]), {
    cwd: workshop.tmpFolder,
  });
  return { folderName: "inline", version: null };
}

async function bringArchive(
  workshop: Workshop,
  url: string,
  secrets: string | null,
): Promise<BroughtBuildpack> {
  const sha256 = await fetchInside(workshop, ["download", url, fetchedInside], secrets);
  await unpackInto(workshop, sha256, openFetched(workshop));
  return { folderName: sha256, version: sha256 };
}

interface Repository {
  url: string;
  ref: string | null;
  secrets: string | null;
  githubApi: string;
}

/** The two steps of having a commit: which one it is, and its files as a tar. */
function repositoryDoor(workshop: Workshop, { url, ref, secrets, githubApi: api }: Repository) {
  const github = githubRepository(url);
  return {
    resolve: () =>
      github
        ? resolveOnGithub(github, { ref, secrets, api })
        : fetchInside(workshop, ["git-resolve", url, ref ?? ""], secrets),
    async fetch(commit: string, path: string) {
      if (github) {
        const archive = githubArchive(github, { commit, secrets, api });
        await fetchInside(workshop, ["download", archive.url, fetchedInside], archive.secrets);
      } else await fetchInside(workshop, ["git-archive", url, commit, fetchedInside], secrets);
      await pipeline(openFetched(workshop), createWriteStream(path, { mode: 0o600 }));
    },
  };
}

function makeFolder(workshop: Workshop, name: string): string {
  const folder = workshop.buildpackFolder(name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o755 });
  chmodSync(folder, 0o755);
  giveTo(folder, workshop.userId);
  return folder;
}

async function unpackInto(
  workshop: Workshop,
  name: string,
  archive: AsyncIterable<Uint8Array>,
): Promise<void> {
  const folder = makeFolder(workshop, name);
  try {
    await unpackArchive(archive, {
      ...{ folder, userId: workshop.userId, maxBytes: maxBuildpackBytes },
      linksMayLeave: true,
    });
  } catch (error) {
    throw new FetchFailed(`its archive is not unpacked: ${(error as Error).message}`);
  }
  await liftOnlyFolder(workshop, name);
}

/** Archives of repositories have all their files in one folder. */
async function liftOnlyFolder(workshop: Workshop, name: string): Promise<void> {
  const folder = workshop.buildpackFolder(name);
  const names = readdirSync(folder);
  const [only] = names;
  if (names.length !== 1 || only === undefined || only === "bin") return;
  await execOk(asUser(workshop.userId, ["mv", "--", `./${name}/${only}`, `./${name}.lifted`]), {
    cwd: dirname(folder),
  });
  rmSync(folder, { recursive: true });
  renameSync(`${folder}.lifted`, folder);
}

/** Of each repository the commits that were used last; none that nobody has used for long. */
function forgetUnused(archivesDir: string): void {
  for (const repository of readdirSync(archivesDir)) {
    const folder = join(archivesDir, repository);
    const byUse = readdirSync(folder)
      .map((name) => ({ path: join(folder, name), time: statSync(join(folder, name)).mtimeMs }))
      .toSorted((one, other) => other.time - one.time);
    const unused = byUse.filter(
      ({ time }, index) => index >= keptCommits || Date.now() - time > unusedForMs,
    );
    for (const { path } of unused) rmSync(path, { force: true });
  }
}

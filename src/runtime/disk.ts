import {
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { exec, execOk } from "../lib/exec.ts";
import { giveTo } from "../lib/give-to.ts";
import { limitDevice, limitedDevices } from "./cgroup.ts";
import { mountPoints, mounts } from "./box-mount.ts";
import type { Device, WriteLimit } from "./runtime.ts";

/** Where a dyno writes: the upper and work folder of its /app, and its /tmp. */
export interface DiskFolders {
  upper: string;
  work: string;
  tmp: string;
  /** How fast, where they are on a disk of their own. */
  limit?: WriteLimit | undefined;
}

export interface DynoDisks {
  /** Makes the folders of one dyno; `rootId` and `userId` are host ids of its root and its user. */
  make(id: string, owners: { rootId: number; userId: number }): Promise<DiskFolders>;
  /**
   * Lays what the dyno writes over a whole root, which is the user's already, and returns where. Mounted by
   * the host: what the kernel copies up keeps its owner. `remove` takes it away.
   */
  mountRoot(id: string, lower: string, folders: DiskFolders): Promise<string>;
  /** Removes all that `make` has made, and whatever else lies in the dyno's folder. */
  remove(id: string): Promise<void>;
  /** Removes the disks of dynos that are no more, also half-made ones of an earlier server. */
  sweep(keep: Set<string>): Promise<void>;
  /** Why there is no quota on this machine; `null`: there is one. */
  reason: string | null;
}

/** One inode for so many bytes: a quota on files as well, at the cost of 1/32 of the disk. */
const bytesPerInode = 8192;
const features = [
  "-O",
  "^has_journal,^resize_inode",
  "-E",
  "nodiscard,lazy_itable_init=1",
] as const;
/**
 * What is here dies with its dyno, so nothing waits for the disk (`barrier=0`) and no table is
 * written ahead; what the dyno deletes is given back to the host (`discard`).
 */
const mountOptions = "loop,nosuid,nodev,noatime,discard,barrier=0,noinit_itable";

/**
 * A disk of its own for each dyno: a sparse file with a file system without a journal, mounted in the
 * dyno's folder. Over the size a dyno gets ENOSPC, and nobody else does. Where the machine has no loop
 * devices (some containers sold as VPS) there are plain folders, and `reason` says so.
 */
export async function createDynoDisks(options: {
  dir: string;
  sizeBytes: number;
  /** Of each dyno; `null`: as fast as the disk is. */
  bytesPerSecond: number | null;
}): Promise<DynoDisks> {
  const { sizeBytes, bytesPerSecond } = options;
  mkdirSync(options.dir, { recursive: true, mode: 0o711 });
  const dir = realpathSync(options.dir);
  const folderOf = (id: string) => join(dir, id);

  async function mountDisk(id: string): Promise<string> {
    const [image, disk] = [join(folderOf(id), "image"), join(folderOf(id), "disk")];
    mkdirSync(disk);
    await formatDisk(image, sizeBytes);
    await mountDiskAt(image, disk);
    await writeStraightOn(disk);
    limitDevice(deviceOf(disk), bytesPerSecond);
    return disk;
  }

  async function remove(id: string): Promise<void> {
    const within = `${folderOf(id)}/`;
    for (const path of mountPoints()
      .filter((path) => path.startsWith(within))
      .reverse())
      await exec(["umount", "--lazy", path]);
    freeUnusedDevices();
    await exec(["rm", "-rf", "--one-file-system", "--", folderOf(id)]);
  }

  async function tryOut(): Promise<string | null> {
    const id = `try-${crypto.randomUUID()}`;
    try {
      mkdirSync(folderOf(id));
      await mountDisk(id);
      return null;
    } catch (error) {
      return (error as Error).message;
    } finally {
      await remove(id);
    }
  }

  const reason = await tryOut();
  return {
    reason,
    async make(id, owners) {
      makeFolder(folderOf(id), { owner: owners.rootId, mode: 0o700 });
      try {
        if (reason !== null) return makeFolders(folderOf(id), owners);
        const disk = await mountDisk(id);
        const limit = bytesPerSecond === null ? undefined : { ...deviceOf(disk), bytesPerSecond };
        return { ...makeFolders(disk, owners), limit };
      } catch (error) {
        await remove(id);
        throw error;
      }
    },
    async mountRoot(id, lower, { upper, work }) {
      const root = makeFolder(join(folderOf(id), "root"), { owner: 0, mode: 0o755 });
      const layers = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
      await execOk(["mount", "-t", "overlay", "-o", `nosuid,nodev,${layers}`, "overlay", root]);
      return root;
    },
    remove,
    async sweep(keep) {
      for (const id of readdirSync(dir)) if (!keep.has(id)) await remove(id);
      freeUnusedDevices();
    },
  };
}

/** Makes a sparse file of a file system; there must be none yet. */
export async function formatDisk(image: string, sizeBytes: number): Promise<void> {
  writeFileSync(image, "", { mode: 0o600, flag: "wx" });
  truncateSync(image, sizeBytes);
  const inodes = String(Math.ceil(sizeBytes / bytesPerInode));
  const size = ["-b", "4096", "-m", "0", "-N", inodes] as const;
  await execOk(["mke2fs", "-q", "-F", "-t", "ext4", ...size, ...features, image]);
}

export async function mountDiskAt(image: string, disk: string): Promise<void> {
  await execOk(["mount", "-t", "ext4", "-o", mountOptions, image, disk]);
}

/**
 * What is written is then not in the host's memory twice, and a flood of it waits for the disk,
 * where it would take the processors from others. Not every file system below can do it.
 */
async function writeStraightOn(disk: string): Promise<void> {
  const device = mounts().find(({ path }) => path === disk)?.source;
  if (device) await exec(["losetup", "--direct-io=on", device]);
}

/** The numbers of the device that a file system is on, out of the kernel's one for both. */
function deviceOf(folder: string): Device {
  const { dev } = statSync(folder);
  return { major: (dev >> 8) & 0xfff, minor: (dev & 0xff) | ((dev >> 12) & 0xfff00) };
}

/** A limit stays with the number of its device, which somebody else gets next. */
function freeUnusedDevices(): void {
  for (const device of limitedDevices())
    if (
      device.major === loopMajor &&
      !existsSync(`/sys/dev/block/${loopMajor}:${device.minor}/loop`)
    )
      limitDevice(device, null);
}

const loopMajor = 7;

/** The same without a quota, for the runtime without walls. */
export function createPlainFolders(dir: string): DynoDisks {
  mkdirSync(dir, { recursive: true, mode: 0o711 });
  const remove = async (id: string) => {
    await exec(["rm", "-rf", "--", join(dir, id)]);
  };
  return {
    reason: "plain processes write where they like",
    make(id, owners) {
      makeFolder(join(dir, id), { owner: owners.rootId, mode: 0o700 });
      return Promise.resolve(makeFolders(join(dir, id), owners));
    },
    mountRoot: () =>
      Promise.reject(new Error("a container image needs a server with --runtime oci")),
    remove,
    async sweep(keep) {
      for (const id of readdirSync(dir)) if (!keep.has(id)) await remove(id);
    },
  };
}

function makeFolders(
  within: string,
  { rootId, userId }: { rootId: number; userId: number },
): DiskFolders {
  return {
    upper: makeFolder(join(within, "upper"), { owner: userId, mode: 0o755 }),
    work: makeFolder(join(within, "work"), { owner: rootId, mode: 0o755 }),
    tmp: makeFolder(join(within, "tmp"), { owner: userId, mode: 0o777 }),
  };
}

function makeFolder(path: string, { owner, mode }: { owner: number; mode: number }): string {
  mkdirSync(path, { mode });
  giveTo(path, owner);
  return path;
}

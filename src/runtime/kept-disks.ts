import {
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { exec } from "../lib/exec.ts";
import { giveTo } from "../lib/give-to.ts";
import { mountPoints } from "./box-mount.ts";
import { formatDisk, mountDiskAt } from "./disk.ts";

/** Disks that stay after their use, one a name: what lies on them is worth keeping, and can be lost. */
export interface KeptDisks {
  /** Mounts a disk; what was left when its user died is not trusted, and it begins anew. */
  open(name: string, ownerId: number): Promise<KeptDisk>;
  forget(name: string): Promise<void>;
  /** Before any is open: removes those that nobody knows, and what a server that died has left open. */
  sweep(keep: ReadonlySet<string>): Promise<void>;
}

export interface KeptDisk {
  /** Its owner's; what is in it is kept. */
  folder: string;
  /** On the same disk, and empty at first. */
  scratch: string;
  /** Unmounts it. One that is more than half full begins anew the next time. */
  close(): Promise<void>;
}

/** Of a disk with a limit (`quota`), or of a plain folder on machines without loop devices. */
export function createKeptDisks(options: {
  dir: string;
  sizeBytes: number;
  quota: boolean;
}): KeptDisks {
  const { sizeBytes, quota } = options;
  mkdirSync(options.dir, { recursive: true, mode: 0o711 });
  const dir = realpathSync(options.dir);
  const placeOf = (name: string) => {
    const place = join(dir, name);
    return {
      place,
      image: join(place, "image"),
      mounted: join(place, "disk"),
      clean: join(place, "clean"),
    };
  };

  async function open(name: string, ownerId: number): Promise<KeptDisk> {
    const { image, mounted, clean } = placeOf(name);
    if (!existsSync(clean)) await forget(name);
    rmSync(clean, { force: true });
    mkdirSync(mounted, { recursive: true, mode: 0o711 });
    try {
      if (quota) {
        if (!existsSync(image)) await formatDisk(image, sizeBytes);
        // By way of the host's memory: what the last build has read is still there for the next one.
        await mountDiskAt(image, mounted);
      }
      const [folder, scratch] = [join(mounted, "kept"), join(mounted, "scratch")];
      await exec(["rm", "-rf", "--one-file-system", "--", scratch]);
      for (const path of [folder, scratch]) {
        mkdirSync(path, { recursive: true, mode: 0o700 });
        giveTo(path, ownerId);
      }
      return { folder, scratch, close: () => close(name) };
    } catch (error) {
      await forget(name);
      throw error;
    }
  }

  async function close(name: string): Promise<void> {
    const { mounted, clean } = placeOf(name);
    // It was forgotten meanwhile.
    if (!existsSync(mounted)) return;
    const full = (await usedBytes(mounted)) > sizeBytes / 2;
    if (full || (quota && (await exec(["umount", mounted])).exitCode !== 0)) return forget(name);
    writeFileSync(clean, "");
  }

  async function usedBytes(mounted: string): Promise<number> {
    if (!quota) return Number((await exec(["du", "-sx", "-B1", mounted])).stdout.split("\t")[0]);
    const { blocks, bfree, bsize } = statfsSync(mounted);
    return (blocks - bfree) * bsize;
  }

  async function forget(name: string): Promise<void> {
    const { place, mounted } = placeOf(name);
    if (!existsSync(place)) return;
    if (mountPoints().includes(mounted)) await exec(["umount", "--lazy", mounted]);
    const aside = join(dir, `.${crypto.randomUUID()}`);
    renameSync(place, aside);
    await exec(["rm", "-rf", "--one-file-system", "--", aside]);
  }

  return {
    open,
    forget,
    async sweep(keep) {
      for (const name of readdirSync(dir))
        if (!keep.has(name) || !existsSync(placeOf(name).clean)) await forget(name);
    },
  };
}

import { join } from "node:path";
import { z } from "zod";
import { readUntrustedFile } from "../lib/untrusted-file.ts";
import type { SlugImage } from "../model/slug.ts";

/** What an image says of the programs that run on it. */
export type ExportedImage = Omit<SlugImage, "sha256" | "sizeBytes">;

const words = z
  .array(
    z
      .string()
      .max(131_072)
      .refine((word) => !word.includes("\0")),
  )
  .max(1000);
const inspected = z.object({
  OCIv1: z.object({
    config: z
      .object({
        User: z.string().max(256).nullish(),
        Env: words.nullish(),
        Entrypoint: words.nullish(),
        Cmd: words.nullish(),
        WorkingDir: z.string().max(4096).nullish(),
      })
      .nullish(),
  }),
});

/** Reads what the export has left in its folder; a text says why it cannot be used. All of it is the app's. */
export function readImage(folder: string): ExportedImage | string {
  const id = `sha256:${(readUntrustedFile(join(folder, "id")) ?? "").trim().replace(/^sha256:/, "")}`;
  if (!/^sha256:[0-9a-f]{64}$/.test(id)) return "it has no name";
  const parsed = inspected.safeParse(readJson(readUntrustedFile(join(folder, "config.json"))));
  if (!parsed.success) return "its configuration cannot be read";
  const { config } = parsed.data.OCIv1;
  const workingDirectory = config?.WorkingDir || "/";
  if (!isPlainPath(workingDirectory)) return `its WORKDIR is no absolute path`;
  return {
    id,
    environment: environmentOf(config?.Env ?? []),
    entrypoint: config?.Entrypoint ?? [],
    command: config?.Cmd ?? [],
    workingDirectory,
    home: homeOf(config?.User || "root", readUntrustedFile(join(folder, "passwd"), 65_536) ?? ""),
  };
}

function readJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}

function environmentOf(rows: string[]): Record<string, string> {
  const pairs = rows.flatMap((row) => {
    const [, name, value] = /^([^=]+)=([\s\S]*)$/.exec(row) ?? [];
    return name === undefined || value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(pairs);
}

/** Where the image's user (`node`, `1000`, `node:node`) is at home (passwd(5)). Pure. */
function homeOf(user: string, passwd: string): string {
  const [name] = user.split(":");
  const rows = passwd.split("\n").map((row) => row.split(":"));
  const home = rows.find((row) => row[0] === name || row[2] === name)?.[5];
  return home !== undefined && isPlainPath(home) ? home : "/";
}

function isPlainPath(path: string): boolean {
  return path.startsWith("/") && !path.split("/").includes("..") && !path.includes("\0");
}

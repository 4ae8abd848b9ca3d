import { accessSync, constants, statSync } from "node:fs";
import { z } from "zod";

export type Variables = Record<string, string | undefined>;

/** A setting that cannot be used; said in one line, exit status 2. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

/** What a setting may be, and how a person is told so: "must be …". */
export interface Kind<T> {
  rule: string;
  schema: z.ZodType<T, string>;
}

/** The value of a text; throws a SettingsError that names where it stands. */
export function valueOf<T>({ rule, schema }: Kind<T>, where: string, text: string): T {
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new SettingsError(`${where} is ${JSON.stringify(text)}, but must be ${rule}`);
}

const mebibyte = 1024 * 1024;
const dayMs = 86_400_000;

interface WholeNumber {
  /** Of what, as a person says it: "number of seconds". */
  of: string;
  least: number;
  most: number;
  /** What one of them is in the unit of the settings. */
  unit?: number;
}

function wholeNumber({ of, least, most, unit = 1 }: WholeNumber): Kind<number> {
  const digits = new RegExp(`^\\d{1,${String(most).length}}$`);
  return {
    rule: `a ${of} from ${least} to ${most}`,
    schema: z
      .string()
      .regex(digits)
      .transform(Number)
      .refine((number) => number >= least && number <= most)
      .transform((number) => number * unit),
  };
}

/** Numbers as people write them; times come as milliseconds, sizes as bytes. */
export const numbers = {
  anyPort: wholeNumber({ of: "port", least: 0, most: 65_535 }),
  port: wholeNumber({ of: "port", least: 1, most: 65_535 }),
  count: wholeNumber({ of: "number", least: 1, most: 9999 }),
  countOrNone: wholeNumber({ of: "number", least: 0, most: 9999 }),
  manyCount: wholeNumber({ of: "number", least: 1, most: 999_999_999 }),
  seconds: wholeNumber({ of: "number of seconds", least: 1, most: 999_999, unit: 1000 }),
  days: wholeNumber({ of: "number of days", least: 1, most: 9999, unit: dayMs }),
  megabytes: wholeNumber({
    ...{ of: "number of megabytes", least: 1, most: 999_999, unit: mebibyte },
  }),
  megabytesOrNone: wholeNumber({
    ...{ of: "number of megabytes", least: 0, most: 999_999, unit: mebibyte },
  }),
  /** Less would be taken by the file system itself. */
  diskMegabytes: wholeNumber({
    ...{ of: "number of megabytes", least: 16, most: 999_999, unit: mebibyte },
  }),
  /** Bytes a second. */
  diskSpeed: wholeNumber({
    ...{ of: "number of megabytes a second", least: 0, most: 999_999, unit: 1_000_000 },
  }),
};

/** One of some words. */
export function word<const Word extends string>(...words: Word[]): Kind<Word> {
  return { rule: words.join(" or "), schema: z.enum(words) };
}

/** A word that stands for nothing, or something else. */
export function orWord<T, const Word extends string>(kind: Kind<T>, none: Word): Kind<T | Word> {
  return {
    rule: `${kind.rule}, or ${none}`,
    schema: z.union([z.literal(none), kind.schema]),
  };
}

export const hostname: Kind<string> = {
  rule: "a lower-case domain name",
  schema: z
    .string()
    .regex(
      /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
    ),
};

export const ipAddress: Kind<string> = {
  rule: "an IP address",
  schema: z.union([z.ipv4(), z.ipv6()]),
};

export const email: Kind<string> = { rule: "an e-mail address", schema: z.email() };

export const dnsServers: Kind<string[]> = {
  rule: "addresses with commas between them, as in 9.9.9.9,[2620:fe::fe]:53",
  schema: z
    .string()
    .transform((text) => text.split(",").map((one) => one.trim()))
    .pipe(
      z.array(z.string().regex(/^(\d{1,3}(\.\d{1,3}){3}(:\d{1,5})?|\[[0-9a-f:]+\](:\d{1,5})?)$/i)),
    ),
};

export const httpsAddress: Kind<string> = {
  rule: "an address that begins with https://",
  schema: z.url({ protocol: /^https$/ }),
};

/** Comes without a slash at its end. */
export const webAddress: Kind<string> = {
  rule: "an address that begins with http:// or https://",
  schema: z.url({ protocol: /^https?$/ }).transform((address) => address.replace(/\/+$/, "")),
};

/** A relative one is taken from where the server is started. */
export const folder: Kind<string> = {
  rule: "a folder",
  schema: z
    .string()
    .min(1)
    .transform((path) => (path.startsWith("/") ? path : `${process.cwd()}/${path}`)),
};

export const readableFile = file("read", constants.R_OK);
export const executableFile = file("executed", constants.X_OK);

function file(verb: string, mode: number): Kind<string> {
  return {
    rule: `the whole path of a file that can be ${verb}`,
    schema: z.string().refine((path) => isAccessible(path, mode)),
  };
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return path.startsWith("/") && statSync(path).isFile();
  } catch {
    return false;
  }
}

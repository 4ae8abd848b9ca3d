import { type BuildStack, tryStack } from "../build/stack.ts";
import type { DynoStack } from "../dyno/opened-release.ts";
import type { ImageSource } from "../image/copy-image.ts";
import type { ImageStore, StoredImage } from "../image/image-store.ts";
import { PlatformError } from "../lib/platform-error.ts";
import type { Account } from "../model/account.ts";
import { type App, updateApp } from "../model/app.ts";
import type { Database } from "../model/database.ts";
import type { Slug } from "../model/slug.ts";
import {
  appsOfStack,
  deleteStack,
  hostStackName,
  imagesInUse,
  listStacks,
  lookUpStack,
  putStack,
  settleHostStack,
  type Stack,
} from "../model/stack.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type ReleaseContext, tell } from "./release-context.ts";

/** An image that is to be a stack, as the operator names it. */
export interface StackOrder {
  name: string;
  /** What dynos run on, and builds unless they have their own. */
  image: WantedImage;
  buildImage?: WantedImage | undefined;
}

export interface WantedImage {
  source: ImageSource;
  /** Without secrets. */
  shown: string;
  /** The only one that will do. */
  digest?: string | undefined;
}

/** How the adding of a stack goes; known until the server ends. */
export interface StackAddition {
  state: "adding" | "added" | "failed";
  /** What was done so far. */
  lines: string[];
  /** Why it failed. */
  message: string | null;
}

export interface Stacks {
  /** `null`: a stack without an image. The first is the default. */
  list(): { name: string; image: Stack | null }[];
  /**
   * The stack that a name means: itself, or `host` under that name where it is one of Heroku's own that
   * nobody has added here. Throws a PlatformError when it means none.
   */
  meantBy(name: string): Pick<App, "stack" | "stackAlias">;
  /** Takes effect with the next build (contract §4.4). */
  set(app: App, options: { name: string; user: Account }): App;
  /** Begins to make a stack of an image; `done` is called in any case. */
  add(order: StackOrder, done: () => void): void;
  addition(name: string): StackAddition | undefined;
  remove(name: string): Promise<void>;
  /** What a build for a stack needs; its image stays until it is released. */
  toBuild(name: string): BuildStack;
  /** What the dynos of a slug need. */
  toRun(slug: Pick<Slug, "stack" | "stackDigest">): DynoStack;
  /** Removes the images that no stack and no slug needs. */
  sweep(): Promise<void>;
}

export interface StacksContext {
  database: Database;
  logs: ReleaseContext["logs"];
  images: ImageStore;
  runtime: Runtime;
  /** Stacks without an image, the default first. */
  builtIn: string[];
  /** What the machine's own software is like: `heroku-24`. */
  hostStack: string;
  /** Why no image can be a stack here; `null`: it can. */
  refusal: string | null;
}

/** The stacks of the platform: the machine's own software, and images. */
export function openStacks(context: StacksContext): Stacks {
  const { database, images, builtIn } = context;
  const additions = new Map<string, StackAddition>();
  const held = new Map<string, number>();
  settleHostStack(database, builtIn);

  const list = () => [
    ...builtIn.map((name) => ({ name, image: null })),
    ...listStacks(database).map((image) => ({ name: image.name, image })),
  ];

  const isKnown = (name: string) => list().some((stack) => stack.name === name);

  function assertKnown(name: string): void {
    if (isKnown(name)) return;
    const names = list().map((stack) => stack.name);
    throw new PlatformError(
      "not_found",
      `Couldn't find that stack: ${JSON.stringify(name.slice(0, 80))}. There is: ${names.join(", ")}.`,
      { resource: "stack" },
    );
  }

  function meantBy(name: string): Pick<App, "stack" | "stackAlias"> {
    if (herokuStack.test(name) && !isKnown(name)) return { stack: hostStackName, stackAlias: name };
    assertKnown(name);
    return { stack: name, stackAlias: null };
  }

  function rootOf(stack: string, digest: string): string {
    const image = images.find(digest);
    if (image) return image.rootfs;
    throw new PlatformError(
      "unavailable",
      `The image ${digest.slice(0, 19)} of the stack ${stack} is gone from the server's disk. Add it again: stator stacks:add ${stack} --from …`,
    );
  }

  async function sweep(): Promise<void> {
    await images.sweep(new Set([...imagesInUse(database), ...held.keys()]));
  }

  return {
    ...{ list, meantBy },
    set(app, { user, ...wanted }) {
      const meant = meantBy(wanted.name);
      const { stack, stackAlias } = meant;
      if (stack === app.stack && stackAlias === app.stackAlias) return app;
      const changed = updateApp(database, app, meant);
      if (stack !== app.stack)
        tell(context, app, `Stack changed from ${app.stack} to ${stack} by user ${user.email}`);
      return changed;
    },
    add(order, done) {
      const { name } = order;
      try {
        checkOrder(context, order);
        if (additions.get(name)?.state === "adding")
          throw new PlatformError("conflict", `The stack ${name} is being added already.`);
      } catch (error) {
        done();
        throw error;
      }
      const addition: StackAddition = { state: "adding", lines: [], message: null };
      additions.set(name, addition);
      const say = (line: string) => void addition.lines.push(line);
      const end = async (state: "added" | "failed") => {
        done();
        await sweep();
        addition.state = state;
      };
      void addStack(context, order, say).then(
        () => end("added"),
        (error: Error) => {
          addition.message = messageOf(error);
          return end("failed");
        },
      );
    },
    addition: (name) => additions.get(name),
    async remove(name) {
      if (builtIn.includes(name))
        throw new PlatformError("invalid_params", `The stack ${name} is always there.`);
      assertKnown(name);
      const { set, built } = appsOfStack(database, name);
      const why =
        set.length > 0
          ? `is the stack of ${some(set)}. Set another one first: stator stack:set ${hostStackName} -a ${set[0]}`
          : `is what code of ${some(built)} was built for, which they can still go back to.`;
      if (set.length + built.length > 0)
        throw new PlatformError("conflict", `The stack ${name} ${why}`);
      deleteStack(database, name);
      additions.delete(name);
      await sweep();
    },
    toBuild(name) {
      const stack = lookUpStack(database, name);
      const [announced, digest] = [stack?.announced ?? context.hostStack, stack?.digest ?? null];
      if (!stack) assertKnown(name);
      const ground = stack?.buildDigest ?? digest;
      const needed = [digest, ground].filter((one) => one !== null);
      const rootfs = ground === null ? undefined : rootOf(name, ground);
      for (const one of needed) held.set(one, (held.get(one) ?? 0) + 1);
      const release = () => {
        for (const one of needed) {
          const left = (held.get(one) ?? 1) - 1;
          if (left > 0) held.set(one, left);
          else held.delete(one);
        }
      };
      return { name, announced, digest, rootfs, release };
    },
    toRun({ stack, stackDigest }) {
      if (stackDigest === null) return { announced: context.hostStack, rootfs: undefined };
      const { announced } = lookUpStack(database, stack) ?? { announced: stack };
      return { announced, rootfs: rootOf(stack, stackDigest) };
    },
    sweep,
  };
}

/** Heroku's own: what its users have in their scripts, and what buildpacks know. */
const herokuStack = /^heroku-\d\d$/;
const namePattern = /^[a-z][a-z0-9-]{0,28}[a-z0-9]$/;
/** What Heroku means by them is something else. */
const reservedNames = ["cnb", "container", "cedar"];

function checkOrder({ builtIn, refusal }: StacksContext, { name }: StackOrder): void {
  if (refusal !== null) throw new PlatformError("invalid_params", refusal);
  if (!namePattern.test(name))
    throw new PlatformError(
      "invalid_params",
      `A stack's name has 2 to 30 lowercase letters, digits and dashes, and begins with a letter: ${JSON.stringify(name.slice(0, 80))}.`,
    );
  if (builtIn.includes(name) || reservedNames.includes(name))
    throw new PlatformError("invalid_params", `The name ${name} is taken.`);
}

/** Gets the images, tries them, and only then is there such a stack. */
async function addStack(
  { database, images, runtime }: StacksContext,
  { name, image, buildImage }: StackOrder,
  say: (line: string) => void,
): Promise<void> {
  const taken: StoredImage[] = [];
  async function take({ source, shown, digest }: WantedImage): Promise<StoredImage> {
    say(`Getting ${shown}`);
    const stored = await images.add(source, { digest, onProgress: say });
    taken.push(stored);
    return stored;
  }
  try {
    const run = await take(image);
    const build = buildImage && (await take(buildImage));
    say("Trying it");
    const tried = await tryStack(runtime, run.rootfs);
    const { missing } = build ? await tryStack(runtime, build.rootfs) : tried;
    if (missing.length > 0) say(`Buildpacks may miss what it does not have: ${missing.join(", ")}`);
    putStack(database, {
      ...{ name, digest: run.digest, buildDigest: build?.digest ?? null },
      announced: announcedName(name, run.config.env["STACK"], tried.like),
      ...{ title: tried.title, sizeBytes: run.sizeBytes + (build?.sizeBytes ?? 0) },
      source: [image.shown, buildImage?.shown].filter(Boolean).join(", "),
    });
    say(`${name} is ${tried.title}, ${run.digest}`);
  } catch (error) {
    for (const { digest } of taken) images.giveUp(digest);
    throw error;
  }
}

/** What buildpacks are told: a name of Heroku's, since they know no others. Pure. */
export function announcedName(name: string, ofImage: string | undefined, like: string): string {
  return [name, ofImage ?? ""].find((one) => herokuStack.test(one)) ?? like;
}

function messageOf(error: Error): string {
  if (error instanceof PlatformError) return error.message;
  process.stderr.write(`stacks: ${error.stack}\n`);
  return `The platform failed: ${error.message}`;
}

function some(names: string[]): string {
  const shown = names.slice(0, 3).join(", ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}

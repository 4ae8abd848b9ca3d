import { type Context, Hono } from "hono";
import { z } from "zod";
import type { WantedImage } from "../../deploy/stacks.ts";
import { PlatformError } from "../../lib/platform-error.ts";
import type { Platform } from "../../platform.ts";
import { answers, born } from "../answers.ts";
import { body } from "../body.ts";
import { pageOf } from "../list-range.ts";
import { account, type ApiEnvironment, member, operator } from "../policy.ts";
import { stableId } from "../stable-id.ts";
import { uploadOf } from "./sources.ts";

export function stackOf(name: string): { id: string; name: string } {
  return { id: stableId("stack", name), name };
}

const stackAnswer = z.object({
  ...born,
  name: z.string(),
  default: z.boolean(),
  state: z.literal("public"),
  /** Ours: what it is made of; `null`: of what the machine has. */
  image: z.object({ digest: z.string(), title: z.string(), size: z.int() }).nullable(),
});
type StackAnswer = z.output<typeof stackAnswer>;

const additionAnswer = z.object({
  stack: z.object({ name: z.string() }),
  state: z.enum(["adding", "added", "failed"]),
  lines: z.array(z.string()),
  message: z.string().nullable(),
});

const text = z.string("must be a string").max(1000, "must have at most 1000 characters");
const digest = text.regex(/^sha256:[0-9a-f]{64}$/, "must be sha256: and 64 hex digits");
const common = { digest: digest.nullish() };
const image = z.discriminatedUnion(
  "kind",
  [
    z.object({
      ...{ ...common, kind: z.literal("docker") },
      /** `heroku/heroku:24`, `registry.example.com/x@sha256:…`. */
      reference: text.regex(/^[\w][\w.:/@-]*$/, "must be a name like registry.example.com/x:y"),
      username: text.nullish(),
      password: text.nullish(),
      insecure: z.boolean("must be true or false").nullish(),
    }),
    // What was uploaded to an address of POST /sources.
    z.object({ ...common, kind: z.literal("tar"), url: text, name: text.nullish() }),
    z.object({
      ...{ ...common, kind: z.literal("oci"), url: text, name: text.nullish() },
      tag: text.regex(/^[\w][\w.-]{0,127}$/, "must be a tag").nullish(),
    }),
  ],
  "must be an object whose kind is docker, tar or oci",
);
const newStack = z.object({ name: text, image, build_image: image.nullish() });

/** What apps can be built for and run on: the machine's own software, and images that the operator adds. */
export const stacksApi = (platform: Platform) => {
  const { stacks } = platform;
  const all = () => stacks.list().map((stack, index) => present(stack, index === 0));
  const listed = (c: Context) =>
    pageOf(c, all(), { name: (one: StackAnswer) => one.name, id: (one: StackAnswer) => one.id });
  const find = (idOrName: string): StackAnswer => {
    const one = all().find(({ id, name }) => id === idOrName || name === idOrName);
    if (one) return one;
    throw new PlatformError(
      "not_found",
      `Couldn't find that stack: ${JSON.stringify(idOrName.slice(0, 80))}. There is: ${all()
        .map(({ name }) => name)
        .join(", ")}.`,
      { resource: "stack" },
    );
  };
  const additionOf = (name: string) => {
    const addition = stacks.addition(name);
    if (addition) return { stack: { name }, ...addition };
    throw new PlatformError(
      "not_found",
      `Nothing is being added under the name ${JSON.stringify(name.slice(0, 80))} since the server has started.`,
      { resource: "stack" },
    );
  };
  return new Hono<ApiEnvironment>()
    .get("/stacks", account("identity"), answers(z.array(stackAnswer)), (c) => c.json(listed(c)))
    .get("/apps/:app/available-stacks", member("read"), answers(z.array(stackAnswer)), (c) =>
      c.json(listed(c)),
    )
    .post("/stacks", operator("global"), answers(additionAnswer), body(newStack), (c) => {
      const { name, image: ofDynos, build_image: ofBuilds } = c.req.valid("json");
      const uploads: string[] = [];
      const wanted = (given: z.output<typeof image>) => wantedImage(platform, given, uploads);
      const order = {
        name,
        image: wanted(ofDynos),
        buildImage: ofBuilds ? wanted(ofBuilds) : undefined,
      };
      stacks.add(order, () => {
        for (const upload of uploads) platform.sources.remove(upload);
      });
      return c.json(additionOf(name), 202);
    })
    .get("/stacks/:stack", account("identity"), answers(stackAnswer), (c) =>
      c.json(find(c.req.param("stack"))),
    )
    .get("/stacks/:stack/addition", operator("global"), answers(additionAnswer), (c) =>
      c.json(additionOf(c.req.param("stack"))),
    )
    .delete("/stacks/:stack", operator("global"), answers(stackAnswer), async (c) => {
      const stack = find(c.req.param("stack"));
      await stacks.remove(stack.name);
      return c.json(stack);
    });
};

/** An image of a registry, or what was uploaded; `uploads` hears of the latter. */
function wantedImage(
  platform: Platform,
  given: z.output<typeof image>,
  uploads: string[],
): WantedImage {
  const wanted = given.digest ?? undefined;
  if (given.kind === "docker") {
    const { reference, username, password } = given;
    if (username && password === undefined)
      throw new PlatformError("invalid_params", "image.password: must be there with a username");
    return {
      source: {
        ...{ kind: "docker", reference, insecure: given.insecure ?? false },
        credentials: username ? { username, password: password ?? "" } : undefined,
      },
      ...{ shown: `docker://${reference}`, digest: wanted },
    };
  }
  const upload = uploadOf(platform, given.url);
  const path = upload === undefined ? undefined : platform.sources.find(upload);
  if (upload === undefined || path === undefined)
    throw new PlatformError(
      "invalid_params",
      "image.url: must be an address of POST /sources to which something was uploaded",
    );
  uploads.push(upload);
  const shown = given.name ?? `an uploaded ${given.kind}`;
  const source =
    given.kind === "tar"
      ? ({ kind: "tar", path, shown } as const)
      : ({ kind: "oci-archive", path, shown, tag: given.tag ?? undefined } as const);
  return { source, shown, digest: wanted };
}

/** Since the machine's own has no date. */
const always = "2026-01-01T00:00:00.000Z";

function present(
  { name, image: made }: ReturnType<Platform["stacks"]["list"]>[number],
  isDefault: boolean,
): StackAnswer {
  return {
    ...stackOf(name),
    ...{ default: isDefault, state: "public" },
    created_at: made?.createdAt.toISOString() ?? always,
    updated_at: made?.updatedAt.toISOString() ?? always,
    image: made && { digest: made.digest, title: made.title, size: made.sizeBytes },
  };
}

import { Hono } from "hono";
import { z } from "zod";
import { listPushedImages } from "../../model/pushed-image.ts";
import type { Platform } from "../../platform.ts";
import { answers } from "../answers.ts";
import { type ApiEnvironment, member } from "../policy.ts";

const imageAnswer = z.object({
  created_at: z.string(),
  docker_image: z.string(),
  process_type: z.string(),
  size: z.int(),
});

/** Ours: what was pushed last for each type; at Heroku a registry knows it. */
export const containerImagesApi = ({ database }: Platform) =>
  new Hono<ApiEnvironment>().get(
    "/:app/container-images",
    member("read"),
    answers(z.array(imageAnswer)),
    (c) =>
      c.json(
        listPushedImages(database, c.var.app).map(({ type, image, createdAt }) => ({
          created_at: createdAt.toISOString(),
          docker_image: image.id,
          process_type: type,
          size: image.sizeBytes,
        })),
      ),
  );

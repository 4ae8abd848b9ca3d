import { z } from "zod";

/** A password that may be chosen. Length is what counts; what is longer than this helps nobody. */
export const newPassword = z
  .string("must be a string")
  .min(10, "must have at least 10 characters")
  .max(1000, "is too long");

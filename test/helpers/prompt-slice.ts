import { release } from "node:os";

const [major = 0, minor = 0] = release().split(".").map(Number);

/** The time slice of what answers promptly, in nanoseconds; kernels before 6.12 tell none of any process. */
export const promptSlice = major > 6 || (major === 6 && minor >= 12) ? 100_000 : 0;

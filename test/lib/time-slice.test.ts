import { expect, test } from "bun:test";
import { getPriority, setPriority } from "node:os";
import { spawn } from "../../src/lib/exec.ts";
import { answerPromptly, timeSlice } from "../../src/lib/time-slice.ts";
import { promptSlice } from "../helpers/prompt-slice.ts";

test("a process that answers promptly has the shortest slice, its children too, and its priority still", async () => {
  const shell = spawn(["sh", "-c", "read line; sleep 60 & echo $!; wait"], {
    stdin: "pipe",
    stdout: "pipe",
  });
  setPriority(shell.pid, 5);
  expect(timeSlice(shell.pid)).not.toBe(promptSlice || -1);
  answerPromptly(shell.pid);
  expect(timeSlice(shell.pid)).toBe(promptSlice);
  expect(getPriority(shell.pid)).toBe(5);
  await shell.stdin.write("go\n");
  const { value } = await shell.stdout.getReader().read();
  const child = Number(Buffer.from(value ?? []).toString());
  expect(timeSlice(child)).toBe(promptSlice);
  process.kill(child);
  await shell.exited;
});

test("a process that is not there is left alone", () => {
  answerPromptly(2 ** 30);
  expect(timeSlice(2 ** 30)).toBe(0);
});

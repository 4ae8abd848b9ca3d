import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";

/**
 * Runs a Perl program under a real conmon, as a dyno's is, but without a container: conmon's "runtime"
 * is a script that starts the program as a child. `output` is the file that conmon writes.
 */
export async function runMonitored(
  folder: string,
  program: string,
  { maxLogBytes = 64 * 1024 * 1024 } = {},
) {
  mkdirSync(folder, { recursive: true });
  const runtime = join(folder, "runtime");
  // conmon calls it as `create --bundle FOLDER --pid-file FILE ID`, with the program's streams.
  writeFileSync(
    runtime,
    `#!/bin/sh\nwhile [ "$1" != --pid-file ]; do [ $# -gt 0 ] || exit 0; shift; done\nperl ${join(folder, "program")} &\necho $! > "$2"\n`,
  );
  chmodSync(runtime, 0o755);
  writeFileSync(join(folder, "program"), program);
  const output = join(folder, "output");
  const pidFile = join(folder, "monitor.pid");
  await execOk([
    "conmon",
    ...["--api-version", "1", "--cid", "monitored", "--cuuid", "monitored", "--runtime", runtime],
    ...["--bundle", folder, "--persist-dir", folder, "--exit-dir", folder],
    ...["--container-pidfile", join(folder, "pid"), "--conmon-pidfile", pidFile],
    ...["--log-path", `k8s-file:${output}`, "--log-size-max", String(maxLogBytes)],
    ...["--log-level", "error", "--full-attach"],
  ]);
  const monitor = Number(readFileSync(pidFile, "utf8"));
  const isRunning = () => {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${monitor}/status`, "utf8"));
    } catch {
      return false;
    }
  };
  return {
    output,
    /** Resolves when the program has ended and conmon has written all that it said. */
    async ended(): Promise<void> {
      while (isRunning()) await Bun.sleep(20);
    },
    stop(): void {
      const pid = Number(readFileSync(join(folder, "pid"), "utf8"));
      if (isRunning()) process.kill(pid, "SIGKILL");
    },
  };
}

/** A program that says numbered lines, `perSecond` of them, `count` in all. */
export function speaker({ count, perSecond }: { count: number; perSecond: number }): string {
  const perTurn = Math.ceil(perSecond / 100);
  return `use Time::HiRes qw(time sleep);
$| = 0; my $begin = time; my $n = 0;
select((select(STDOUT), $| = 0)[0]);
while ($n < ${count}) {
  my $text = "";
  for (1 .. ${perTurn}) { last if $n >= ${count}; $text .= "line $n of the flood, as long as lines of a web server are: 127.0.0.1 GET /some/path 200\\n"; $n++; }
  syswrite(STDOUT, $text) == length($text) or die;
  my $ahead = $begin + $n / ${perSecond} - time;
  sleep($ahead) if $ahead > 0;
}
`;
}

/** What a dyno may do to its neighbours; each goes on until it is stopped. */
export const badNeighbours: Record<string, string> = {
  "a fork bomb": "f() { f | f & }; while :; do f; sleep 0.2; done 2>/dev/null",
  "a memory bomb":
    "while :; do node -e 'const all = []; for (;;) all.push(Buffer.alloc(5e7, 1))'; done 2>/dev/null",
  "a full /tmp": "while :; do dd if=/dev/zero of=/tmp/full bs=1M; done 2>/dev/null",
  "a log flood": "yes 'a line of the flood, as long as lines are'",
  "100,000 open files":
    "for one in $(seq 100); do bash -c 'for file in $(seq 10 1010); do eval \"exec $file</dev/null\"; done; sleep 600' & done; wait",
  "a busy loop": "for one in 1 2 3 4 5 6 7 8; do while :; do :; done & done; wait",
};

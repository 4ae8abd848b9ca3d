import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerMount } from "../../src/runtime/runtime.ts";
import { type ContainerBench, openContainerBench } from "../helpers/container-bench.ts";

/** What a Dockerfile can do at worst: its commands have none of buildah's own walls left. */
let bench: ContainerBench;
let mounts: ContainerMount[] = [];
beforeAll(async () => {
  bench = await openContainerBench();
  // Of the host's root, and shown like the host's software.
  const shown = join(bench.folder, "shown");
  mkdirSync(shown);
  writeFileSync(join(shown, "file"), "the host's\n");
  const scratch = bench.scratch();
  chownSync(scratch, 0x7100_0000, 0x7100_0000);
  chmodSync(scratch, 0o755);
  mounts = [
    { kind: "bind", source: scratch, target: "/tmp", readOnly: false },
    { kind: "bind", source: shown, target: "/mnt", readOnly: true },
  ];
});
afterAll(() => bench.close());

const asImageMaker = async (script: string) =>
  (await bench.attached(`exec 2>&1; ${script}`, { makesImages: true, mounts })).text;

test("what makes images is root of its own ids, and mounts layers for itself", async () => {
  const said =
    await asImageMaker(`id -u; cd /tmp; mkdir lower upper work merged; echo layer >lower/file
    mount -t overlay -o userxattr,lowerdir=lower,upperdir=upper,workdir=work overlay merged
    chown 1234:1234 merged/file; stat -c %u merged/file; rm merged/file; stat -c %F upper/file; umount merged`);
  expect(said).toBe("0\n1234\ncharacter special file\n");
});

test("made writable in its view, the host's files stay the host's", async () => {
  const said = await asImageMaker(`for place in /usr /mnt; do
      mount -o remount,bind,rw $place && echo "$place is writable"
      touch $place/new-file; chmod 777 $place; chown 0 $place
    done
    echo changed >/mnt/file; rm /mnt/file; mount --bind /tmp /mnt; cat /proc/self/uid_map`);
  for (const place of ["/usr", "/mnt"]) {
    expect(said).toMatch(
      new RegExp(`touch: cannot touch '${place}/new-file': (Permission denied|Read-only)`),
    );
    expect(said).toMatch(
      new RegExp(`chmod: changing permissions of '${place}': (Operation not|Read-only)`),
    );
    expect(said).toMatch(
      new RegExp(`chown: changing ownership of '${place}': (Invalid|Operation not|Read-only)`),
    );
  }
  expect(said).toMatch(/\/mnt\/file: (Permission denied|Read-only)/);
  expect(said).toContain(`         0 ${0x7100_0000}      65536\n`);
  expect(await Bun.file(join(bench.folder, "shown/file")).text()).toBe("the host's\n");
});

test("it makes no devices, no users' namespaces, and changes nothing of the kernel", async () => {
  const said = await asImageMaker(`mknod /tmp/disk b 8 0 || echo no device
    unshare --user true || echo no users
    umount /proc/sys; mount -o remount,bind,rw /proc/sys; echo 1 >/proc/sys/kernel/panic || echo no kernel
    mount -t ext4 /dev/vda /mnt || mount -t debugfs none /mnt || mount -t bpf none /tmp/x || echo no other file systems
    nsenter --target 1 --net true && hostname other && echo its own name
    kill -9 -1; ls /proc | grep -c '^[0-9]'`);
  for (const words of ["no device", "no users", "no kernel", "no other file systems"])
    expect(said).toContain(`${words}\n`);
});

test("of calls that nothing needs none is let through for it", async () => {
  const program = `import ctypes
libc = ctypes.CDLL(None, use_errno=True)
calls = dict(bpf=321, kexec_load=246, init_module=175, ptrace=101, keyctl=250, open_by_handle_at=304, perf_event_open=298, io_uring_setup=425, reboot=169, swapon=167, fsopen=430, userfaultfd=323, clone3=435)
for name, number in calls.items():
    ctypes.set_errno(0); status = libc.syscall(number, 0, 0, 0, 0, 0); print(name, status, ctypes.get_errno())
print("unshare", libc.unshare(0x10000000), ctypes.get_errno(), libc.unshare(0x00020000))`;
  if (process.arch !== "x64") return;
  const { text } = await bench.attached("", {
    ...{ makesImages: true, mounts, argv: ["/usr/bin/tini", "--", "python3", "-c", program] },
  });
  const rows = text.trim().split("\n");
  expect(rows).toHaveLength(14);
  expect(rows.pop()).toBe("unshare -1 1 0");
  for (const row of rows) expect(row).toMatch(/ -1 (1|38)$/);
});

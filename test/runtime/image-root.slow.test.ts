import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { createImageStore, type StoredImage } from "../../src/image/image-store.ts";
import { type ContainerBench, openContainerBench } from "../helpers/container-bench.ts";
import { debianRoot, marker } from "../helpers/debian-root.ts";

let bench: ContainerBench;
let image: StoredImage;

beforeAll(async () => {
  bench = await openContainerBench();
  const store = createImageStore({
    ...{ folder: join(bench.folder, "images"), freeDiskBytes: () => 1e12, minFreeDiskBytes: 0 },
  });
  image = await store.add({ kind: "tar", path: await debianRoot() });
});
afterAll(() => bench.close());

const inImage = async (script: string) => {
  const argv = ["/opt/stator/bin/tini", "--", "bash", "-c", script];
  return bench.attached("", { rootfs: image.rootfs, argv });
};

test("a container of an image has the image's software, and the user that all containers have", async () => {
  const { status, text } = await inImage(
    `cat ${marker} /etc/os-release; id; getent passwd dyno; ls -l /usr/bin/nft 2>&1; ps 2>&1 | head -1; curl --version | head -1`,
  );
  expect(text).toContain('image\nPRETTY_NAME="Debian of an image"\n');
  expect(text).toContain("uid=1000(dyno) gid=1000(dyno) groups=1000(dyno)");
  expect(text).toContain("dyno:x:1000:1000::/app:/bin/bash");
  expect(text).toContain("/usr/bin/nft");
  expect(text).toMatch(/^curl \d/m);
  expect(status).toBe(0);
  const host = await bench.attached(`cat ${marker}; cat /etc/os-release`);
  expect(host.text).not.toContain("image");
});

test("it is read-only, also for root of its user namespace, and nothing in it makes one more than one is", async () => {
  const argv = ["/opt/stator/bin/tini", "--", "sleep", "1000"];
  const { id } = await bench.start("", { rootfs: image.rootfs, argv });
  const script = `for place in / /etc /usr /usr/bin /opt/stator/bin /etc/passwd /dev/sda /root; do
    touch "$place/x" 2>/dev/null && echo "wrote $place"; done
    (echo x >> /etc/passwd) 2>/dev/null && echo "wrote passwd"
    chmod 4755 /usr/bin/id 2>/dev/null && echo "set a bit"
    mknod /dev/shm/sda b 8 0 2>/dev/null && echo "made a disk"
    find / -xdev -perm /6000 2>/dev/null
    cat /etc/shadow 2>/dev/null
    ls /root 2>/dev/null
    find /dev -type b 2>/dev/null
    echo done`;
  const added = bench.exec(id, script);
  await added.exited;
  expect(added.said()).toBe("done\n");
  expect(await bench.execAsRoot(id, script)).toBe("done\n");
  const mounts = bench.exec(id, "cat /proc/self/mountinfo");
  await mounts.exited;
  for (const row of mounts.said().trim().split("\n")) {
    const [, , , , place, options] = row.split(" ");
    if (place === "/") expect(options).toMatch(/^ro,/);
    else if (!/^\/(dev|proc)\b/.test(place ?? ""))
      expect([place, options]).toEqual([place, expect.stringMatching(/nosuid|^ro/)]);
  }
});

test("it reaches names and hosts as this machine does, and has a small /dev", async () => {
  const { text } = await inImage(
    `cmp /etc/resolv.conf /etc/resolv.conf && grep -c nameserver /etc/resolv.conf; getent hosts localhost; ls /dev; ls /opt/stator/bin; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; ls /sys/devices/system/cpu | head -1`,
  );
  expect(text).toMatch(/^[1-9]\n/);
  expect(text).toContain("localhost");
  expect(text).toContain("null");
  expect(text).not.toContain("sda");
  expect(text).toContain("bun\nstator\ntini\ntoolbox\n");
  expect(text).toContain(String(128 * 1024 * 1024));
});

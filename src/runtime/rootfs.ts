import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { containerUser, sysFolders } from "./oci-config.ts";

const folders =
  "app dev etc/alternatives etc/apt etc/containers/registries.conf.d etc/heroku etc/ssl/certs home media mnt opt/stator/bin opt/stator/images opt/stator/source/src opt/stator/source/node_modules proc root run srv sys tmp usr var/tmp".split(
    " ",
  );
const links = { bin: "usr/bin", sbin: "usr/sbin", lib: "usr/lib", lib64: "usr/lib64" };
/** Files of the host's /etc that programs need and that tell nothing. */
const copied = [
  "ld.so.cache",
  "os-release",
  "mime.types",
  "services",
  "protocols",
  "ssl/openssl.cnf",
  "containers/registries.conf",
];

/** Makes the skeleton that all containers have as their read-only root (the host's /usr comes in as a mount). */
export function writeRootfs(rootfs: string): void {
  for (const folder of [...folders, ...sysFolders, "sys/fs/cgroup"])
    mkdirSync(join(rootfs, folder), { recursive: true, mode: 0o755 });
  for (const [name, target] of Object.entries(links))
    // The links point into a mount point that is empty here: only lstat sees them.
    if (!lstatSync(join(rootfs, name), { throwIfNoEntry: false }) && existsSync(`/${target}`))
      symlinkSync(target, join(rootfs, name));
  for (const name of copied)
    if (existsSync(`/etc/${name}`)) copyFileSync(`/etc/${name}`, join(rootfs, "etc", name));
  // Debian's Java does not start without its settings.
  for (const name of readdirSync("/etc").filter((name) => /^java-\d+-openjdk$/.test(name)))
    cpSync(`/etc/${name}`, join(rootfs, "etc", name), { recursive: true, verbatimSymlinks: true });
  const { uid, gid, name } = containerUser;
  const files = {
    passwd: `root:x:0:0:root:/root:/bin/bash\n${name}:x:${uid}:${gid}::/app:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n`,
    group: `root:x:0:\n${name}:x:${gid}:\nnogroup:x:65534:\n`,
    hosts: "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n",
    "resolv.conf": resolvConf(),
    profile: profile,
    "apt/sources.list": "",
    "host.conf": "multi on\n",
    ...containerFiles,
  };
  writeInit(join(rootfs, initPath));
  // Mount points for this program and the operator's certificates; `bun` in builds is this program.
  for (const name of ["bin/stator", "ca.pem"]) writeFileSync(join(rootfs, "opt/stator", name), "");
  for (const [name, script] of Object.entries(programs)) {
    const path = join(rootfs, "opt/stator/bin", name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
  }
  for (const [file, text] of Object.entries(files)) {
    const path = join(rootfs, "etc", file);
    if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
      rmSync(path, { force: true });
      writeFileSync(path, text, { mode: 0o644 });
    }
  }
}

/** Of what builds images: `node:22` is Docker Hub's, and a Dockerfile's commands have no right to mount or to leave. */
const containerFiles = {
  "containers/policy.json": '{"default":[{"type":"insecureAcceptAnything"}]}\n',
  "containers/registries.conf.d/000-stator.conf":
    'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "disabled"\n',
  "containers/storage.conf": `[storage]
driver = "overlay"
graphroot = "/opt/stator/images/storage"
runroot = "/dev/shm/containers"
`,
  "containers/containers.conf": `[containers]
default_capabilities = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID"]
`,
};

/** The first process of a container, where any image has it; linked to no library. */
export const initPath = "/opt/stator/bin/tini";

function writeInit(path: string): void {
  const found = ["/usr/bin/tini-static", "/usr/bin/tini"].find((file) => existsSync(file));
  if (found === undefined)
    throw new Error("this machine has no tini; sh install.sh deps installs it");
  const bytes = readFileSync(found);
  if (existsSync(path) && readFileSync(path).equals(bytes)) return;
  // Beside it first: what runs cannot be written to.
  writeFileSync(`${path}.new`, bytes, { mode: 0o755 });
  renameSync(`${path}.new`, path);
}

/**
 * This program under the names that buildpacks call: compiled it is whole, in a checkout it is Bun and
 * its source. A buildpack that Bun runs calls the toolbox too, which is not to be Bun then.
 */
const programs = {
  bun: 'BUN_BE_BUN=1 exec /opt/stator/bin/stator "$@"',
  toolbox: `unset BUN_BE_BUN
[ ! -e /opt/stator/source/src/main.ts ] || set -- --no-env-file --config=/dev/null /opt/stator/source/src/main.ts toolbox "$@"
[ -e /opt/stator/source/src/main.ts ] || set -- toolbox "$@"
exec /opt/stator/bin/stator "$@"`,
};

/** A login shell reads it first: then come the app's `.profile.d/*.sh` and, by bash itself, its `.profile`. */
export const profile = `for script in "$HOME"/.profile.d/*.sh; do
  [ -r "$script" ] && . "$script"
done
unset script
`;

/** A name server on the host's loopback cannot be reached from inside: then the ones behind it are used. */
function resolvConf(): string {
  const candidates = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
  for (const path of candidates) {
    if (!existsSync(path)) continue;
    const text = readFileSync(path, "utf8");
    const reachable = text
      .split("\n")
      .filter(
        (line) => !/^nameserver\s+(127\.|::1|0\.0\.0\.0|fe80:)/.test(line) && !line.startsWith("#"),
      );
    if (reachable.some((line) => line.startsWith("nameserver")))
      return `${reachable.join("\n").trim()}\n`;
  }
  return "nameserver 1.1.1.1\nnameserver 8.8.8.8\n";
}

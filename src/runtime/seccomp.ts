/**
 * Which calls into the kernel a container's programs may make; all others are refused. Names that a
 * machine does not know (of other processors, of later kernels) are skipped by the runtimes.
 */

const errors = { EPERM: 1, ENOSYS: 38 };
const words = (text: string) => text.trim().split(/\s+/);

const files = words(`
  access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
  fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr
  flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents
  getdents64 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl
  landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat
  listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat memfd_create mkdir mkdirat mknod
  mknodat newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2
  read readahead readlink readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir
  sendfile setxattr setxattrat splice stat statfs statx symlink symlinkat sync sync_file_range syncfs
  tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev`);

const waiting = words(`
  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
  epoll_wait_old eventfd eventfd2 io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit
  poll ppoll pselect6 select signalfd signalfd4 timerfd_create timerfd_gettime timerfd_settime`);

const memory = words(`
  brk cachestat madvise map_shadow_stack membarrier mincore mlock mlock2 mlockall mmap mprotect mremap
  mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_madvise
  remap_file_pages`);

const processes = words(`
  alarm arch_prctl capget capset clock_getres clock_gettime clock_nanosleep execve execveat exit
  exit_group fork futex futex_requeue futex_wait futex_waitv futex_wake get_robust_list
  get_thread_area getcpu getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid getppid
  getpriority getrandom getresgid getresuid getrlimit getrusage getsid gettid gettimeofday getuid
  ioprio_get ioprio_set kill nanosleep pause pidfd_open pidfd_send_signal prctl process_mrelease
  restart_syscall riscv_flush_icache rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
  rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max
  sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
  sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
  seccomp set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups
  setitimer setpgid setpriority setregid setresgid setresuid setreuid setsid setuid sigaltstack
  sysinfo tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime times
  tkill uname vfork wait4 waitid`);

const talking = words(`
  accept accept4 bind connect getpeername getsockname getsockopt listen mq_getsetattr mq_notify mq_open
  mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd recvfrom recvmmsg recvmsg semctl
  semget semop semtimedop sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown`);

/**
 * Doors into the kernel that no app needs. They answer "not permitted"; what is in no list at all
 * answers "no such call", after which libraries fall back to an older one.
 */
const refused = words(`
  acct add_key adjtimex bpf chroot clock_adjtime clock_settime delete_module fanotify_init
  fanotify_mark finit_module fsconfig fsmount fsopen fspick get_mempolicy init_module io_uring_enter
  io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie
  mbind memfd_secret migrate_pages modify_ldt mount mount_setattr move_mount move_pages
  name_to_handle_at open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root
  process_vm_readv process_vm_writev ptrace quotactl quotactl_fd reboot request_key set_mempolicy
  set_mempolicy_home_node setdomainname sethostname setns settimeofday swapoff swapon syslog umount2
  unshare userfaultfd vhangup`);

const newNamespaces = [
  0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
];
/** Families of sockets: unix, inet, inet6; and netlink (16) of its protocol 0, the routing tables. */
const families = [1, 2, 10];
const netlink = 16;
/** As it is; Linux 2.6's version number; 32 bits' name of the machine; both; and the question. */
const personalities = [0, 0x0002_0000, 0x0008, 0x0002_0008, 0xffff_ffff];
const resourceOfCores = 4;

interface Condition {
  index: number;
  op: "SCMP_CMP_EQ" | "SCMP_CMP_NE" | "SCMP_CMP_MASKED_EQ";
  value: number;
  valueTwo?: number;
}
const equal = (index: number, value: number): Condition => ({ index, op: "SCMP_CMP_EQ", value });
const differs = (index: number, value: number): Condition => ({ index, op: "SCMP_CMP_NE", value });
const masked = (index: number, value: number, valueTwo: number): Condition => ({
  ...{ index, op: "SCMP_CMP_MASKED_EQ", value, valueTwo },
});

interface Rule {
  names: string[];
  action: "SCMP_ACT_ALLOW" | "SCMP_ACT_ERRNO";
  errnoRet?: number;
  args?: Condition[];
}
const allow = (names: string[], ...args: Condition[]): Rule => ({
  ...{ names, action: "SCMP_ACT_ALLOW" },
  ...(args.length > 0 ? { args } : {}),
});
const answer = (errnoRet: number, names: string[], ...args: Condition[]): Rule => ({
  ...{ names, action: "SCMP_ACT_ERRNO", errnoRet },
  ...(args.length > 0 ? { args } : {}),
});

const oldNamespacesOnly = [
  allow(["clone"], masked(0, sum(newNamespaces), 0)),
  ...newNamespaces.map((flag) => answer(errors.EPERM, ["clone"], masked(0, flag, flag))),
];

/**
 * The filter of every container, as OCI's `linux.seccomp`. Only the machine's own calls pass: a
 * program that makes those of 32 bits (or of x32) is killed, so they are no way around. Pure.
 */
export function seccompFilter(machine: string = process.arch) {
  return filter(machine, []);
}

const newUserNamespace = 0x1000_0000;
const imageMaking = words(`
  chroot mount mount_setattr move_mount open_tree pivot_root sethostname setns umount2`);

/** The filter of a container that makes images: it mounts, and makes namespaces but for users' ones. Pure. */
export function imageMakerFilter(machine: string = process.arch) {
  const inside = masked(0, newUserNamespace, 0);
  const outside = masked(0, newUserNamespace, newUserNamespace);
  return filter(machine, [
    allow(imageMaking),
    allow(["clone", "unshare"], inside),
    answer(errors.EPERM, ["clone", "unshare"], outside),
  ]);
}

function filter(machine: string, added: Rule[]) {
  const loosened = new Set(added.flatMap(({ names }) => names));
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: errors.ENOSYS,
    architectures: [machine === "arm64" ? "SCMP_ARCH_AARCH64" : "SCMP_ARCH_X86_64"],
    syscalls: [
      allow([...files, ...waiting, ...memory, ...processes, ...talking]),
      answer(
        errors.EPERM,
        refused.filter((name) => !loosened.has(name)),
      ),
      ...families.map((family) => allow(["socket", "socketpair"], equal(0, family))),
      allow(["socket"], equal(0, netlink), equal(2, 0)),
      ...personalities.map((personality) => allow(["personality"], equal(0, personality))),
      // Its flags are in memory, where a filter cannot look: libraries take `clone` then.
      answer(errors.ENOSYS, ["clone3"]),
      ...(loosened.has("clone") ? [] : oldNamespacesOnly),
      ...added,
      // The limit on core dumps stays as it is, and lowering it seems to succeed: 1 keeps the kernel
      // from handing a crashed process to the host's own collector, and 0 would not (core(5)).
      allow(["setrlimit"], differs(0, resourceOfCores)),
      answer(0, ["setrlimit"], equal(0, resourceOfCores)),
      allow(["prlimit64"], differs(1, resourceOfCores)),
      allow(["prlimit64"], equal(1, resourceOfCores), equal(2, 0)),
      answer(0, ["prlimit64"], equal(1, resourceOfCores), differs(2, 0)),
    ],
  };
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

"""Which errors a system call may plausibly give, which it must survive, and which differences are accepted and why."""

import errno
import re
import subprocess

_OPEN = "EPERM EACCES ENOENT EMFILE ENOMEM EIO EINTR ELOOP ENOSPC EROFS"
_PATH = "EPERM EACCES ENOENT ENOMEM EIO ENOTDIR"
_MOUNT = "EPERM EBUSY EINVAL ENOMEM ENOSYS EIO"
_IDS = "EPERM EINVAL EAGAIN"

# The first of a line is what the quick run injects.
ERRORS = {
    **dict.fromkeys(("open", "openat"), _OPEN),
    "openat2": _OPEN + " EAGAIN ENOSYS EXDEV",
    **dict.fromkeys(("stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2",
                     "readlink", "readlinkat", "chdir"), _PATH),
    **dict.fromkeys(("fstat", "fstatfs", "statfs", "lseek", "ftruncate", "fchdir"), "EIO ENOMEM"),
    **dict.fromkeys(("mkdir", "mkdirat", "mknodat", "symlinkat", "linkat", "link"),
                    "ENOSPC EPERM EROFS EEXIST ENOMEM EIO"),
    **dict.fromkeys(("rename", "renameat", "renameat2"), "ENOSPC EIO EPERM EROFS"),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), "EIO EPERM EBUSY EROFS"),
    **dict.fromkeys(("mount", "umount2", "fsopen", "fsconfig", "fsmount", "move_mount", "open_tree",
                     "mount_setattr", "pivot_root", "chroot"), _MOUNT),
    **dict.fromkeys(("clone", "clone3", "fork", "vfork"), "EAGAIN ENOMEM EPERM ENOSPC ENOSYS"),
    **dict.fromkeys(("read", "pread64"), "EIO EINTR EAGAIN ENOMEM"),
    **dict.fromkeys(("write", "pwrite64", "writev"), "EIO EINTR ENOSPC EPIPE EAGAIN"),
    **dict.fromkeys(("sendmsg", "sendto"), "EPIPE EINTR ENOBUFS ENOMEM ECONNRESET EAGAIN"),
    **dict.fromkeys(("recvmsg", "recvfrom"), "ECONNRESET EINTR ENOMEM EAGAIN"),
    "connect": "ECONNREFUSED EINTR EAGAIN ENOENT EACCES",
    **dict.fromkeys(("accept", "accept4"), "EMFILE EINTR ECONNABORTED ENOMEM"),
    **dict.fromkeys(("socket", "socketpair", "pipe2", "signalfd4", "epoll_create1",
                     "eventfd2", "dup", "dup2", "dup3", "inotify_init1"), "EMFILE ENFILE ENOMEM"),
    "memfd_create": "EMFILE ENFILE ENOMEM ENOSYS EPERM",
    **dict.fromkeys(("bind", "listen", "setsockopt"), "EADDRINUSE ENOMEM EACCES"),
    "close": "EIO EINTR",
    **dict.fromkeys(("poll", "ppoll", "select", "epoll_wait"), "EINTR ENOMEM"),
    **dict.fromkeys(("wait4", "waitid"), "EINTR ECHILD"),
    **dict.fromkeys(("prctl", "seccomp", "capset", "capget", "bpf"), "EPERM EINVAL ENOSYS ENOMEM"),
    **dict.fromkeys(("setresuid", "setresgid", "setuid", "setgid", "setgroups"), _IDS),
    **dict.fromkeys(("setns", "unshare"), "EPERM EINVAL ENOMEM ENOSPC"),
    **dict.fromkeys(("prlimit64", "setpriority", "sched_setattr", "ioprio_set", "setpgid", "setsid"),
                    "EPERM EINVAL"),
    **dict.fromkeys(("sethostname", "setdomainname", "personality"), "EPERM"),
    "keyctl": "ENOSYS EDQUOT EPERM ENOMEM",
    **dict.fromkeys(("fchown", "fchownat", "fchmod", "fchmodat", "chmod", "chown"), "EPERM EIO EROFS"),
    **dict.fromkeys(("execve", "execveat"), "ENOMEM EACCES ENOENT EIO EAGAIN ENOSYS EPERM"),
    # Not brk(2): what it returns is no errno, and the C library does not look for one.
    **dict.fromkeys(("mmap", "mremap"), "ENOMEM"),
    "munmap": "ENOMEM",
    "mprotect": "ENOMEM EACCES",
    **dict.fromkeys(("pidfd_open", "pidfd_getfd"), "EMFILE ENOMEM ESRCH ENOSYS"),
    **dict.fromkeys(("pidfd_send_signal", "kill", "tgkill"), "EPERM ESRCH ENOSYS"),
    "process_vm_readv": "EPERM ESRCH EFAULT ENOSYS",
    "sched_setaffinity": "EINVAL EPERM",
    "getrandom": "EAGAIN EINTR ENOSYS",
    "madvise": "ENOMEM EINVAL",
    "flock": "EINTR ENOLCK EWOULDBLOCK",
    "ioctl": "ENOTTY EIO",
    "fcntl": "EBADF EPERM",
    **dict.fromkeys(("getdents64", "getcwd"), "EIO ENOENT"),
    "close_range": "ENOMEM ENOSYS",
    "sendfile": "EIO EINTR ENOMEM",
    "nanosleep": "EINTR",
    "clock_nanosleep": "EINTR",
}

SHORT = {"read", "pread64"}
# signal(7): these give EINTR on a healthy system, so it must change nothing.
SURVIVE_EINTR = {"poll", "ppoll", "wait4", "waitid", "recvmsg", "sendmsg", "accept4", "flock", "nanosleep",
                 "clock_nanosleep"}
# What a killed process never gets to, or what is not a question of failing.
NEVER = {"exit", "exit_group", "rt_sigreturn"}

# (role, call, path, error, facts of the container that may differ) as regular expressions, and why the difference is meant.
ACCEPTED = [
    (r".*", r"keyctl", r"", r"ENOSYS|EDQUOT", r"/keyring", "a kernel without keyrings, or a user with too many: logged, and the "
     "container keeps the session keyring that the runtime had"),
    (r"I|C\d+", r"openat2", r"", r"ENOENT", r"", "the kernel's word is all there is: a path that does not exist needs no mask, a "
     "missing /etc/passwd makes HOME=/, a link to nothing is not made"),
    (r"I|C\d+", r"openat2", r"", r"ENOTDIR|ELOOP|EACCES|EXDEV", r"/dev|/env", "of links and HOME, which are no question of safety, the "
     "same; never of masks"),
    (r"P", r"read", r"ptmx$", r"EIO", r"", "the kernel's only word for \"the last process has closed the terminal\""),
    (r"P", r"write", r"/out$", r"EPIPE", r"", "who reads the output has gone away, so that the terminal hangs up, as when a window is "
     "closed"),
    (r"P", r"ioctl", r"", r"ENOTTY", r"", "standard input is no terminal, then, and has no size and no mode"),
    (r"I", r"symlinkat", r"", r"EEXIST", r"/dev", "the image has something of its own in the place of a default link"),
    (r"I|C\d+", r"setres[ug]id", r"", r"EINVAL", r"/keyring|/mounts/\d+/super|/dev/\d+/[ug]id", "says that 0 is not mapped; then the program's own ids "
     "are the container's root"),
    (r"P", r"recvmsg", r"", r"ECONNRESET", r"", "only a peer that has closed gives it, so the init had ended"),
    (r"P", r"openat2?|newfstatat|unlinkat|getdents64", r"", r"ENOENT|EBUSY", r"", "\"there is nothing\" and \"others use this parent\" "
     "are good news when something is removed, and nothing else tells otherwise"),
]


def accepted(role, call, path, error, differing=()):
    """Why it is right that this fault changes what happens without an error, or None."""
    for r, c, p, e, facts, why in ACCEPTED:
        if re.fullmatch(r, role) and re.fullmatch(c, call) and re.search(p, path) and \
                re.fullmatch(e, error) and all(re.match(facts, fact) for fact in differing):
            return why
    return None


def call_names():
    """Number to name of every system call, as the C library's headers say."""
    text = subprocess.run(["gcc", "-E", "-dM", "-"], input="#include <sys/syscall.h>\n", check=True,
                          capture_output=True, text=True).stdout
    return {int(m[2]): m[1] for m in re.finditer(r"#define __NR_(\w+) (\d+)\n", text)}


def faults_of(call, path, quick):
    """The actions for one occurrence of CALL."""
    names = ERRORS.get(call, "").split()
    actions = [f"errno {getattr(errno, name)}" for name in (names[:1] if quick else names)]
    if quick and call in SURVIVE_EINTR and "EINTR" not in names[:1]:
        actions.append(f"errno {errno.EINTR}")
    # A sysctl is never read in parts: the kernel says end of file at once.
    if not quick and call in SHORT and not path.startswith("/proc/sys/"):
        actions.append("short")
    return actions


def action_name(action):
    """"errno 5" as "EIO"."""
    kind, _, number = action.partition(" ")
    return errno.errorcode[int(number)] if kind == "errno" else action

"""The matrix of credentials (SECURITY H-25), and what the program must have after execve: a model of the kernel's rules
(capabilities(7), "Transformation of capabilities during execve()"; no_new_privs; seccomp(2)) that shares nothing with creel."""

import itertools
import json
import os
import pathlib
import socket
import threading

ALLOWED = """
    accept4 access arch_prctl brk capget capset chdir clone clone3 close close_range dup dup2 dup3 epoll_create1 epoll_ctl
    execve execveat exit exit_group faccessat faccessat2 fchdir fchmod fchown fchownat fcntl fstat fstatfs futex getcwd
    getdents64 getegid geteuid getgid getgroups getpgrp getpid getppid getrandom getresgid getresuid getsid gettid getuid
    ioctl kill lseek lstat madvise mmap mprotect munmap nanosleep newfstatat open openat openat2 pipe2 poll ppoll prctl
    pread64 prlimit64 pwrite64 read readlink readlinkat readv recvmsg restart_syscall rseq rt_sigaction rt_sigprocmask
    rt_sigreturn sched_getaffinity seccomp sendmsg set_robust_list set_tid_address setfsgid setfsuid setgid setgroups
    setpgid setresgid setresuid setsid setuid sigaltstack stat statfs statx sysinfo tgkill umask uname unlinkat wait4
    waitid write writev""".split()

DEFAULT = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE",
           "CAP_SYS_CHROOT", "CAP_AUDIT_WRITE"]
SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")
SECTIONS = "uid,gid,groups,capabilities,noNewPrivs,seccomp,label"
GROUPS = [7, 4000]


def allow_list():
    return {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ALLOWED, "action": "SCMP_ACT_ALLOW"}]}


def notify(agent):
    """One call of somebody else's is notified; that there is a listener is what matters."""
    return {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(agent),
            "syscalls": [{"names": ["swapoff"], "action": "SCMP_ACT_NOTIFY"}]}


AXES = {
    "privileges": ["kept", "no_new"],
    "seccomp": ["none", "allow-list", "notify"],
    "uid": [0, 1000],
    "caps": ["none", "default", "all"],
    "userns": [False, True],
}


def combinations():
    """All 72 of them, for one LSM, as dicts."""
    return [dict(zip(AXES, values)) for values in itertools.product(*AXES.values())]


def name(case):
    """A short name for messages."""
    return "-".join(str(value) for value in case.values())


class Agent:
    """Takes what is sent to it, and closes it."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                while connection.recv(65536):   # what comes with it is closed by the kernel
                    pass

    def close(self):
        """Ends it."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Kernel:
    """What this host lets a process have at all."""

    def __init__(self, names):
        self.names = names
        status = dict(line.split(":\t") for line in
                      pathlib.Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
        self.ours = int(status["CapBnd"], 16)
        self.last = int(pathlib.Path("/proc/sys/kernel/cap_last_cap").read_text())

    def mask(self, names):
        """Names as bits."""
        return sum(1 << self.names.index(name) for name in names)

    def all_names(self):
        """Every capability that the kernel has."""
        return self.names[:self.last + 1]


def capability_names(creel):
    """In the order of their numbers, which is that of the uapi header and so of `features`."""
    return json.loads(creel.ok("features").out)["linux"]["capabilities"]


def sets_of(case, kernel):
    """What the document asks for.  `default` has no inheritable and ambient ones, as engines write it; `all` has."""
    if case["caps"] == "none":
        return {}
    if case["caps"] == "default":
        return {which: list(DEFAULT) for which in ("bounding", "effective", "permitted")}
    # Only what we have ourselves can be given, but in a user namespace, whose first process has everything.
    names = [name for i, name in enumerate(kernel.all_names()) if case["userns"] or kernel.ours >> i & 1]
    return {which: names for which in SETS}


def process_of(case, kernel, label):
    """The members of `process` for a case."""
    process = {
        "user": {"uid": case["uid"], "gid": case["uid"], "additionalGids": GROUPS},
        "noNewPrivileges": case["privileges"] == "no_new",
        "capabilities": sets_of(case, kernel),
    }
    if label:
        process[label[0]] = label[1]
    return process


def expected(case, kernel, label):
    """What the program sees of itself, in the words of the probe."""
    old = {which: kernel.mask(sets_of(case, kernel).get(which, [])) for which in SETS}
    inheritable, bounding, ambient = old["inheritable"], old["bounding"], old["ambient"]
    if case["uid"] == 0:
        # A file that root executes has all bits in its inheritable and permitted sets, and the effective flag.
        permitted = inheritable | bounding | ambient
        if case["privileges"] == "no_new" and permitted & ~old["permitted"]:
            permitted &= old["permitted"]
        effective = permitted
    else:
        # It has none, and then what is left are the ambient ones.
        permitted = effective = ambient
    caps = {"effective": effective, "permitted": permitted, "inheritable": inheritable, "bounding": bounding,
            "ambient": ambient}
    ids = dict.fromkeys(("real", "effective", "saved", "fs"), case["uid"])
    return {
        "uid": ids,
        "gid": ids,
        "groups": sorted(GROUPS),
        "capabilities": {which: f"{caps[which]:016x}" for which in caps},
        "noNewPrivs": case["privileges"] == "no_new",
        "seccomp": 0 if case["seccomp"] == "none" else 2,
        "label": label[2] if label else None,
    }


def seen(report, label):
    """A report of the probe, in the form of expected()."""
    return {**report, "groups": sorted(report["groups"]),
            "seccomp": report["seccomp"]["mode"], "label": report["label"]["current"] if label else None}


def change(case, agent):
    """What to do to the rest of the document."""
    def apply(spec):
        if case["seccomp"] == "allow-list":
            spec["linux"]["seccomp"] = allow_list()
        elif case["seccomp"] == "notify":
            spec["linux"]["seccomp"] = notify(agent.path)
    return apply


def check(creel, label=None):
    """Every combination by create and start, and by exec; returns (number of programs, sentences about what is wrong)."""
    kernel = Kernel(capability_names(creel))
    agent = Agent(creel.directory / "agent")
    wrong, count = [], 0
    words = ["/bin/probe", "sections", SECTIONS]
    try:
        for (seccomp, userns), cases in itertools.groupby(
                sorted(combinations(), key=lambda case: (case["seccomp"], case["userns"])),
                key=lambda case: (case["seccomp"], case["userns"])):
            running = creel.bundle("/bin/probe", "sleep", userns=userns)
            change({"seccomp": seccomp}, agent)(running.spec)
            # What `exec` has comes from its own document, but for the filter.
            with creel.running(running.write()) as container:
                for case in cases:
                    process = process_of(case, kernel, label)
                    want = expected(case, kernel, label)
                    for how, result in (("start", by_start(creel, case, process, words, agent)),
                                        ("exec", by_exec(creel, container, process, words))):
                        count += 1
                        if result.code != 0 or not result.out:
                            wrong.append(f"{how} {name(case)}: {result}")
                            continue
                        have = seen(result.json(), label)
                        wrong += [f"{how} {name(case)}: {member} is {have[member]}, not {want[member]}"
                                  for member in want if have[member] != want[member]]
    finally:
        agent.close()
    return count, wrong


def by_start(creel, case, process, words, agent):
    """The result of create and start: what the program has printed."""
    bundle = creel.bundle(*words, userns=case["userns"], **process)
    change(case, agent)(bundle.spec)
    container = creel.id()
    result = creel.run("create", "--bundle", bundle.write().path, container)
    if result.code != 0:
        return result
    started = creel.run("start", container)
    if started.code != 0:
        result = started
    else:
        creel.wait_status(container, "stopped")
    creel.ok("delete", "--force", container)
    return result


def by_exec(creel, container, process, words):
    """The result of `exec --process`."""
    file = creel.directory / "process.json"
    file.write_text(json.dumps({"cwd": "/", "args": words, "env": ["PATH=/bin"], **process}))
    return creel.run("exec", "--process", file, container)

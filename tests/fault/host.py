"""What a command could leave behind, seen from process 1 of namespaces of our own; and the room that such a process makes for
itself: a tmpfs for bundles and state, and a cgroup that everything is below."""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "support"))

import bundles  # noqa: E402

SETTLE = 20.0       # seconds that what is dying gets
UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--ipc",
           "--uts", "--propagation", "private"]
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")


def cgroup_top():
    """Where cgroup2 is mounted."""
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        path = pathlib.Path(line.split()[1])
        # Another mount may lie over it.
        if line.split()[2] == "cgroup2" and (path / "cgroup.controllers").exists():
            return path
    raise SystemExit("no cgroup2 is mounted here")


def unify():
    """In our own mount namespace: cgroup2 where runtimes look for it that do not know hybrid hosts."""
    top = cgroup_top()
    if top.name == "unified":
        subprocess.run(["mount", "--bind", top, top.parent], check=True)


def remove_cgroups(top):
    """Kills and removes a tree of cgroups."""
    if not top.is_dir():
        return
    with contextlib.suppress(OSError):
        (top / "cgroup.kill").write_text("1")
    for _ in range(1000):
        for path, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)
        if not top.is_dir():
            return
        time.sleep(0.02)


def bpf_programs():
    """How many BPF programs this kernel holds (BPF_PROG_GET_NEXT_ID), or None where that may not be asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    attr = (ctypes.c_uint32 * 16)()
    n = 0
    while libc.syscall(321, 11, attr, ctypes.sizeof(attr)) == 0:
        n += 1
        attr[0] = attr[1]
    return n if ctypes.get_errno() == 2 else None


def reap():
    """Collects orphans; only where no child of ours is waited for."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def wait_as_init(process, seconds):
    """Waits for one child and collects the orphans meanwhile, as an init does: a zombie keeps its pid namespace from ending.  Its
    exit code, or None."""
    end, pause = time.monotonic() + seconds, 0.0005
    while process.poll() is None:
        if time.monotonic() > end:
            return None
        with contextlib.suppress(ChildProcessError):
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead and dead.si_pid != process.pid:
                os.waitpid(dead.si_pid, 0)
                continue
        time.sleep(pause)
        pause = min(pause * 1.5, 0.01)
    return process.returncode


class Host:
    """The room, and comparisons of it."""

    def __init__(self, name):
        self.name = f"fault-{name}"    # of the container
        self.directory = pathlib.Path(f"/tmp/creel-fault-{name}")
        self.directory.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "fault", self.directory], check=True)
        self.root = self.directory / "state"
        self.cgroup = cgroup_top() / f"creel-fault-{name}"
        self.cgroup.mkdir()
        self.holder = None      # of a pid namespace that containers join
        self.own = {kind: os.stat(f"/proc/self/ns/{kind}").st_ino for kind in NAMESPACES}

    def close(self):
        remove_cgroups(self.cgroup)

    def processes(self):
        """Living processes but for this one and the holder with its child, as a set of (pid, name)."""
        found = set()
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or entry == "1":
                continue
            with contextlib.suppress(OSError):
                text = pathlib.Path(f"/proc/{entry}/stat").read_text()
                name, _, rest = text.partition("(")[2].rpartition(")")
                state, parent = rest.split()[:2]
                if state not in "ZX" and self.holder not in (int(entry), int(parent)):
                    found.add((int(entry), name))
        return found

    def take(self):
        """Everything, as a dict from kind to set."""
        mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
        unix = pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]
        keys = pathlib.Path("/proc/keys").read_text()
        files = set()
        for path, directories, names in os.walk(self.directory):
            if "rootfs" in directories:
                directories.remove("rootfs")
            files.update(os.path.join(path, name) for name in names + directories
                         if not name.startswith("out"))
        return {
            "process": self.processes(),
            "cgroup": {path for path, _, _ in os.walk(self.cgroup)},
            "mount": {line.split(" ", 3)[3] for line in mounts},
            "file": {path for path in files if "/.cache" not in path},
            "socket": {" ".join(line.split()[7:]) for line in unix},
            # By their names: what is dead stays in the list until the kernel collects it.
            "keyring": {self.name} if f" _ses.{self.name}:" in keys else set(),
        }

    def difference(self, before, seconds=SETTLE):
        """Sentences about what is not as BEFORE."""
        end = time.monotonic() + seconds
        pause = 0.001
        while True:
            reap()
            after = self.take()
            found = [f"{kind} {sign}: {item}" for kind in before
                     for sign, items in (("left", after[kind] - before[kind]),
                                         ("gone", before[kind] - after[kind]))
                     for item in sorted(map(str, items)) if (kind, sign) != ("keyring", "gone")]
            if not found or time.monotonic() > end:
                return found
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def clean(self, before):
        """Removes by force what was left, so that the next run begins as this one did."""
        for pid, _ in self.processes() - before["process"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # The fields are "root point options ...".
        for line in self.take()["mount"] - before["mount"]:
            subprocess.run(["umount", "-l", line.split()[1].replace("\\040", " ")], check=False, stderr=subprocess.DEVNULL)
        for path in sorted({path for path, _, _ in os.walk(self.cgroup)} - before["cgroup"]):
            remove_cgroups(pathlib.Path(path))
        for path in sorted(self.take()["file"] - before["file"], reverse=True):
            with contextlib.suppress(OSError):
                (os.rmdir if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)
        subprocess.run(["rm", "-rf", self.root / self.name], check=False, stderr=subprocess.DEVNULL)
        reap()


SECCOMP = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64"],
    "syscalls": [{"names": ["mount", "umount2"], "action": "SCMP_ACT_ERRNO"}],
}


def spec_plain(host, runtime):
    """What an engine writes for a root container: all namespaces but user and time, a filter, a limit."""
    spec = bundles.default_spec()
    spec["linux"]["cgroupsPath"] = f"/{host.cgroup.name}/pod/{host.name}"
    spec["linux"]["seccomp"] = SECCOMP
    if "hugetlb" in (cgroup_top() / "cgroup.controllers").read_text():
        spec["linux"]["resources"]["hugepageLimits"] = [{"pageSize": "2MB", "limit": 1 << 22}]
    return spec


def spec_rich(host, runtime):
    """User and time namespace, hooks of every kind, a bind mount, another user, early seccomp."""
    spec = bundles.default_spec(userns=True)
    spec["linux"]["cgroupsPath"] = f"/{host.cgroup.name}/{host.name}"
    spec["linux"]["seccomp"] = SECCOMP
    spec["process"]["noNewPrivileges"] = False
    spec["process"]["user"] = {"uid": 7, "gid": 8, "additionalGids": [9]}
    spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
    if runtime == "creel":
        spec["linux"]["namespaces"].append({"type": "time"})
        spec["linux"]["timeOffsets"] = {"monotonic": {"secs": 86400, "nanosecs": 0}}
    source = host.directory / "volume"
    source.mkdir(exist_ok=True)
    spec["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(source),
                           "options": ["bind", "ro", "nosuid"]})
    true = str(host.directory / "true")
    subprocess.run(["cp", "/bin/true", true], check=True)
    spec["hooks"] = {kind: [{"path": true}] for kind in
                     ("createRuntime", "createContainer", "poststart", "poststop")}
    spec["hooks"]["startContainer"] = [{"path": "/bin/probe", "args": ["probe", "true"]}]
    return spec


def spec_joined(host, runtime):
    """The pid namespace of another: the init is born there late, and ends no others."""
    spec = spec_plain(host, runtime)
    if not host.holder:
        host.holder = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "sleep", "infinity"]).pid
        children = pathlib.Path(f"/proc/{host.holder}/task/{host.holder}/children")
        while not children.read_text():
            time.sleep(0.001)
        # The child has still to execute its program.
        while pathlib.Path(f"/proc/{children.read_text().strip()}/comm").read_text() != "sleep\n":
            time.sleep(0.001)
    for namespace in spec["linux"]["namespaces"]:
        if namespace["type"] == "pid":
            namespace["path"] = f"/proc/{host.holder}/ns/pid_for_children"
    return spec


SPECS = {"plain": spec_plain, "rich": spec_rich, "joined": spec_joined}


def make_bundle(host, name, runtime, probe, args):
    """A bundle of the configuration NAME whose program is ARGS; returns its path."""
    spec = SPECS[name](host, runtime)
    spec["process"]["args"] = list(args)
    owner = 100000 if name == "rich" else 0
    rootfs = host.directory / f"root-{name}" / "rootfs"
    if not rootfs.exists():
        bundles.make_rootfs(rootfs, {"/bin/probe": probe}, owner)
        for path in (rootfs.parent, rootfs):
            path.chmod(0o755)
    return bundles.make_bundle(host.directory / f"bundle-{name}-{args[1] if len(args) > 1 else 'all'}",
                               spec, rootfs)

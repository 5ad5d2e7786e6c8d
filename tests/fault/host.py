"""What a command could leave behind, seen from process 1 of namespaces of our own; and the room that such a process makes for
itself: a tmpfs for bundles and state, and a cgroup that everything is below."""

import collections
import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import time
import zlib

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "support"))

import bpf  # noqa: E402
import bundles  # noqa: E402

SETTLE = 20.0       # seconds that what is dying gets
PR_SET_CHILD_SUBREAPER = 36
UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--ipc",
           "--uts", "--propagation", "private"]
# systemd is told pids, so that they must be its own.
UNSHARE_SYSTEMD = ["unshare", "--mount", "--net", "--ipc", "--uts", "--propagation", "private"]
UNITS = pathlib.Path("/run/systemd/transient")
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


def _prctl(option, value):
    """prctl(2)."""
    if ctypes.CDLL(None).prctl(option, value, 0, 0, 0) != 0:
        raise SystemExit(f"prctl {option} failed")


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
        self.number = zlib.crc32(self.name.encode())
        self.bpf = bpf.Watch()
        self.cgroup = cgroup_top() / f"creel-fault-{name}"
        self.cgroup.mkdir()
        # Where units are; or where nothing may be left either, and that is ours alone.
        self.has_systemd = os.getpid() != 1
        if self.has_systemd:
            _prctl(PR_SET_CHILD_SUBREAPER, 1)
        else:
            for path in ("/run", "/dev/shm"):
                subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "fault", path], check=True)
        self.holder = None      # of a pid namespace that containers join
        self.own = {kind: os.stat(f"/proc/self/ns/{kind}").st_ino for kind in NAMESPACES}

    def close(self):
        remove_cgroups(self.cgroup)

    def processes(self):
        """Living processes but for this one and the holder with its child, as a set of (pid, name); where others live, too, those
        that descend from this one, which orphans come to."""
        seen, parents = {}, {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                text = pathlib.Path(f"/proc/{entry}/stat").read_text()
                name, _, rest = text.partition("(")[2].rpartition(")")
                state, parent = rest.split()[:2]
                parents[int(entry)] = int(parent)
                if state not in "ZX" and self.holder not in (int(entry), int(parent)):
                    seen[int(entry)] = name

        def is_ours(pid):
            while pid in parents:
                pid = parents[pid]
            return pid == os.getpid()
        return {(pid, name) for pid, name in seen.items() if not self.has_systemd or is_ours(pid)}

    def mounts_inside(self):
        """The same of every other mount namespace: of the containers that are there."""
        found, seen = set(), {self.own["mnt"]}
        for pid, _ in self.processes():
            with contextlib.suppress(OSError):
                namespace = os.stat(f"/proc/{pid}/ns/mnt").st_ino
                if namespace not in seen:
                    seen.add(namespace)
                    found |= {f"in {namespace}: {mount}" for mount, _ in self.mounts(pid)}
        return found

    @staticmethod
    def mounts(pid="self"):
        """All mounts, as (what is mounted and how, where).  The place is no part of what is compared: it changes when others
        rename a directory above it.  So those that are alike are counted."""
        times, found = collections.Counter(), []
        for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
            _, _, _, root, place, *how = line.split(" ")
            mount = " ".join([root, *how])
            times[mount] += 1
            found.append((f"{mount} ({times[mount]})", place.replace("\\040", " ")))
        return found

    def cgroups(self):
        """The paths of ours."""
        found = {path for path, _, _ in os.walk(self.cgroup)}
        if self.has_systemd:
            found |= {path for path, _, _ in os.walk(cgroup_top() / "system.slice") if self.name in path}
        return found

    def units(self):
        """The transient units that systemd has, by the files that it keeps as long."""
        if not self.has_systemd or not UNITS.is_dir():
            return set()
        # With its drop-in files, which come and go.
        return {name.removesuffix(".d") for name in os.listdir(UNITS) if self.name in name}

    def take(self):
        """Everything, as a dict from kind to set."""
        unix = pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]
        keys = pathlib.Path("/proc/keys").read_text()
        files = set()
        for path, directories, names in os.walk(self.directory):
            if "rootfs" in directories:
                directories.remove("rootfs")
            files.update(os.path.join(path, name) for name in names + directories
                         if not name.startswith("out"))
        for path in () if self.has_systemd else ("/run", "/dev/shm"):
            files.update(os.path.join(path, name) for name in os.listdir(path))
        return {
            "process": self.processes(),
            "cgroup": self.cgroups(),
            "unit": self.units(),
            "bpf": self.bpf.take(),
            "mount": {mount for mount, _ in self.mounts()} | self.mounts_inside(),
            "file": {path for path in files if "/.cache" not in path},
            "socket": {" ".join(line.split()[7:]) for line in unix},
            # By their names: what is dead stays in the list until the kernel collects it.
            "keyring": {self.name} if f" _ses.{self.name}:" in keys else set(),
        }

    def difference(self, before, seconds=None):
        """Sentences about what is not as BEFORE."""
        end = time.monotonic() + (SETTLE if seconds is None else seconds)
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
        for mount, place in self.mounts():
            if mount not in before["mount"]:
                subprocess.run(["umount", "-l", place], check=False, stderr=subprocess.DEVNULL)
        for name in self.units() - before["unit"]:
            subprocess.run(["systemctl", "stop", name], check=False, stderr=subprocess.DEVNULL)
        for path in sorted(self.cgroups() - before["cgroup"]):
            remove_cgroups(pathlib.Path(path))
        for path in sorted(self.take()["file"] - before["file"], reverse=True):
            with contextlib.suppress(OSError):
                (os.rmdir if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)
        for root in (self.root, *self.directory.glob("state-*")):
            subprocess.run(["rm", "-rf", root / self.name], check=False, stderr=subprocess.DEVNULL)
        reap()

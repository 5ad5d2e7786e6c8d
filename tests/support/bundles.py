"""Bundles for tests and benchmarks: the default configuration, root filesystems, and real
configurations of engines made runnable here by stand-ins for what their engine had provided."""

import copy
import json
import os
import pathlib
import resource
import shutil
import subprocess
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
CFLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-static", "-O2", "-s", "-Wall", "-Wextra"]

# What a mount source of an engine stands for: these are files, all else are directories.
FILE_NAMES = {"hostname", "hosts", "resolv.conf", ".containerenv"}

# Sources below these exist on every host, and are mounted as they are.
HOST_TREES = ("/sys", "/proc", "/dev")

ROOTFS_DIRECTORIES = ("bin", "dev", "etc", "home", "mnt", "proc", "root", "run", "sys", "tmp",
                      "usr/bin", "var")

CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]

# The member of linux.resources and the cgroup2 controller that it needs.
CONTROLLERS = {"memory": "memory", "cpu": "cpu", "pids": "pids", "blockIO": "io",
               "hugepageLimits": "hugetlb", "rdma": "rdma"}


def find_configs():
    """The directory of real configurations beside the checkout, or None."""
    for path in (os.environ.get("CREEL_CONFIGS"), TESTS.parent.parent / "shared" / "configs",
                 TESTS / "configs"):
        if path and pathlib.Path(path).is_dir():
            return pathlib.Path(path)
    return None


def compile_static(output, *sources):
    """Compiles a static program, unless OUTPUT is newer than its SOURCES."""
    output = pathlib.Path(output)
    newest = max(pathlib.Path(source).stat().st_mtime for source in sources)
    if not output.exists() or output.stat().st_mtime < newest:
        partial = output.with_name(f".{output.name}.{os.getpid()}")
        subprocess.run(["gcc", *CFLAGS, "-o", partial, *(s for s in map(str, sources)
                                                         if s.endswith(".c"))], check=True)
        partial.rename(output)
    return output


def build_probe(directory):
    """Compiles the probe into DIRECTORY and returns its path."""
    return compile_static(pathlib.Path(directory) / "probe", *sorted(TESTS.glob("probe*.[ch]")))


def default_spec(args=("/bin/true",), userns=False, rootless=False, terminal=False):
    """The configuration that `spec` writes, with ARGS and without a terminal.

    USERNS adds a user namespace whose 0 is 100000 outside.  ROOTLESS is `spec --rootless` for the
    user 1000: one id, the host's network, a bound /sys, and no limits.
    """
    devpts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
    spec = {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": terminal,
            "user": {"uid": 0, "gid": 0},
            "args": list(args),
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "TERM=xterm"],
            "cwd": "/",
            "capabilities": {name: list(CAPABILITIES)
                             for name in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "creel",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": devpts},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
        ],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": name} for name in
                           ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                            "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                            "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                              "/proc/sysrq-trigger"],
        },
    }
    linux = spec["linux"]
    if userns:
        linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    if rootless:
        devpts.remove("gid=5")
        linux["namespaces"] = [{"type": name} for name in
                               ("pid", "ipc", "uts", "mount", "cgroup", "user")]
        for name in ("uidMappings", "gidMappings"):
            linux[name] = [{"containerID": 0, "hostID": 1000, "size": 1}]
        del linux["resources"]
        spec["mounts"] = [m for m in spec["mounts"]
                          if m["destination"] not in ("/sys", "/sys/fs/cgroup")]
        spec["mounts"].append({"destination": "/sys", "type": "none", "source": "/sys",
                               "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]})
    return spec


def make_rootfs(path, programs, owner=0):
    """Makes a root filesystem of static PROGRAMS, a dict from path inside to path outside."""
    path = pathlib.Path(path)
    for name in ROOTFS_DIRECTORIES:
        (path / name).mkdir(parents=True, exist_ok=True)
    for inside, outside in programs.items():
        target = path / inside.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(outside, target)
    (path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (path / "etc/group").write_text("root:x:0:\n")
    if owner:
        for found in [path, *path.rglob("*")]:
            os.chown(found, owner, owner, follow_symlinks=False)
    return path


def make_bundle(path, spec, rootfs):
    """Writes SPEC as PATH/config.json with ROOTFS as its root, and returns PATH."""
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    spec = copy.deepcopy(spec)
    spec["root"]["path"] = str(rootfs)
    (path / "config.json").write_text(json.dumps(spec, indent="\t"))
    path.chmod(0o755)
    return path


class Adapted:
    """A configuration that runs here.  Close it when the containers are gone.

    spec      the configuration
    stripped  what strip=True took away, as sentences
    """

    def __init__(self, spec):
        self.spec = spec
        self.stripped = []
        self._holder = None

    def namespace(self, kind):
        """A path to a namespace of KIND that is not the host's; one process holds them all."""
        if not self._holder:
            self._holder = subprocess.Popen(
                ["unshare", "--net", "--ipc", "--uts", "sleep", "infinity"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            comm = pathlib.Path(f"/proc/{self._holder.pid}/comm")
            deadline = time.monotonic() + 60
            while comm.read_text().strip() != "sleep":
                if self._holder.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("cannot make namespaces to join")
                time.sleep(0.005)
        return f"/proc/{self._holder.pid}/ns/{kind}"

    def close(self):
        if self._holder:
            self._holder.kill()
            self._holder.wait()
            self._holder = None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def _stand_in(directory, number, destination):
    """A file or directory for the source of a bind mount onto DESTINATION."""
    name = os.path.basename(destination)
    path = directory / f"{number}-{name}"
    if name in FILE_NAMES or "." in name:
        path.write_text(f"a stand-in for {destination}\n")
        path.chmod(0o644)
    else:
        path.mkdir(exist_ok=True)
        path.chmod(0o1777)
    return str(path)


def _bounding_set():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    raise RuntimeError("no CapBnd in /proc/self/status")


CAPABILITY_NUMBERS = {name: number for number, name in enumerate(
    """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
    SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
    SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
    WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split())}


def _strip_process(process, stripped):
    bounding = _bounding_set()
    can_raise = bounding >> CAPABILITY_NUMBERS["SYS_RESOURCE"] & 1
    for limit in list(process.get("rlimits") or []):
        hard = resource.getrlimit(getattr(resource, limit["type"]))[1]
        above = hard != resource.RLIM_INFINITY and limit["hard"] > hard
        if above and not can_raise:
            process["rlimits"].remove(limit)
            stripped.append(f"{limit['type']} {limit['hard']} is above the hard limit {hard}")
    now = int(pathlib.Path("/proc/self/oom_score_adj").read_text())
    if process.get("oomScoreAdj") is not None and process["oomScoreAdj"] < now and not can_raise:
        stripped.append(f"oomScoreAdj {process.pop('oomScoreAdj')} is below {now}")
    for name, names in (process.get("capabilities") or {}).items():
        for capability in list(names or []):
            number = CAPABILITY_NUMBERS.get(capability.removeprefix("CAP_"))
            if number is not None and not bounding >> number & 1:
                names.remove(capability)
                stripped.append(f"{name} {capability} is not in our bounding set")


def _strip_resources(resources, stripped):
    available = set()
    for path in ("/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/unified/cgroup.controllers"):
        if os.path.exists(path):
            available = set(pathlib.Path(path).read_text().split())
            break
    for member, controller in CONTROLLERS.items():
        if not resources.get(member) or controller in available:
            continue
        value = resources.pop(member)
        stripped.append(f"{member} {json.dumps(value)}: there is no controller {controller}")
    if "cpuset" not in available:
        for member in ("cpus", "mems"):
            if (resources.get("cpu") or {}).pop(member, None) is not None:
                stripped.append(f"cpu.{member}: there is no controller cpuset")


def adapt(config, rootfs, directory, strip=False):
    """Makes CONFIG, as an engine wrote it, runnable with ROOTFS; stand-ins lie in DIRECTORY.

    Only what points at the engine is replaced: the root, the sources of bind mounts, the paths of
    namespaces, and the programs of hooks.  With STRIP, what this process may not grant goes too,
    and is listed in the result.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    spec = copy.deepcopy(config)
    adapted = Adapted(spec)
    spec["root"]["path"] = str(rootfs)
    for number, mount in enumerate(spec.get("mounts") or []):
        source = mount.get("source") or ""
        if source.startswith("/") and not source.startswith(HOST_TREES):
            mount["source"] = _stand_in(directory, number, mount["destination"])
    kinds = {"network": "net", "ipc": "ipc", "uts": "uts"}
    linux = spec.get("linux") or {}
    for namespace in linux.get("namespaces") or []:
        if namespace.get("path"):
            namespace["path"] = adapted.namespace(kinds[namespace["type"]])
    for hooks in (spec.get("hooks") or {}).values():
        for hook in hooks:
            hook["path"] = "/bin/true"
    if strip:
        _strip_process(spec["process"], adapted.stripped)
        _strip_resources(linux.get("resources") or {}, adapted.stripped)
    return adapted

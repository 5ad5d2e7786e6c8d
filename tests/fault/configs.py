"""The configurations that are tried: what their containers are, who calls the runtime, and which operations that is worth."""

import dataclasses
import pathlib
import subprocess
import time
import typing

import host as hosts
from host import bundles, cgroup_top

USER = 1000         # an ordinary one

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


def spec_terminal(host, runtime):
    """A terminal of its own."""
    spec = spec_plain(host, runtime)
    spec["process"]["terminal"] = True
    return spec


def spec_rootless(host, runtime):
    """What an ordinary user has: a user namespace of one id, and a cgroup below one that is delegated."""
    spec = bundles.default_spec(rootless=True)
    spec["linux"]["cgroupsPath"] = f"/{host.cgroup.name}/{host.name}"
    spec["linux"]["seccomp"] = SECCOMP
    return spec


def spec_systemd(host, runtime):
    """A scope unit, with a limit that systemd sets."""
    spec = spec_plain(host, runtime)
    spec["linux"]["cgroupsPath"] = f"system.slice:creel:{host.name}"
    spec["linux"]["resources"] = {"devices": spec["linux"]["resources"]["devices"], "pids": {"limit": 512}}
    return spec


@dataclasses.dataclass(frozen=True)
class Limit:
    """What `update` changes, and where that is seen."""
    file: str
    before: int
    after: int
    resources: dict


HUGETLB = Limit("hugetlb.2MB.max", 1 << 22, 1 << 23, {"hugepageLimits": [{"pageSize": "2MB", "limit": 1 << 23}]})
PIDS = Limit("pids.max", 512, 1024, {"pids": {"limit": 1024}})

BIRTHS = ("create", "run", "run-foreground", "start", "exec", "exec-detached", "kill", "delete-force")
WITH_CRIU = ("checkpoint", "restore")


@dataclasses.dataclass(frozen=True)
class Config:
    """One row of the table."""
    spec: typing.Callable
    leave_out: tuple = ()       # operations that are no others than elsewhere
    owner: int = 0              # of the root filesystem
    user: typing.Optional[int] = None
    terminal: bool = False
    options: tuple = ()         # of every command
    limit: Limit = HUGETLB
    everywhere: bool = True     # not only where systemd is process 1
    quick: tuple = ()           # the operations of a quick run, where they are not all
    passes: int = 3             # of the sweep; the third one fails further occurrences of what was failed already

    def operations(self, wanted, quick):
        """Those of WANTED that are worth it."""
        return [op for op in wanted if op not in self.leave_out and (not quick or not self.quick or op in self.quick)]


CALM = ("update", "pause", "resume", "state", "delete")
CONFIGS = {
    "plain": Config(spec_plain),
    "rich": Config(spec_rich, owner=100000),
    # Only the birth differs, and what undoes it.
    "joined": Config(spec_joined, leave_out=(*CALM, "run-foreground", "exec-detached")),
    "terminal": Config(spec_terminal, leave_out=(*CALM, "kill"), terminal=True, passes=2,
                       quick=("create", "run-foreground", "exec", "exec-detached")),
    # No controller is delegated, so that there is nothing to update.
    "rootless": Config(spec_rootless, leave_out=("update",), owner=USER, user=USER, passes=2,
                       quick=("create", "run", "start", "exec", "delete-force")),
    "systemd": Config(spec_systemd, options=("--systemd-cgroup",), limit=PIDS, everywhere=False),
}
SPECS = [name for name, config in CONFIGS.items() if config.everywhere]


def make_bundle(host, name, runtime, probe, args):
    """A bundle of the configuration NAME whose program is ARGS; returns its path."""
    config = CONFIGS[name]
    spec = config.spec(host, runtime)
    spec["process"]["args"] = list(args)
    # A rule that no other worker has: by it the BPF program is known for ours.
    if "resources" in spec["linux"]:
        spec["linux"]["resources"]["devices"].append(
            {"allow": True, "type": "c", "major": 1 + host.number % 4093, "minor": host.number // 4093 % 65536, "access": "r"})
    rootfs = host.directory / f"root-{name}" / "rootfs"
    if not rootfs.exists():
        bundles.make_rootfs(rootfs, {"/bin/probe": probe}, config.owner)
        for path in (rootfs.parent, rootfs):
            path.chmod(0o755)
    return bundles.make_bundle(host.directory / f"bundle-{name}-{args[1] if len(args) > 1 else 'all'}",
                               spec, rootfs)

"""Attacks on /proc, sysctls, cgroups, seccomp and annotations."""

import json
import os
import pathlib

import world as w
from world import attack

FAKE = ("self/attr/exec", "self/attr/apparmor/exec", "self/attr/current", "sys/kernel/hostname",
        "self/setgroups", "self/oom_score_adj", "version")


def _fake_proc(world):
    """A tree that looks like /proc, outside the root."""
    tree = world.directory / "fake"
    for name in FAKE:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("fake\n")
    return tree


def _started_with_fake(world, spec, **more):
    spec["process"]["args"] = ["/bin/busybox", "sh", "-c",
                               "echo started; cat /proc/self/attr/current /proc/version"]
    result = world.run(spec, **more)
    if "started" in result.out and "Linux version" not in result.out:
        world.hit(f"a container runs on a false /proc: {result}")


@attack("A-05", plant=w.says("started"), kind=["link", "relative", "file", "self", "dangling"])
def proc_is_a_link(world, kind):
    """A-05, A-06, A-07 (CVE-2019-19921, CVE-2023-27561): /proc of the image is no directory."""
    fake = world.rootfs / "tmp/fake"
    for name in FAKE:
        (fake / name).parent.mkdir(parents=True, exist_ok=True)
        (fake / name).write_text("fake\n")
    if kind == "file":
        world.remove(world.rootfs / "proc")
        (world.rootfs / "proc").write_text("fake\n")
    else:
        world.link("/proc", {"link": "/tmp/fake", "relative": "tmp/fake", "self": ".",
                             "dangling": "/nowhere"}[kind])
    spec = world.spec()
    spec["mounts"] = [world.proc()]
    _started_with_fake(world, spec)
    if (fake / "self/attr/exec").read_text() != "fake\n":
        world.hit("a label was written into the image")


@attack("A-06", plant=w.touches("d/x"), kind=["link", "file", "parent"])
def sys_is_a_link(world, kind):
    """A-06 (CVE-2023-27561): the same with /sys; or it lies in a link, beside what was just mounted there."""
    world.link("/sys", world.canary / "d")
    if kind == "file":
        world.link("/sys", "/tmp/f")
    place = "/sys/sys" if kind == "parent" else "/sys"
    spec = world.spec("/bin/busybox", "ls", f"{place}/kernel")
    spec["mounts"] = [{"destination": place, "type": "sysfs", "source": "sysfs",
                       "options": ["ro"]}]
    if kind == "parent":
        world.link("/sys", "/tmp")
        spec["mounts"].insert(0, {"destination": "/sys/first", "type": "tmpfs", "source": "tmpfs"})
    result = world.run(spec)
    if result.code == 0:
        world.hit(f"sysfs was mounted through a link: {result}")


@attack("A-07", plant=w.says("started"))
def proc_race(world):
    """A-07 (CVE-2023-28642): /proc flips between a directory and a link while it is mounted."""
    (world.rootfs / "other").symlink_to("/tmp/fake")
    fake = world.rootfs / "tmp/fake"
    for name in FAKE:
        (fake / name).parent.mkdir(parents=True, exist_ok=True)
        (fake / name).write_text("fake\n")
    world.exchanger(world.rootfs / "proc", world.rootfs / "other")
    spec = world.spec()
    spec["mounts"] = [world.proc()]
    spec["linux"]["sysctl"] = {"kernel.hostname": "raced"}
    spec["process"]["oomScoreAdj"] = 500
    for _ in range(100):
        _started_with_fake(world, spec)
    world.stop()
    for name in FAKE:
        if (fake / name).read_text() != "fake\n":
            world.hit(f"{name} was written in the image")


@attack("A-08", plant=w.says("started"))
def proc_link_into_volume(world):
    """A-08 (CVE-2025-54867): /proc is a link into a volume that is mounted before it."""
    world.link("/proc", "/vol")
    spec = world.spec()
    spec["mounts"] = [world.bind(_fake_proc(world), "/vol", "rw"), world.proc()]
    _started_with_fake(world, spec)


@attack("A-04", peers=("crun",), plant=w.says("started"))
def proc_is_a_bind(world):
    """A-04, W-07 (CVE-2019-16884): a volume on /proc."""
    spec = world.spec()
    spec["mounts"] = [world.bind(_fake_proc(world), "/proc", "rw")]
    _started_with_fake(world, spec)


@attack("A-04", plant=w.says("started"), path=[
    "/proc/self", "/proc/self/attr", "/proc/thread-self", "/proc/self/attr/exec", "/proc/1",
    "/proc/sys", "/proc/self/fd", "/tmp/../proc/self/attr"])
def bind_below_proc(world, path):
    """A-04, W-07: a mount below /proc that would catch labels, sysctls or descriptors."""
    fake = _fake_proc(world)
    source = fake / "self/attr/exec" if path.endswith("exec") else fake / "self"
    spec = world.spec("/bin/busybox", "echo", "started")
    spec["mounts"] = [world.proc(), world.bind(source, path, "rw")]
    result = world.run(spec)
    if "started" in result.out:
        world.hit(f"a mount on {path} was made: {result}")


@attack("A-04", plant=w.says("started"))
def proc_is_a_tmpfs(world):
    """A-04: an empty tmpfs on /proc."""
    spec = world.spec()
    spec["mounts"] = [{"destination": "/proc", "type": "tmpfs", "source": "tmpfs", "options": []}]
    _started_with_fake(world, spec)


@attack("A-04", plant=w.says("started"))
def proc_over_a_link(world):
    """A-04: /proc by another name: a mount whose destination is a link to /proc/self."""
    world.link("/p", "/proc/self/attr")
    fake = _fake_proc(world)
    spec = world.spec("/bin/busybox", "sh", "-c", "grep -q fake /proc/self/attr/exec && echo started")
    spec["mounts"] = [world.proc(), world.bind(fake / "self/attr", "/p", "rw")]
    spec["process"]["args"] = ["/bin/busybox", "sh", "-c",
                               "grep -q fake /proc/1/attr/exec && echo started"]
    if "started" in world.run(spec).out:
        world.hit("a link has led a mount over /proc/self/attr")


@attack("A-20", plant=w.says("other\n"))
def sysctl_redirected(world):
    """A-20, W-08 (CVE-2025-52881): a sysctl whose file is covered by a decoy through a link."""
    decoy = world.canary / "f"
    world.link("/s", "/proc/sys/kernel/domainname")
    spec = world.spec("/bin/busybox", "cat", "/proc/sys/kernel/domainname")
    spec["mounts"] = [world.proc(), world.bind(decoy, "/s", "rw")]
    spec["linux"]["sysctl"] = {"kernel.domainname": "right"}
    result = world.run(spec)
    if result.code == 0 and result.out not in ("right\n",) and world.secret not in result.out:
        world.hit(f"the sysctl was not set: {result}")
    # The container may read what the operator has bound over its own file.
    world.outputs = [] if not world.plant else world.outputs


@attack("A-21", plant=w.says("started"))
def label_redirected(world):
    """A-21 (CVE-2025-62596): a label's file is covered by /proc/self/sched, which takes anything."""
    world.link("/a", "/proc/self/attr/exec")
    spec = world.spec("/bin/busybox", "sh", "-c", "echo started",
                      selinuxLabel="system_u:system_r:container_t:s0")
    spec["mounts"] = [world.proc(), world.bind("/proc/self/sched", "/a", "rw")]
    result = world.run(spec)
    if "started" in result.out:
        label = pathlib.Path("/sys/fs/selinux").exists() and "container_t" in result.out
        if not label:
            world.hit(f"started without its label: {result}")


@attack("B-04", plant=w.says("started"), key=[
    "kernel.core_pattern", "kernel/../vm/overcommit_memory", "net.ipv4.../../../kernel.core_pattern",
    "net.ipv4/../../kernel/core_pattern", "/proc/sys/kernel/core_pattern", "kernel..core_pattern",
    "fs.mqueue/../suid_dumpable", "net.ipv4.ip_forward\n", "", "."])
def sysctl_keys(world, key):
    """B-04, H-15 (CVE-2022-0811): sysctl keys that reach what no namespace of the container owns."""
    value = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    spec = world.spec("/bin/busybox", "echo", "started")
    spec["linux"]["namespaces"].append({"type": "network"})
    spec["linux"]["sysctl"] = {key: value}
    spec["mounts"] = [world.proc()]
    if "started" in world.run(spec).out:
        world.hit(f"the key {key!r} was accepted")


@attack("B-13", peers={"run.oci.hooks.stdout": ("crun",), "run.oci.hooks.stderr": ("crun",)},
        plant=w.touches("new"), key=[
    "run.oci.hooks.stdout", "run.oci.hooks.stderr", "run.oci.pidfd_receiver",
    "run.oci.seccomp.receiver", "run.oci.delegate-cgroup", "run.oci.handler"])
def annotations_with_paths(world, key):
    """B-13, B-12 (CVE-2026-53488, CVE-2026-94603): annotations of an image that name host paths."""
    hook = {"path": "/bin/echo", "args": ["echo", "hello"]}
    spec = world.spec()
    spec["annotations"] = {key: str(world.canary / "new")}
    spec["hooks"] = {"prestart": [hook], "poststart": [hook], "poststop": [hook]}
    world.run(spec)


@attack("B-12", plant=w.says("started as root"))
def restore_annotation(world):
    """B-12 (CVE-2026-94603): an annotation that turned run into a restore changes nothing."""
    spec = world.spec("/bin/probe", "sections", "uid", user={"uid": 1000, "gid": 1000})
    spec["annotations"] = {"io.kubernetes.cri-o.annotations.checkpoint.name": "x",
                           "io.podman.annotations.checkpoint": "true",
                           "org.criu.checkpoint": str(world.canary)}
    result = world.run(spec)
    if '1000' not in result.out:
        world.hit(f"another process was started: {result}")


@attack("B-04", plant=w.says("started"))
def systemd_properties(world):
    """B-04 (CVE-2024-3154): systemd properties in annotations without --systemd-cgroup do nothing."""
    spec = world.spec("/bin/busybox", "cat", "/proc/self/cgroup")
    spec["annotations"] = {"org.systemd.property.ExecStart": f"['touch {world.canary}/new']",
                           "org.systemd.property.Slice": "'-.slice'"}
    spec["mounts"] = [world.proc()]
    result = world.run(spec)
    if result.code == 0 and "0::" not in result.out:
        world.hit(f"no cgroup: {result}")


@attack("A-14", plant=w.says("/sys/fs/cgroup writable"), kind=["ro", "userns"])
def cgroup_without_namespace(world, kind):
    """A-14 (CVE-2023-25809): without a cgroup namespace, the host's hierarchy must not be writable."""
    script = ("d=/sys/fs/cgroup; mkdir $d/creel-escape 2>/dev/null &&"
              "{ rmdir $d/creel-escape; echo $d writable; };"
              "echo $$ >$d/cgroup.procs 2>/dev/null && echo $d writable; true")
    spec = world.spec("/bin/busybox", "sh", "-c", script, userns=kind == "userns")
    spec["process"]["capabilities"] = {}
    spec["mounts"] = [world.proc(),
                      {"destination": "/sys", "type": "none", "source": "/sys",
                       "options": ["rbind", "ro"]} if kind == "userns" else
                      {"destination": "/sys", "type": "tmpfs", "source": "tmpfs", "options": []},
                      {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                       "options": ["ro"]}]
    result = world.run(spec)
    if "writable" in result.out:
        world.hit(f"the hierarchy of cgroups is writable: {result}")


@attack("B-05", plant=w.says("0::/"), path=[
    "/cgroup.procs/x", "/../../x", "/a/../../b", "//", "/a/./b", "/" + "n" * 300, "../x"])
def cgroup_paths(world, path):
    """B-05, A-33 (CVE-2023-6476): a cgroup that cannot be made never becomes the root cgroup."""
    spec = world.spec("/bin/busybox", "cat", "/proc/self/cgroup")
    spec["linux"]["cgroupsPath"] = path
    spec["mounts"] = [world.proc()]
    result = world.run(spec)
    lines = [line for line in result.out.splitlines() if line.startswith("0::")]
    here = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
    if result.code == 0 and (not lines or lines[0] == "0::/" or lines[0] in here):
        world.hit(f"{path!r} fell back to another cgroup: {result}")


@attack("A-33", plant=w.says("started"), key=["../../x", "2MB/../../cgroup", "2MB\n", "cgroup"])
def page_size(world, key):
    """A-33 (runc#4103): a huge page size that is a path."""
    spec = world.spec("/bin/busybox", "echo", "started")
    spec["linux"]["resources"] = {"hugepageLimits": [{"pageSize": key, "limit": 0}]}
    if "started" in world.run(spec).out:
        world.hit(f"the page size {key!r} was accepted")


@attack("A-33", plant=w.says("started"), key=["../cgroup.procs", "cgroup.procs", "/etc/x", "a/b",
                                              ".", "cgroup.kill"])
def unified_keys(world, key):
    """A-33, H-37: a key of `unified` that is a path, or that moves processes."""
    spec = world.spec("/bin/busybox", "echo", "started")
    spec["linux"]["resources"] = {"unified": {key: "1"}}
    if "started" in world.run(spec).out:
        world.hit(f"the key {key!r} was accepted")


@attack("A-33", plant=w.says("0::/a-sibling"), path=["../{}-sibling", "/../{}-sibling", "..",
                                                     "x/../../{}-sibling"])
def exec_cgroup(world, path):
    """A-33 (runc 1.5.2, crun 1.29): exec --cgroup reaches a sibling whose name begins the same."""
    with world.running() as name:
        top = w.cgroup_root()
        sibling = None
        if not world.plant and top:
            text = pathlib.Path(f"/proc/{world.pid(name)}/cgroup").read_text()
            own = [line[3:] for line in text.splitlines() if line.startswith("0::")][0]
            sibling = top / f"{own.lstrip('/')}-sibling"
            sibling.mkdir()
        result = world.command("exec", "--cgroup", path.format(own.rsplit("/", 1)[-1] if sibling
                                                               else "a"),
                               name, "/bin/busybox", "cat", "/proc/self/cgroup")
        if sibling:
            sibling.rmdir()
        if result.code == 0 and ("-sibling" in result.out or path == ".."):
            world.hit(f"another cgroup: {result}")


def _doors(world, seccomp):
    spec = world.spec("/bin/payload", "doors", noNewPrivileges=True)
    spec["linux"]["seccomp"] = seccomp
    result = world.run(spec)
    return {line.rsplit(" ", 1)[0]: int(line.rsplit(" ", 1)[1])
            for line in result.out.splitlines() if line.rsplit(" ", 1)[1].lstrip("-").isdigit()}


DENY_NETLINK = [{"names": ["socket"], "action": "SCMP_ACT_ALLOW",
                 "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_NE"}]}]
ALL = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
OPEN = w.says("socket 3\nx32 3\nsocketcall 3\ni386 socket 3\n")


def _names_but(*names):
    """Everything that the payload needs."""
    return {"names": [name for name in (
        "read", "write", "close", "execve", "execveat", "exit", "exit_group", "brk", "mmap", "mmap2",
        "munmap", "mprotect", "arch_prctl", "set_tid_address", "set_robust_list", "rseq",
        "prlimit64", "readlinkat", "readlink", "getrandom", "fstat", "newfstatat", "ioctl",
        "writev", "futex", "rt_sigaction", "rt_sigprocmask", "uname") if name not in names],
        "action": "SCMP_ACT_ALLOW"}


@attack("W-13", plant=OPEN, arches=["native", "all"])
def socketcall(world, arches):
    """W-13, B-15 (CVE-2026-123876): a denied socket family through the 32-bit multiplexer and x32."""
    if os.uname().machine != "x86_64":
        return
    doors = _doors(world, {
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "architectures": ALL if arches == "all" else ["SCMP_ARCH_X86_64"],
        "syscalls": [_names_but(), *DENY_NETLINK,
                     {"names": ["socketcall"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]})
    for door, value in doors.items():
        if value >= 0:
            world.hit(f"a socket by {door}")


@attack("B-15", plant=OPEN)
def explicit_rule_as_default(world):
    """B-15: an explicit deny that equals the default must still reach the filter."""
    if os.uname().machine != "x86_64":
        return
    doors = _doors(world, {
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ALL,
        "syscalls": [_names_but(), {"names": ["socketcall"], "action": "SCMP_ACT_ERRNO",
                                    "errnoRet": 1},
                     {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]})
    for door, value in doors.items():
        if value >= 0:
            world.hit(f"a socket by {door}")


@attack("B-15", plant=OPEN)
def denied_by_rule(world):
    """B-15: default allow with an explicit deny for each name of the call."""
    if os.uname().machine != "x86_64":
        return
    doors = _doors(world, {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ALL,
        "syscalls": [{"names": ["socket", "socketcall"], "action": "SCMP_ACT_ERRNO",
                      "errnoRet": 1}]})
    for door, value in doors.items():
        if value >= 0:
            world.hit(f"a socket by {door}")


@attack("B-15", plant=w.says(""), kind=["mode", "owner", "link"])
def cached_filter(world, kind):
    """B-15, H-45: what lies in the cache of filters under somebody's state root is not believed."""
    spec = world.spec("/bin/probe", "sections", "seccomp", noNewPrivileges=True)
    spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}
    world.run(spec)
    changed = 0
    for path in world.state.rglob("*") if not world.plant else []:
        data = path.read_bytes() if path.is_file() else b""
        # return ERRNO(1) becomes return ALLOW.
        poison = data.replace(b"\x06\0\0\0\x01\0\x05\0", b"\x06\0\0\0\0\0\xff\x7f")
        if ".cache" not in str(path) or poison == data:
            continue
        changed += 1
        path.write_bytes(poison)
        if kind == "mode":
            path.chmod(0o666)
        elif kind == "owner":
            os.chown(path, 1000, 1000)
        else:
            os.rename(path, world.directory / "poison")
            path.symlink_to(world.directory / "poison")
    if not changed and not world.plant:
        world.hit("there is no cache: the attack has attacked nothing")
    spec["process"]["args"] = ["/bin/busybox", "mkdir", "/tmp/made"]
    result = world.run(spec)
    if result.code == 0:
        world.hit(f"mkdir works after {changed} files of the cache were poisoned: {result}")


@attack("A-44", plant=w.says('{"id": "x"}'))
def ids_match_whole(world):
    """A-44 (CVE-2026-39402): an id matches another only as a whole."""
    with world.running() as name:
        if not name:
            return
        for other in (name[:-1], name + "0", name.upper(), f"../{world.state.name}/{name}",
                      f"./{name}", f"{name}/", f"{name}\n", "*", "."):
            if world.command("state", other).code == 0:
                world.hit(f"{other!r} is taken for {name!r}")
            world.command("delete", "--force", other)
        if world.command("state", name).code != 0:
            world.hit(f"{name!r} was deleted by another name")


@attack("A-44", plant=w.touches("new"), name=["../canary", "..", ".", "a/b", "a\nb", "a\u001b[2J",
                                              "", "x" * 1100, "%s%n", "é"])
def hostile_ids(world, name):
    """A-44, H-48: ids that are paths, options or terminal sequences."""
    world.write(world.spec())
    result = world.command("run", "--bundle", world.bundle, "--", name)
    if "\u001b" in result.err or "\u001b" in result.out:
        world.hit("an escape sequence reached the terminal")
    if result.code == 0 and name not in ("%s%n",):
        world.hit(f"the id {name!r} was accepted")


@attack("A-46", plant=w.says("exec'd"))
def json_documents(world):
    """A-46, H-54: documents that two readers take differently are refused, quickly."""
    base = json.dumps(world.spec("/bin/busybox", "echo", "started"))
    for text in (base + "{}", base[:-1] + ', "root": {"path": "/"}}', "\ufeff" + base,
                 base.replace('"cwd"', '"cwd": "/", "cwd"'), "[" * 100000, base[:-1],
                 base.replace("started", "\\ud800"), base.replace("started", "a\\u0000b"),
                 '{"x": ' * 5000 + "1" + "}" * 5000, base.replace('"ociVersion"', '"OCIVERSION"')):
        world.bundle.mkdir(exist_ok=True)
        (world.bundle / "config.json").write_text(text, errors="surrogatepass")
        result = world.command("run", "--bundle", world.bundle, world.name(), timeout=40)
        if result.code == 0:
            world.hit(f"a document was accepted: {text[-80:]!r}")

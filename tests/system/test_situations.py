"""Situations that users of runtimes have asked for help with: each one is made here, and whoever has only the message can name the line
of config.json to change.  Those that need controllers, AppArmor or systemd are in tests/vm/test_situations_inside.py."""

import errno
import os
import pathlib
import platform
import struct
import subprocess

import harness
import pytest
from harness import USER, cgroup_root, require_controller, require_program
from situations import ENGINES, told

SUPPORT = pathlib.Path(harness.__file__).parent
SYSCALLS = {"x86_64": {"bpf": 321, "mount_setattr": 442, "keyctl": 250},
            "aarch64": {"bpf": 280, "mount_setattr": 442, "keyctl": 219}}


def changed(creel, change, *args, **more):
    """A bundle whose SPEC was altered by CHANGE."""
    bundle = creel.bundle(*(args or ("/bin/probe", "true")), **more)
    change(bundle.spec)
    return bundle.write()


def failed(creel, bundle, *options, command="run", **more):
    """The result of a command that fails, which leaves nothing behind."""
    result = creel.run(command, "--bundle", bundle.path, *options, creel.id(), log=True, **more)
    assert result.code != 0, str(result)
    left = os.listdir(creel.root) if creel.root.exists() else []
    assert [name for name in left if not name.startswith(".")] == []    # the cache of filters stays
    return result


def add_mount(spec, destination, source, *options, kind="none", **more):
    """Appends a mount; returns its pointer."""
    spec["mounts"].append({"destination": destination, "source": str(source), "type": kind,
                           "options": list(options), **more})
    return f"/mounts/{len(spec['mounts']) - 1}"


def without_gid(spec):
    """The group of terminals is not mapped where only root is."""
    spec["mounts"][2]["options"].remove("gid=5")


def namespace_pointer(spec, kind):
    """The entry of linux.namespaces of KIND."""
    kinds = [entry["type"] for entry in spec["linux"]["namespaces"]]
    return f"/linux/namespaces/{kinds.index(kind)}"


def script(text):
    """Words that run TEXT in a shell, and what follows them as "$@" in it."""
    return ["sh", "-c", text, "sh"]


@pytest.fixture
def no_syscall(creel):
    """Has creel run where one system call fails."""
    def deny(name, errnum):
        numbers = SYSCALLS.get(platform.machine()) or pytest.skip("unknown machine")
        creel.prefix = ["/usr/bin/python3", str(SUPPORT / "deny.py"), str(numbers[name]),
                        str(errnum)]
    return deny


@pytest.fixture
def cgroup(creel):
    """Makes cgroups of the test, and removes them."""
    made = []

    def make(path):
        directory = cgroup_root() / path.lstrip("/")
        for part in (*reversed(directory.relative_to(cgroup_root()).parents), None):
            at = directory if part is None else cgroup_root() / part
            if not at.exists():
                at.mkdir()
                made.append(at)
        return directory
    if not cgroup_root():
        pytest.skip("needs cgroup version 2")
    yield make
    for directory in reversed(made):
        directory.rmdir()


# 1: any early death of the first process

def test_01_too_many_namespaces(creel):
    require_program("unshare")
    bundle = creel.bundle("/bin/probe", "true", userns=False)
    creel.prefix = ["unshare", "--user", "--map-root-user", "--mount",
                    *script('echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"')]
    del bundle.spec["linux"]["resources"]
    pointer = namespace_pointer(bundle.spec, "network")
    result = failed(creel, bundle.write())
    told(result, 5301, "cannot make a new network namespace", "user.max_net_namespaces is 0",
         pointer=pointer, bundle=bundle)


def test_01_too_many_user_namespaces(creel):
    """The stage makes it, and not the parent."""
    bundle = creel.bundle("/bin/probe", "true", userns=True)
    creel.prefix = ["unshare", "--user", "--map-root-user", "--mount",
                    *script('echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"')]
    del bundle.spec["linux"]["resources"]
    for name in ("uidMappings", "gidMappings"):
        bundle.spec["linux"][name] = [{"containerID": 0, "hostID": 0, "size": 1}]
    without_gid(bundle.spec)
    result = failed(creel, bundle.write())
    told(result, 5301, "cannot make a new user namespace", "user.max_user_namespaces is 0",
         pointer=namespace_pointer(bundle.spec, "user"), bundle=bundle)


@pytest.mark.parametrize("action,code,words,pointer", [
    ("SCMP_ACT_KILL_PROCESS", 5600, ["was killed by SIGSYS"], "/linux/seccomp"),
    ("SCMP_ACT_ERRNO", 5408, ["bounding set"], "/process/capabilities/bounding")])
def test_01_a_filter_that_stops_the_setup(creel, action, code, words, pointer):
    """Without noNewPrivileges it is in force before the setup has ended."""
    bundle = creel.bundle("/bin/probe", "true", noNewPrivileges=False)
    bundle.spec["linux"]["seccomp"] = {"defaultAction": action, "syscalls": [
        {"names": ["write", "sendmsg", "sendto", "exit_group", "futex", "execve", "close"],
         "action": "SCMP_ACT_ALLOW"}]}
    record = told(failed(creel, bundle.write()), code, *words, pointer=pointer, bundle=bundle,
                  engines=["operation not permitted"] if code == 5408 else [])
    assert "seccomp filter" in record["hint"], record


# 2, 3: a sysctl that something outside denies or covers

def test_03_a_covered_proc(creel):
    bundle = changed(creel, lambda s: s["linux"].update(
        sysctl={"net.ipv4.ip_unprivileged_port_start": "0"}))
    creel.prefix = ["unshare", "--mount", *script(
        'mount -t tmpfs none /proc/sys/net && exec "$@"')]
    told(failed(creel, bundle), 5108, "/proc/sys/net is covered by another mount",
         "net.ipv4.ip_unprivileged_port_start",
         pointer="/linux/sysctl/net.ipv4.ip_unprivileged_port_start", bundle=bundle)


# 4: the key quota, which has nothing to do with disks

def test_04_key_quota(creel):
    """The container runs, and the warning says whose quota it is."""
    uid = 54321
    creel.prefix = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups",
                    "/usr/bin/python3", "-c", KEYS]
    creel.root = creel.directory / "user-state"
    creel.root.mkdir(mode=0o700)
    os.chown(creel.root, uid, uid)
    os.chown(creel.directory, uid, uid)
    bundle = creel.bundle("/bin/probe", "true", rootless=True)
    for name in ("uidMappings", "gidMappings"):
        bundle.spec["linux"][name][0]["hostID"] = uid
    os.chown(bundle.rootfs, uid, uid)
    result = creel.run_bundle(bundle.write())
    assert result.code == 0, str(result)
    line = next(line for line in result.err.splitlines() if "keyring" in line)
    assert f"uid {uid} has used up its key quota (" in line and "kernel.keys.maxkeys" in line, line
    assert not any(phrase in line.lower() for phrase in ENGINES), line


KEYS = """
import ctypes, os, platform, sys
libc = ctypes.CDLL(None, use_errno=True)
add_key = {"x86_64": 248, "aarch64": 217}[platform.machine()]
keyctl = {"x86_64": 250, "aarch64": 219}[platform.machine()]
libc.syscall(keyctl, 1, None)
for i in range(100000):
    if libc.syscall(add_key, b"user", b"creel-test-%d" % i, b"x", 1, -3) < 0:
        break
os.execvp(sys.argv[1], sys.argv[1:])
"""


# 5: systemd cannot be reached

def test_05_no_systemd(creel):
    if os.path.exists("/run/systemd/system"):
        pytest.skip("systemd runs here")
    bundle = creel.bundle("/bin/probe", "true")
    creel.options = ["--systemd-cgroup"]
    record = told(failed(creel, bundle), 3004, "systemd")
    assert "--systemd-cgroup" in record["hint"]


# 6, 7, 8: controllers, delegation, processes in the way

def limit_hugetlb(spec, path):
    """A limit of the one controller that every host has in version 2."""
    sizes = sorted(name.split("-")[1] for name in os.listdir("/sys/kernel/mm/hugepages"))
    size = {"2048kB": "2MB", "1048576kB": "1GB"}.get(sizes[-1]) or pytest.skip("no huge pages")
    spec["linux"]["resources"]["hugepageLimits"] = [{"pageSize": size, "limit": 0}]
    spec["linux"]["cgroupsPath"] = path


def test_06_a_process_keeps_a_controller_away(creel, cgroup):
    require_controller("hugetlb")
    path = f"/creel-busy-{os.getpid()}"
    parent = cgroup(path)
    bundle = changed(creel, lambda s: limit_hugetlb(s, path + "/web"))
    with subprocess.Popen(["sleep", "100"]) as sleeper:
        (parent / "cgroup.procs").write_text(str(sleeper.pid))
        result = failed(creel, bundle)
        sleeper.kill()
    record = told(result, 5202, "cannot enable the cgroup controller hugetlb", path,
                  pointer="/linux/resources/hugepageLimits/0", bundle=bundle)
    assert f"{sleeper.pid}" in record["hint"] and "sleep" in record["hint"], record


@pytest.mark.parametrize("member,value,controller", [
    ("cpu", {"cpus": "0"}, "cpuset"), ("memory", {"limit": 1 << 26}, "memory"),
    ("pids", {"limit": 10}, "pids"), ("blockIO", {"weight": 100}, "io")])
def test_07_a_controller_that_is_not_there(creel, member, value, controller):
    if controller in (cgroup_root() / "cgroup.controllers").read_text().split():
        pytest.skip(f"this host has {controller}")
    bundle = changed(creel, lambda s: s["linux"]["resources"].update({member: value}))
    pointer = f"/linux/resources/{member}/{next(iter(value))}"
    record = told(failed(creel, bundle), 3001, controller, pointer=pointer, bundle=bundle)
    assert "cgroup version 1" in record["hint"] or "Delegate" in record["hint"]


def test_08_exec_beside_inner_cgroups(creel, cgroup):
    """The container made cgroups and enabled a controller for them: exec joins its first process."""
    require_controller("hugetlb")
    path = f"/creel-inner-{os.getpid()}"
    cgroup(path)
    bundle = creel.bundle("/bin/probe", "sleep")
    limit_hugetlb(bundle.spec, path + "/web")
    with creel.running(bundle.write()) as name:
        web = cgroup_root() / path.lstrip("/") / "web"
        (web / "inner").mkdir()
        (web / "inner/cgroup.procs").write_text(str(creel.state(name)["pid"]))
        (web / "cgroup.subtree_control").write_text("+hugetlb")
        result = creel.ok("exec", name, "/bin/busybox", "cat", "/proc/self/cgroup")
        assert result.out.splitlines()[-1].endswith("/inner"), result.out


# 9: a limit above the hard limit

def test_09_rlimit_above_the_hard_limit(creel):
    creel.prefix = ["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource",
                    "prlimit", "--nproc=1000:1000"]
    bundle = changed(creel, lambda s: s["process"]["rlimits"].append(
        {"type": "RLIMIT_NPROC", "soft": 1001, "hard": 1001}))
    told(failed(creel, bundle), 5401, "RLIMIT_NPROC", "1001", "the hard limit of the caller is 1000",
         pointer="/process/rlimits/1", bundle=bundle, engines=["operation not permitted"])


# 10: the kernel refuses a new procfs

def test_10_an_overmounted_proc(creel):
    creel.prefix = ["unshare", "--mount", *script(
        "mount -t tmpfs none /proc/tty && "
        'exec unshare --user --map-root-user --mount "$@"')]
    bundle = creel.bundle("/bin/probe", "true")
    del bundle.spec["linux"]["resources"]
    result = failed(creel, bundle.write())
    record = told(result, 5104, "cannot mount proc at /proc",
                  "the /proc that creel sees is covered at /proc/tty", pointer="/mounts/0",
                  bundle=bundle, engines=["operation not permitted"])
    assert "bind" in record["hint"], record


# 12: hooks

def hooked(creel, kind, text, **more):
    """A bundle with one hook, a script on the host."""
    path = creel.directory / f"hook-{creel.number()}"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    bundle = creel.bundle("/bin/probe", "true")
    bundle.spec["hooks"] = {kind: [{"path": str(path), **more}]}
    return bundle.write(), path


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_12_a_hook_that_fails(creel, kind):
    bundle, path = hooked(creel, kind, "echo 'nvidia-container-cli: initialization error' >&2\n"
                                       "exit 3\n")
    told(failed(creel, bundle), 5501, f"{kind} hook #0", str(path), "exit status 3 after ", " ms",
         "nvidia-container-cli: initialization error", pointer=f"/hooks/{kind}/0", bundle=bundle)


def test_12_a_hook_that_hangs(creel):
    bundle, path = hooked(creel, "createRuntime", "echo waiting; sleep 100\n", timeout=3)
    told(failed(creel, bundle), 5502, str(path), "timeout of 3 s", "waiting",
         pointer="/hooks/createRuntime/0", bundle=bundle)


def test_12_a_hook_that_is_missing(creel):
    bundle, path = hooked(creel, "createRuntime", "")
    path.unlink()
    record = told(failed(creel, bundle), 5503, "createRuntime hook #0", f"cannot execute `{path}`",
                  pointer="/hooks/createRuntime/0/path", bundle=bundle,
                  engines=["no such file or directory"])
    assert "on the host" in record["hint"]


# 14: no room for a process

def test_14_no_room_for_a_process(creel):
    creel.prefix = ["setpriv", "--reuid", "54322", "--regid", "54322", "--clear-groups",
                    "prlimit", "--nproc=1:1"]
    creel.root = creel.directory / "user-state"
    creel.root.mkdir(mode=0o700)
    os.chown(creel.root, 54322, 54322)
    os.chown(creel.directory, 54322, 54322)
    bundle = creel.bundle("/bin/probe", "true", rootless=True)
    for name in ("uidMappings", "gidMappings"):
        bundle.spec["linux"][name][0]["hostID"] = 54322
    record = told(failed(creel, bundle.write()), 5207, "cannot start a process",
                  "resource temporarily unavailable")
    assert "RLIMIT_NPROC is 1" in record["hint"]


# 15: no library of the host is needed to start

def test_15_a_foreign_libseccomp(creel):
    """What a symbol lookup error would be in a runtime that loads it."""
    (creel.directory / "libseccomp.so.2").write_text("not a library")
    bundle = changed(creel, lambda s: s["linux"].update(
        seccomp={"defaultAction": "SCMP_ACT_ALLOW"}))
    result = creel.run_bundle(bundle, env={"LD_LIBRARY_PATH": creel.directory})
    assert (result.code, result.err) == (0, ""), str(result)


# 16: device rules that the kernel or an outer container refuses

def test_16_no_bpf(creel, no_syscall):
    if not cgroup_root():
        pytest.skip("needs cgroup version 2")
    bundle = creel.bundle("/bin/probe", "true")
    no_syscall("bpf", errno.EPERM)
    record = told(failed(creel, bundle), 3010, "device rules",
                  pointer="/linux/resources/devices", bundle=bundle,
                  engines=["operation not permitted"])
    assert record["syscall"] == "bpf" and "CAP_BPF" in record["hint"]


# 17: a filesystem without id-mapped mounts

IDMAPPED = {name: [{"containerID": 0, "hostID": 1000, "size": 1}]
            for name in ("uidMappings", "gidMappings")}


def test_17_a_filesystem_without_id_maps(creel):
    bundle = creel.bundle("/bin/probe", "true")
    pointer = add_mount(bundle.spec, "/mnt", "/sys/kernel", "bind", "idmap", **IDMAPPED)
    result = failed(creel, bundle.write())
    record = told(result, 3007, "/sys/kernel", "sysfs", pointer=pointer, bundle=bundle)
    assert record["syscall"] == "mount_setattr" and record["errno"] == errno.EINVAL


def test_17_a_kernel_without_mount_setattr(creel, no_syscall):
    bundle = creel.bundle("/bin/probe", "true")
    pointer = add_mount(bundle.spec, "/mnt", "/tmp", "bind", "idmap", **IDMAPPED)
    no_syscall("mount_setattr", errno.ENOSYS)
    record = told(failed(creel, bundle.write()), 3008, "function not implemented",
                  pointer=pointer, bundle=bundle)
    assert record["syscall"] == "mount_setattr" and "Linux 5.12" in record["hint"]


# 18: locked flags

def test_18_a_locked_flag(creel):
    source = creel.directory / "locked"
    source.mkdir()
    creel.prefix = ["unshare", "--mount", *script(
        f"mount -t tmpfs -o ro,nodev none {source} && "
        'exec unshare --user --map-root-user --mount "$@"')]
    bundle = creel.bundle("/bin/probe", "true")
    del bundle.spec["linux"]["resources"]
    without_gid(bundle.spec)
    pointer = add_mount(bundle.spec, "/mnt", source, "bind", "rw")
    record = told(failed(creel, bundle.write()), 5103, "locked flags ro", "/mnt", pointer=pointer + "/options",
                  bundle=bundle, engines=["operation not permitted"])
    assert "add to the options: ro" in record["hint"]


# 19: a directory where a file should be

def test_19_a_directory_onto_a_file(creel):
    """The file on the host was missing, and the engine made a directory."""
    source = creel.directory / "app.conf"
    source.mkdir()
    bundle = creel.bundle("/bin/probe", "true")
    (bundle.rootfs / "etc/app.conf").write_text("")
    pointer = add_mount(bundle.spec, "/etc/app.conf", source, "bind")
    told(failed(creel, bundle.write()), 5102, str(source), "/etc/app.conf", "not a directory",
         pointer=pointer, bundle=bundle)


def test_19_a_file_onto_a_directory(creel):
    source = creel.directory / "app.conf"
    source.write_text("")
    bundle = creel.bundle("/bin/probe", "true")
    pointer = add_mount(bundle.spec, "/etc", source, "bind")
    told(failed(creel, bundle.write()), 5102, str(source), "/etc", "not a directory",
         pointer=pointer, bundle=bundle)


def test_19_a_source_that_is_missing(creel):
    bundle = creel.bundle("/bin/probe", "true")
    pointer = add_mount(bundle.spec, "/mnt", "/nonexistent/data", "bind")
    record = told(failed(creel, bundle.write()), 5101, "/nonexistent/data", "/mnt",
                  pointer=pointer + "/source", bundle=bundle,
                  engines=["no such file or directory"])
    assert "on the host" in record["hint"]


# 20: what cannot be executed

def elf(machine, loader=None):
    """The smallest program for MACHINE that the kernel looks into."""
    header = struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 2, machine, 1, 0x400078,
                         64, 0, 0, 64, 56, 2 if loader else 1, 0, 0, 0)
    name = (loader or "").encode() + b"\0"
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 0x100, 0x100, 0x1000)
    interp = struct.pack("<IIQQQQQQ", 3, 4, 64 + 112, 0, 0, len(name), len(name), 1)
    return header + (interp + load + name if loader else load) + bytes(256)


MACHINE = {"x86_64": 62, "aarch64": 183, "riscv64": 243, "s390x": 22}
OTHER = 243 if platform.machine() != "riscv64" else 183
OTHER_NAME = {243: "riscv", 183: "aarch64"}[OTHER]
NOT_FOUND = ["no such file or directory"]

PROGRAMS = [
    # name, content, mode, code, words, engines
    ("interpreter", b"#!/bin/bash -e\n", 0o755, 5005, ["interpreter is missing: /bin/bash"],
     NOT_FOUND),
    ("crlf", b"#!/bin/sh\r\necho hello\r\n", 0o755, 5006,
     ["carriage return", "Windows line ends", '"/bin/sh\\r"'], NOT_FOUND),
    ("loader", lambda: elf(MACHINE[platform.machine()], "/lib/ld-musl-none.so.1"), 0o755, 5007,
     ["dynamic loader is missing: /lib/ld-musl-none.so.1"], NOT_FOUND),
    ("machine", lambda: elf(OTHER), 0o755, 5008, [f"built for {OTHER_NAME}", "exec format error"],
     []),
    ("text", b"echo hello\n", 0o755, 5009, ["neither a program nor a script", "exec format error"],
     []),
    ("empty", b"", 0o755, 5009, ["it is empty", "exec format error"], []),
    ("bom", b"\xef\xbb\xbf#!/bin/sh\n", 0o755, 5009, ["byte order mark", "exec format error"], []),
    ("wasm", b"\0asm\1\0\0\0", 0o755, 5009, ["WebAssembly", "exec format error"], []),
    ("mode", b"#!/bin/sh\n", 0o644, 5003, [], ["permission denied"]),
    ("closed", b"#!/etc/passwd\n", 0o755, 5011, ["interpreter cannot be executed: /etc/passwd"],
     ["permission denied"]),
]


@pytest.mark.parametrize("name,content,mode,code,words,engines", PROGRAMS,
                         ids=[row[0] for row in PROGRAMS])
def test_20_what_cannot_be_executed(creel, name, content, mode, code, words, engines):
    if name == "machine" and os.path.exists(f"/proc/sys/fs/binfmt_misc/qemu-{OTHER_NAME}64"):
        pytest.skip("an emulator is registered")
    bundle = creel.bundle(f"/app/{name}")
    (bundle.rootfs / "app").mkdir()
    path = bundle.rootfs / "app" / name
    path.write_bytes(content() if callable(content) else content)
    path.chmod(mode)
    record = told(failed(creel, bundle.write()), code, f"/app/{name}", *words,
                  pointer="/process/args/0", bundle=bundle, engines=engines)
    assert code < 5005 or record["syscall"] == "execve"


@pytest.mark.parametrize("program,code,words,engines", [
    ("nosuch", 5001, ['exec: "nosuch"', "$PATH"], ["executable file not found"]),
    ("/bin/nosuch", 5002, ['exec: "/bin/nosuch"'], NOT_FOUND),
    ("/bin", 5004, ['exec: "/bin"'], ["is a directory", "permission denied"]),
    ("/dev/null", 5003, ['exec: "/dev/null"'], ["permission denied"]),
])
def test_20_what_is_not_found(creel, program, code, words, engines):
    bundle = creel.bundle(program)
    told(failed(creel, bundle, command="create"), code, *words, pointer="/process/args/0",
         bundle=bundle, engines=engines)


def test_20_a_noexec_mount(creel):
    """The line to change is that of the mount's options."""
    source = creel.directory / "bin"
    source.mkdir()
    (source / "tool").write_text("#!/bin/sh\n")
    (source / "tool").chmod(0o755)
    bundle = creel.bundle("/mnt/tool")
    (bundle.rootfs / "mnt").mkdir(exist_ok=True)
    pointer = add_mount(bundle.spec, "/mnt", source, "bind", "noexec")
    told(failed(creel, bundle.write()), 5010, "/mnt/tool", "the mount at /mnt is noexec",
         pointer=pointer + "/options", bundle=bundle, engines=["permission denied"])


# 21: what is no failure of the program must not look like one

def test_21_a_cgroup_file_that_the_kernel_does_not_have(creel):
    require_controller("hugetlb")
    bundle = changed(creel, lambda s: s["linux"]["resources"].update(
        unified={"hugetlb.nothing": "1"}))
    told(failed(creel, bundle), 3002, "hugetlb.nothing",
         pointer="/linux/resources/unified/hugetlb.nothing", bundle=bundle)


def test_21_a_working_directory_that_is_gone(creel):
    bundle = creel.bundle("/bin/probe", "true")
    gone = creel.directory / "gone"
    gone.mkdir()
    creel.prefix = script(f'rmdir {gone} && exec "$@"')
    result = creel.run_bundle(bundle, cwd=gone)
    assert result.code == 0, str(result)
    gone.mkdir()
    result = creel.run("run", creel.id(), cwd=gone, log=True)
    told(result, 5109, "the bundle", engines=["no such file or directory"])


# 22: versions of the specification

def test_22_a_later_minor_version_is_accepted(creel):
    bundle = changed(creel, lambda s: s.update(ociVersion="1.99.0"))
    result = creel.run_bundle(bundle)
    assert result.code == 0 and "1.99.0" in result.err, str(result)


def test_22_another_major_version(creel):
    bundle = changed(creel, lambda s: s.update(ociVersion="2.0.0"))
    told(failed(creel, bundle), 2007, "2.0.0", "1.0.0", pointer="/ociVersion", bundle=bundle)


# 23: the time namespace

def test_23_a_time_namespace(creel):
    bundle = changed(creel, lambda s: s["linux"]["namespaces"].append({"type": "time"}))
    result = creel.run_bundle(bundle)
    assert (result.code, result.err) == (0, ""), str(result)


# 24: a sysctl made of gids

def test_24_ping_group_range(creel):
    bundle = creel.bundle("/bin/probe", "true", userns=True)
    bundle.spec["linux"]["sysctl"] = {"net.ipv4.ping_group_range": "0 2147483647"}
    record = told(failed(creel, bundle.write()), 2012, "gid 2147483647 is not mapped",
                  pointer="/linux/sysctl/net.ipv4.ping_group_range", bundle=bundle)
    assert "0 to 65535" in record["hint"]
    bundle.spec["linux"]["sysctl"] = {"net.ipv4.ping_group_range": "0 65535"}
    assert creel.run_bundle(bundle.write()).code == 0


# 25: ids that the user may not map

def test_25_no_range_of_subordinate_ids(creel):
    require_program("newuidmap")
    uid = 54323
    creel.prefix = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
    creel.root = creel.directory / "user-state"
    creel.root.mkdir(mode=0o700)
    os.chown(creel.root, uid, uid)
    os.chown(creel.directory, uid, uid)
    bundle = creel.bundle("/bin/probe", "true", rootless=True)
    for name in ("uidMappings", "gidMappings"):
        bundle.spec["linux"][name] = [{"containerID": 0, "hostID": uid, "size": 1},
                                      {"containerID": 1, "hostID": 500000, "size": 65536}]
    record = told(failed(creel, bundle.write()), 5303, "newuidmap", pointer="/linux/uidMappings",
                  bundle=bundle, engines=["operation not permitted"])
    assert "/etc/subuid" in record["hint"], record


# 26: a cgroup that somebody else uses

def test_26_a_cgroup_with_processes(creel, cgroup):
    path = f"/creel-stale-{os.getpid()}"
    directory = cgroup(path)
    bundle = changed(creel, lambda s: s["linux"].update(cgroupsPath=path))
    with subprocess.Popen(["sleep", "100"]) as sleeper:
        (directory / "cgroup.procs").write_text(str(sleeper.pid))
        result = failed(creel, bundle)
        sleeper.kill()
    record = told(result, 4006, "cgroup is not empty: 1 process(es) found",
                  pointer="/linux/cgroupsPath", bundle=bundle)
    assert f"{sleeper.pid}" in record["hint"] and "sleep" in record["hint"], record


# 28: no further cgroups

def test_28_no_room_for_a_cgroup(creel, cgroup):
    path = f"/creel-full-{os.getpid()}"
    parent = cgroup(path)
    (parent / "cgroup.max.descendants").write_text("0")
    bundle = changed(creel, lambda s: s["linux"].update(cgroupsPath=path + "/web"))
    told(failed(creel, bundle), 5201, f"cgroup.max.descendants of the cgroup {path} is 0",
         pointer="/linux/cgroupsPath", bundle=bundle)


# 29: the probe of engines

@pytest.mark.parametrize("env", [
    {}, {"XDG_RUNTIME_DIR": "/nonexistent"}, {"HOME": None, "PATH": None},
    {"NOTIFY_SOCKET": "/nonexistent/x", "LISTEN_FDS": "99"}])
def test_29_version_never_fails(creel, env):
    for prefix in ([], ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups"],
                   ["unshare", "--user"]):
        creel.prefix = prefix
        creel.options = ["--root", "/nonexistent/root"]
        result = creel.run("--version", env=env, root=False)
        assert (result.code, result.err) == (0, ""), str(result)
        assert result.out.startswith("creel version ")


# What is misspelt

def warned(creel, bundle):
    """What creel says about a bundle that runs."""
    result = creel.run_bundle(bundle.write())
    assert result.code == 0, str(result)
    return result.err


def test_did_you_mean_a_member(creel):
    bundle = creel.bundle("/bin/probe", "true")
    bundle.spec["process"]["noNewPriviliges"] = True
    bundle.spec["linux"]["maskedpaths"] = []
    text = warned(creel, bundle)
    assert 'unknown member "noNewPriviliges" at /process is ignored; did you mean ' \
        '"noNewPrivileges"?' in text, text
    assert 'unknown member "maskedpaths" at /linux is ignored; did you mean "maskedPaths"?' in text


def test_no_guess_about_what_is_far_from_all(creel):
    bundle = creel.bundle("/bin/probe", "true")
    bundle.spec["process"]["com.example.something"] = True
    assert warned(creel, bundle) == ""


def test_did_you_mean_a_capability(creel):
    bundle = creel.bundle("/bin/probe", "true")
    bundle.spec["process"]["capabilities"]["bounding"].append("CAP_SYS_ADMN")
    text = warned(creel, bundle)
    assert "capabilities: [CAP_SYS_ADMN]" in text
    assert "there is no capability CAP_SYS_ADMN; did you mean CAP_SYS_ADMIN?" in text


@pytest.mark.parametrize("kind,source,options,option,meant", [
    ("tmpfs", "tmpfs", ["sise=1m"], 0, "size"), ("tmpfs", "tmpfs", ["nosuid", "modde=755"], 1, "mode"),
    ("tmpfs", "tmpfs", ["nosiud"], 0, "nosuid")])
def test_did_you_mean_an_option_of_a_filesystem(creel, kind, source, options, option, meant):
    """The kernel's own words are in the message."""
    bundle = creel.bundle("/bin/probe", "true")
    pointer = add_mount(bundle.spec, "/mnt", source, *options, kind=kind)
    record = told(failed(creel, bundle.write()), 5105, f'option "{options[option]}"',
                  "Unknown parameter", pointer=f"{pointer}/options/{option}", bundle=bundle)
    assert record["hint"] == f'did you mean "{meant}"?'
    assert record["syscall"] == "fsconfig"


def test_did_you_mean_an_option_of_a_bind(creel):
    bundle = creel.bundle("/bin/probe", "true")
    pointer = add_mount(bundle.spec, "/mnt", "/tmp", "bind", "noexce")
    record = told(failed(creel, bundle.write()), 2021, '"noexce"', pointer=f"{pointer}/options/1",
                  bundle=bundle)
    assert record["hint"] == 'did you mean "noexec"?'


def test_a_value_that_a_filesystem_refuses(creel):
    bundle = creel.bundle("/bin/probe", "true")
    pointer = add_mount(bundle.spec, "/mnt", "tmpfs", "size=much", kind="tmpfs")
    record = told(failed(creel, bundle.write()), 5105, "Bad value for 'size'",
                  pointer=f"{pointer}/options/0", bundle=bundle)
    assert "hint" not in record


def test_a_filesystem_that_the_kernel_does_not_have(creel):
    bundle = creel.bundle("/bin/probe", "true")
    pointer = add_mount(bundle.spec, "/mnt", "x", kind="tmpsf")
    record = told(failed(creel, bundle.write()), 3012, "tmpsf", "no such filesystem",
                  pointer=pointer, bundle=bundle)
    assert "/proc/filesystems" in record["hint"]


@pytest.mark.parametrize("words,code,hint", [
    (["strat", "x"], 1001, "did you mean start?"),
    (["run", "--bundel", "x", "y"], 1002, "did you mean --bundle?"),
    (["--rot", "x", "list"], 1002, "did you mean --root?"),
    (["--log-format", "jsn", "list"], 1003, "did you mean json?"),
    (["start"], 1004, "usage: creel start ID"),
    (["kill", "nosuch", "TREM"], 1006, 'did you mean "TERM"?'),
    (["create", "a/b"], 1007, "letters")])
def test_words_of_the_command_line(creel, words, code, hint):
    result = creel.run("--log", creel.directory / "log", "--log-format", "json", *words)
    assert result.code == 1, str(result)
    assert f"[CRL-{code}]" in result.err.splitlines()[0], result.err
    assert hint in result.err, result.err


OTHERS = [
    # what is wrong, code, words, pointer, phrases of engines
    (lambda s: s["process"].update(cwd="/etc/passwd"), 5012, ["working directory"], "/process/cwd",
     []),
    (lambda s: add_mount(s, "/bin/probe/x", "tmpfs", kind="tmpfs"), 5106, ["/bin/probe/x"],
     "/mounts/7", []),
    (lambda s: s["linux"].update(netDevices={"nosuch0": {}}), 5305, ["nosuch0", "no such device"],
     "/linux/netDevices/nosuch0", []),
    (lambda s: s["linux"].update(seccomp={
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/nonexistent/socket",
        "syscalls": [{"names": ["getcwd"], "action": "SCMP_ACT_NOTIFY"}]}), 5406,
     ["agent", "/nonexistent/socket"], "/linux/seccomp/listenerPath", NOT_FOUND),
    (lambda s: s["linux"]["namespaces"][1].update(path="/proc/self/ns/uts"), 5302,
     ["/proc/self/ns/uts", "uts namespace, not a network namespace"], "/linux/namespaces/1/path",
     []),
    (lambda s: s["linux"].update(sysctl={"net.ipv4.nothing": "1"}), 5403, ["net.ipv4.nothing"],
     "/linux/sysctl/net.ipv4.nothing", NOT_FOUND),
    (lambda s: s["linux"].update(sysctl={"net.ipv4.ip_forward": "much"}), 5402,
     ["net.ipv4.ip_forward", "much"], "/linux/sysctl/net.ipv4.ip_forward", []),
    (lambda s: s["linux"].update(sysctl={"vm.swappiness": "1"}), 2020, ["vm.swappiness"],
     "/linux/sysctl/vm.swappiness", []),
    (lambda s: s["process"].update(user={"uid": "0", "gid": 0}), 2002,
     ["expected a number, found a string"], "/process/user/uid", []),
    (lambda s: s["linux"]["namespaces"][0].update(type="pdi"), 2003, ['"pdi"'],
     "/linux/namespaces/0/type", []),
    (lambda s: s["process"].update(oomScoreAdj=2000), 2004, ["-1000 to 1000"],
     "/process/oomScoreAdj", []),
    (lambda s: s["process"].pop("cwd"), 2005, ['"cwd" is missing'], "/process/cwd", []),
    (lambda s: s["linux"]["namespaces"].pop(3), 2010, ["UTS namespace"], "/hostname", []),
    (lambda s: s["linux"]["namespaces"].append({"type": "user"}), 2011, ["user namespaces"],
     "/linux/uidMappings", []),
    (lambda s: s["linux"]["namespaces"].append({"type": "pid"}), 2015, ["twice"],
     "/linux/namespaces/6/type", []),
    (lambda s: add_mount(s, "/proc/sys", "/tmp", "bind"), 2022, ["inside /proc"],
     "/mounts/7/destination", []),
    (lambda s: s["process"]["rlimits"][0].update(soft=4096), 2025, ["above the hard limit"],
     "/process/rlimits/0/soft", []),
    (lambda s: s["process"]["env"].append("NONSENSE"), 2026, ["missing '='"], "/process/env/2", []),
    (lambda s: s["linux"].update(cgroupsPath="/a/../b"), 2027, ['".."'], "/linux/cgroupsPath", []),
]


def test_the_record_names_the_system_call(creel):
    """code, pointer, file, line, errno, syscall and hint: the parts of the message for machines."""
    bundle = creel.bundle("/bin/probe", "true")
    add_mount(bundle.spec, "/mnt", "/nonexistent/data", "bind")
    record = failed(creel, bundle.write()).error
    assert {"level", "msg", "time", "code", "pointer", "file", "line", "errno", "syscall",
            "hint"} == set(record), record
    assert (record["errno"], record["syscall"]) == (errno.ENOENT, "open_tree")


@pytest.mark.parametrize("change,code,words,pointer,engines", OTHERS,
                         ids=[str(row[1]) for row in OTHERS])
def test_other_situations(creel, change, code, words, pointer, engines):
    bundle = changed(creel, change)
    told(failed(creel, bundle), code, *words, pointer=pointer, bundle=bundle, engines=engines)


def test_a_root_that_is_not_there(creel):
    bundle = creel.bundle("/bin/probe", "true")
    bundle.rootfs.rename(f"{bundle.rootfs}-elsewhere")
    told(failed(creel, bundle), 5107, str(bundle.rootfs), pointer="/root/path", bundle=bundle,
         engines=NOT_FOUND)


@pytest.mark.parametrize("text,code,line", [
    ('{"a": 1,\n}', 2001, 2), ("{", 2001, 1), ('{\n"a": 1,\n"a": 2}', 2006, 3)])
def test_documents_that_are_none(creel, text, code, line):
    bundle = creel.bundle("/bin/probe", "true").write_text(text)
    record = failed(creel, bundle).error
    assert (record["code"], record["line"]) == (f"CRL-{code}", line), record


def test_states_have_codes(creel):
    told(creel.run("state", "nosuch", log=True), 4001, "container does not exist: nosuch",
         engines=["does not exist"])
    with creel.running() as name:
        told(creel.run("create", "--bundle", creel.bundle("/bin/true").path, name, log=True), 4002,
             "container with given ID already exists")
        told(creel.run("start", name, log=True), 4004, "already running")
        creel.ok("kill", name, "KILL")
        creel.wait_status(name, "stopped")
        told(creel.run("kill", name, "TERM", log=True), 4003, "container not running",
             engines=["container not running"])


def test_a_bundle_that_is_not_there(creel):
    record = told(creel.run("create", "--bundle", "/nonexistent/bundle", creel.id(), log=True),
                  5109, "/nonexistent/bundle", engines=["no such file or directory"])
    assert record["errno"] == errno.ENOENT
    empty = creel.directory / "empty"
    empty.mkdir()
    record = told(creel.run("create", "--bundle", empty, creel.id(), log=True), 5109,
                  "config.json", engines=["no such file or directory"])
    assert "creel spec" in record["hint"]


def test_exec_names_the_document_that_is_meant(creel):
    """The command line is no document; a process file is one, and config.json is not it."""
    with creel.running() as name:
        told(creel.run("exec", name, "nosuch", log=True), 5001, 'exec: "nosuch"',
             engines=["executable file not found"])
        told(creel.run("exec", "--cwd", "/nonexistent", name, "/bin/probe", "true", log=True), 5012,
             "chdir to `/nonexistent`", engines=["no such file or directory"])
        file = creel.directory / "process.json"
        file.write_text('{\n"cwd": "/",\n"user": {"uid": 0, "gid": 0},\n'
                        '"args": [\n"nosuch"]}\n')
        record = creel.run("exec", "--process", file, name, log=True).error
        assert (record["file"], record["line"], record["pointer"]) == (str(file), 5, "/args/0")
        assert f"({file}:5 /args/0)" in record["msg"]
        file.write_text('{\n"cwd": "/",\n"user": {"uid": 0,\n "gid": 0,\n'
                        ' "additionalGids": [-1]},\n"args": ["/bin/probe"]}\n')
        record = creel.run("exec", "--process", file, name, log=True).error
        assert (record["file"], record["line"], record["pointer"]) == (
            str(file), 5, "/user/additionalGids/0")

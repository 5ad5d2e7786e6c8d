"""Attacks with paths: links, missing things and races in the root filesystem and in shared volumes."""

import contextlib
import os
import select
import socket
import subprocess
import time

import world as w
from world import attack

TMPFS = {"type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]}
BOTH = ("runc", "crun")


def _escaping(world, spec, **more):
    """Runs SPEC and does not care how that ends: the oracles decide."""
    return world.run(spec, **more)


@attack("W-01", peers={"absolute": BOTH, "relative": BOTH, "dot": ()}, plant=w.touches("new"),
        kind=["absolute", "relative", "dot"])
def dev_link(world, kind):
    """W-01, A-22, A-23 (CVE-2026-41579, CVE-2026-47766): /dev of the image is a link out of it."""
    world.link("/dev", {"absolute": world.canary, "relative": "../../canary", "dot": "."}[kind])
    _escaping(world, world.spec())


@attack("A-22", peers=BOTH)
def dev_link_create_start(world):
    """A-22: the same with create, start and delete, which take other ways than run."""
    world.link("/dev", world.canary)
    with world.running(world.spec("/bin/probe", "sleep")):
        pass


@attack("A-23", peers=BOTH)
def dev_link_readonly(world):
    """A-23: the same with a read-only root, whose devices are made by another path in crun."""
    world.link("/dev", world.canary)
    spec = world.spec()
    spec["root"]["readonly"] = True
    _escaping(world, spec)


@attack("A-22", plant=w.touches("new"))
def dev_link_userns(world):
    """A-22: the same in a user namespace, where device nodes are bind mounts."""
    os.chmod(world.canary, 0o777)
    spec = world.spec(userns=True)
    world.link("/dev", world.canary)
    _escaping(world, spec)


@attack("A-22", plant=w.touches("shm"))
def dev_link_with_tmpfs(world):
    """A-22: /dev is a link and the configuration mounts a tmpfs on it, then devpts below."""
    world.link("/dev", world.canary)
    spec = world.spec()
    spec["mounts"] = [{"destination": "/dev", **TMPFS},
                      {"destination": "/dev/shm", **TMPFS}]
    _escaping(world, spec)


@attack("W-02", peers={"writable": ("crun",), "readonly": ("crun",)}, root=["writable", "readonly"])
def console_link(world, root):
    """W-02, A-27 (CVE-2026-88264): /dev/console of the image is a link to a path of the host."""
    world.link("/dev/console", world.canary / "new")
    spec = world.spec("/bin/busybox", "true", terminal=True)
    spec["root"]["readonly"] = root == "readonly"
    with w.Console(world.directory / "console.sock") as console:
        name, result = world.create(spec, "--console-socket", console.path)
        if result.code == 0:
            os.close(console.receive() or os.open("/", os.O_RDONLY))
            world.command("start", name)
        world.delete(name)


@attack("W-03", peers={"pipe": BOTH, "file": ("crun",), "socket": ("crun",)},
        plant=w.touches("f", "hello"), stream=["pipe", "file", "socket"])
def null_link_and_streams(world, stream):
    """W-03, A-28 (CVE-2026-88265): /dev/null is a link to a volume, and streams are no devices."""
    os.chmod(world.canary / "f", 0o600)
    world.link("/dev/null", "/vol/f")
    spec = world.spec("/bin/busybox", "echo", "hello", user={"uid": 1000, "gid": 1000})
    spec["mounts"] = [world.proc(), world.bind(world.canary, "/vol", "rw")]
    world.write(spec)
    if stream == "file":
        world.run()
        return
    ours, theirs = os.pipe() if stream == "pipe" else (s.detach() for s in socket.socketpair())
    world.run(stdout=theirs)
    os.close(theirs)
    world.outputs.append(os.read(ours, 4096).decode(errors="replace"))
    os.close(ours)


@attack("W-03", plant=w.touches())
def null_link_and_closed_streams(world):
    """W-03, A-28: the same with all standard streams closed, which a runtime opens by itself."""
    os.chmod(world.canary / "f", 0o600)
    world.link("/dev/null", "/vol/f")
    spec = world.spec("/bin/busybox", "true", user={"uid": 1000, "gid": 1000})
    spec["mounts"] = [world.bind(world.canary, "/vol", "rw")]
    _escaping(world, spec, preexec=lambda: os.closerange(0, 3))


@attack("W-04", peers=("runc",))
def mask_source(world):
    """W-04, A-17 (CVE-2025-31133): the file that masks is the image's own /dev/null, a link."""
    world.link("/dev/null", "/proc/sys/kernel/hostname")
    (world.rootfs / "tmp/m").write_text("masked\n")
    spec = world.spec("/bin/busybox", "sh", "-c",
                      "exec >/tmp/out; echo owned >/tmp/m; cat /proc/sys/kernel/hostname")
    spec["mounts"] = [world.proc()]
    spec["linux"]["maskedPaths"] = ["/tmp/m"]
    _escaping(world, spec)
    out = world.rootfs / "tmp/out"
    if out.exists() and "owned" in out.read_text():
        world.hit("O5: a write to a masked file has set the host name")


@attack("A-17", plant=w.says("uncovered"))
def mask_without_null(world):
    """A-17: /dev/null is missing or a regular file; the mask must be there all the same."""
    (world.rootfs / "tmp/m").write_text("uncovered\n")
    (world.rootfs / "dev/null").write_text("uncovered\n")
    spec = world.spec("/bin/busybox", "cat", "/tmp/m")
    spec["linux"]["maskedPaths"] = ["/tmp/m"]
    result = world.run(spec)
    if "uncovered" in result.out:
        world.hit("a masked file can be read")


@attack("A-17", plant=w.says("uncovered"))
def mask_through_link(world):
    """A-17: the masked path is reached through links of the image, also absolute ones."""
    (world.rootfs / "tmp/real").mkdir()
    (world.rootfs / "tmp/real/m").write_text("uncovered\n")
    world.link("/tmp/one", "/tmp/real")
    world.link("/tmp/two", "../../../tmp/one")
    spec = world.spec("/bin/busybox", "sh", "-c", "cat /tmp/two/m /tmp/real/m")
    spec["linux"]["maskedPaths"] = ["/tmp/two/m"]
    if "uncovered" in world.run(spec).out:
        world.hit("a masked file can be read")


@attack("A-18", plant=w.touches("f", "owned"))
def mask_race(world):
    """A-18 (CVE-2025-62161): /dev/null of the image is exchanged with a link while masks are made."""
    (world.rootfs / "dev/null").write_text("x")
    (world.rootfs / "dev/other").symlink_to("/vol/f")
    (world.rootfs / "tmp/m").write_text("uncovered\n")
    spec = world.spec("/bin/busybox", "sh", "-c", "echo owned >/tmp/m; cat /tmp/m")
    spec["mounts"] = [world.bind(world.canary, "/vol", "rw")]
    spec["linux"]["maskedPaths"] = ["/tmp/m"]
    spec["linux"]["readonlyPaths"] = ["/vol"]
    world.exchanger(world.rootfs / "dev/null", world.rootfs / "dev/other")
    world.write(spec)
    for _ in range(100):
        if "uncovered" in world.run().out:
            world.hit("a masked file can be read")


@attack("A-16", plant=w.touches("new/file"), depth=[1, 2, 3, 4, 5, 6])
def mountpoint_through_link(world, depth):
    """A-16, A-56 (CVE-2024-45310, bubblewrap): a parent of a missing mount point is a link out."""
    parts = [f"d{i}" for i in range(1, 7)]
    world.link("/".join(parts[:depth]), world.canary)
    spec = world.spec()
    spec["mounts"] = [{"destination": "/" + "/".join(parts), **TMPFS},
                      world.bind("/proc/version", "/" + "/".join([*parts[:-1], "file"]))]
    _escaping(world, spec)


@attack("A-16", plant=w.touches("d4/new"), depth=[1, 3, 5])
def mountpoint_race(world, depth):
    """A-16 (CVE-2024-45310): the same while a neighbour exchanges the parent with a link."""
    parts = [f"d{i}" for i in range(1, 7)]
    real = world.rootfs / "/".join(parts[:depth])
    real.mkdir(parents=True)
    other = world.rootfs / "other"
    other.symlink_to(world.canary)
    spec = world.spec()
    spec["mounts"] = [{"destination": "/" + "/".join(parts), **TMPFS},
                      world.bind("/proc/version", "/" + "/".join([*parts[:-1], "file"]))]
    world.exchanger(real, other)
    world.write(spec)
    for _ in range(120):
        _escaping(world, None)


@attack("W-09", plant=w.both(w.mounts_there, w.leaks_secret))
def mount_race(world):
    """W-09, A-09 (CVE-2021-30465): a neighbour exchanges directories of the volume we mount into."""
    volume = world.directory / "volume"
    (volume / "a/b/c").mkdir(parents=True)
    (volume / "host").mkdir()
    for i, real in enumerate(("a", "a/b", "a/b/c")):
        link = volume / f"link{i}"
        link.symlink_to(world.canary if i else "/")
        world.exchanger(volume / real, link)
    spec = world.spec("/bin/busybox", "sh", "-c",
                      f"cat /v/a/b/c/*/secret /v/a/b/secret /v/a/secret /v{world.canary}/secret;"
                      f"cat {world.canary}/secret /v/host/secret; true")
    spec["mounts"] = [world.bind(volume, "/v", "rw"),
                      {"destination": "/v/a/b/c/d", **TMPFS},
                      world.bind(volume / "host", "/v/a/b/c/e", "rw")]
    world.write(spec)
    for _ in range(150):
        world.run()


@attack("W-09", plant=w.leaks_secret)
def source_in_volume(world):
    """W-09, A-09: the second mount's source lies where the first one's destination was attacked."""
    volume = world.directory / "volume"
    (volume / "x").mkdir(parents=True)
    (volume / "x/marker").write_text("volume\n")
    other = volume / "y"
    other.symlink_to(world.canary)
    world.link("/v", world.canary)
    spec = world.spec("/bin/busybox", "sh", "-c", "cat /w/secret /v/secret /v/x/secret; true")
    spec["mounts"] = [world.bind(volume, "/v", "rw"), world.bind(volume / "x", "/v/y", "rw")]
    _escaping(world, spec)


@attack("A-32", plant=w.touches("new"), target=["absolute", "relative", "magic", "dangling"])
def bind_target_link(world, target):
    """A-32 (CVE-2019-18837): the target of a bind mount is itself a link out of the root."""
    world.link("/t", {"absolute": world.canary / "f", "relative": "../../canary/f",
                      "magic": "/proc/self/root/t", "dangling": world.canary / "new"}[target])
    spec = world.spec()
    spec["mounts"] = [world.proc(), world.bind("/proc/version", "/t")]
    _escaping(world, spec)


@attack("A-32", plant=w.touches("new"), destination=["/../../canary/new", "/tmp/../../../canary/x",
                                                    "tmp/../../../canary/y"])
def destination_dots(world, destination):
    """A-32: a destination with `..` that would climb out when it was joined as text."""
    spec = world.spec()
    spec["mounts"] = [{"destination": destination, **TMPFS}]
    _escaping(world, spec)


@attack("A-32", plant=w.leaks_secret, target=["absolute", "relative"])
def copyup_link(world, target):
    """A-32: tmpcopyup takes what is in the image, and there is a link to the host there."""
    link = world.canary if target == "absolute" else "../../canary"
    world.link("/data", link)
    world.link("/more/inside", link)
    spec = world.spec("/bin/busybox", "sh", "-c",
                      "cat /data/secret /more/inside/secret; ls -lR /data /more; cat /data/*; true")
    spec["mounts"] = [{"destination": path, "type": "tmpfs", "source": "tmpfs",
                       "options": ["tmpcopyup"]} for path in ("/data", "/more")]
    _escaping(world, spec)


@attack("A-56", plant=w.touches("node"), path=["/d/node", "/../../canary/node", "/d/../d/node"])
def device_through_link(world, path):
    """A-56: a device of the configuration lies behind a link of the image."""
    world.link("/d", world.canary)
    spec = world.spec()
    spec["linux"]["devices"] = [{"path": path, "type": "c", "major": 1, "minor": 5,
                                 "fileMode": 438, "uid": 0, "gid": 0}]
    _escaping(world, spec)


@attack("A-30", plant=w.touches("etc-hosts"))
def nothing_is_written(world):
    """A-30 (CVE-2025-24965): whatever a runtime could write into an image is a link to the host."""
    for name in ("etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/mtab", ".krun_config.json",
                 "run/notify", "run/.containerenv", ".dockerenv", "etc/passwd", "etc/group"):
        world.link(name, world.canary / name.replace("/", "-"))
    spec = world.spec()
    spec["mounts"] = [world.proc()]
    _escaping(world, spec, env={**os.environ, "NOTIFY_SOCKET": "/run/notify"})


@attack("B-09", plant=w.touches("mtab"))
def mtab_link(world):
    """B-09 (CVE-2024-5154): /etc/mtab behind a link with `..` is made on the host by an engine."""
    world.link("/etc", "../../canary")
    world.link("/dev/fd", world.canary / "fd")
    world.link("/dev/stdin", world.canary / "stdin")
    _escaping(world, world.spec())


@attack("W-11", plant=w.says("/ writable"), call=["mount_setattr", "older"])
def readonly_remount(world, call):
    """W-11, A-26 (CVE-2026-115521): the image's /proc/self/fd leads a read-only remount astray."""
    (world.rootfs / "proc/self/fd").mkdir(parents=True)
    for number in range(3, 64):
        (world.rootfs / f"proc/self/fd/{number}").symlink_to("/mnt")
    spec = world.spec("/bin/payload", "writable", "/", "/ro", "/tmp", "/mnt")
    spec["root"]["readonly"] = True
    spec["mounts"] = [{"destination": "/mnt", **TMPFS},
                      world.bind(world.canary, "/ro", "ro")]
    deny = w.deny(442) if call == "older" else None
    result = _escaping(world, spec, preexec=deny)
    for path in ("/ ", "/ro ", "/tmp "):
        if f"{path}writable" in result.out:
            world.hit(f"{path}is writable")


@attack("A-33", plant=w.touches("f", "recursive"))
def recursive_bind_with_namespaces(world):
    """A-33 (crun#2262): a recursive bind whose tree has pinned namespaces must fail or be right."""
    tree = world.directory / "tree"
    (tree / "d").mkdir(parents=True)
    (tree / "d/right").write_text("right\n")
    (tree / "pin").write_text("")
    if not world.plant:
        subprocess.run(["unshare", "--uts", "true"], check=True)
        w.mount("/proc/self/ns/uts", tree / "pin", None, 0x1000)
    spec = world.spec("/bin/busybox", "cat", "/t/d/right")
    spec["mounts"] = [world.bind(tree, "/t", "rbind", "rw")]
    result = _escaping(world, spec)
    if result.code == 0 and result.out != "right\n":
        world.hit(f"another tree was mounted: {result}")


@attack("A-33", peers=("runc",), plant=w.mounts_there)
def no_mount_namespace(world):
    """A-33: without a mount namespace, a runtime that changes propagation changes the host's."""
    spec = world.spec()
    spec["linux"]["namespaces"] = [{"type": "pid"}]
    del spec["hostname"]
    world.write(spec)
    shared = world.canary / "d"
    world.before = None
    if not world.plant:
        w.mount("none", "/", None, 1 << 20)
        w.mount("shared", shared, "tmpfs")
    try:
        world.run()
        found = world.check(leaks=False)
    finally:
        if not world.plant:
            w.mount("none", "/", None, 0x40000 | 0x4000)
            w.unmount(shared)
    world.found += found
    world.before = None


@attack("A-52", plant=w.touches("tmp.x"))
def temporary_directory(world):
    """A-52 (CVE-2019-12439): TMPDIR is the attacker's; nothing may be made there."""
    _escaping(world, world.spec(), env={**os.environ, "TMPDIR": str(world.canary), "TMP": "/tmp"})


@attack("A-54", plant=w.leaks_secret, option=["src-nofollow"])
def source_is_a_link(world, option):
    """A-54 (CVE-2024-42472): the source is a link that the sandboxed program made."""
    source = world.directory / "source"
    source.symlink_to(world.canary)
    spec = world.spec("/bin/busybox", "cat", "/t/secret")
    spec["mounts"] = [world.bind(source, "/t", option)]
    _escaping(world, spec)


@attack("B-03", plant=w.leaks_secret)
def source_by_descriptor(world):
    """B-03 (CVE-2021-25741): an engine passes /proc/self/fd/N; the path behind it is exchanged."""
    volume = world.directory / "volume"
    (volume / "right").mkdir(parents=True)
    (volume / "right/marker").write_text("right\n")
    fd = os.open(volume / "right", os.O_PATH | os.O_DIRECTORY)
    os.rename(volume / "right", volume / "moved")
    (volume / "right").symlink_to(world.canary)
    spec = world.spec("/bin/busybox", "sh", "-c", "cat /t/marker /t/secret")
    spec["mounts"] = [world.bind(f"/proc/self/fd/{fd}", "/t", "rw")]
    result = _escaping(world, spec, fds=(fd,))
    os.close(fd)
    if result.code == 0 and "right" not in result.out:
        world.hit(f"another tree was mounted: {result}")


@attack("A-09", plant=w.touches("f", "x"))
def file_over_directory_race(world):
    """A-09: while a container starts, a mount point flips between file, directory and link."""
    (world.rootfs / "p").mkdir()
    (world.rootfs / "q").symlink_to(world.canary / "f")
    spec = world.spec()
    spec["mounts"] = [world.bind("/proc/version", "/p/version"),
                      world.bind("/proc/version", "/q"), {"destination": "/p", **TMPFS}]
    world.exchanger(world.rootfs / "p", world.rootfs / "q")
    world.write(spec)
    for _ in range(100):
        world.run()


@attack("A-19", plant=w.touches("f", "x"))
def pts_links(world):
    """A-19 (CVE-2025-52565): /dev/pts/N are links to a file of the host, and no devpts is mounted."""
    (world.rootfs / "dev/pts").mkdir()
    for number in range(10):
        world.link(f"/dev/pts/{number}", "/vol/f")
    world.link("/dev/ptmx", "/vol/f")
    world.link("/dev/pts/ptmx", "/vol/f")
    spec = world.spec("/bin/busybox", "sh", "-c", "echo owned >/dev/console; echo owned",
                      terminal=True)
    spec["mounts"] = [world.bind(world.canary, "/vol", "rw")]
    with w.Console(world.directory / "console.sock") as console:
        name, result = world.create(spec, "--console-socket", console.path)
        if result.code == 0:
            master = console.receive()
            world.command("start", name)
            time.sleep(0.05)
            with contextlib.suppress(OSError, TypeError):
                os.close(master)
        world.delete(name)


def read_until_hangup(master, seconds=30):
    """What a terminal prints until nobody has it open any more, which is when read() fails with EIO."""
    text = b""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline:
            if select.select([master], [], [], 1)[0]:
                text += os.read(master, 4096)
    return text.decode()


@attack("A-19", plant=w.says('{"tty": [null]}'))
def console_is_a_terminal(world):
    """A-19: /dev/console is a pty of the container's own devpts, the same as its streams."""
    spec = world.spec("/bin/busybox", "sh", "-c",
                      "stat -c '%F %t:%T' /dev/console; stat -L -c '%F %t:%T' /proc/self/fd/0",
                      terminal=True)
    spec["mounts"] = [world.proc(), {"destination": "/dev", **TMPFS},
                      {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                       "options": ["newinstance", "ptmxmode=0666", "mode=0620"]}]
    text = ""
    with w.Console(world.directory / "console.sock") as console:
        name, result = world.create(spec, "--console-socket", console.path)
        if result.code == 0 and not world.plant:
            master = console.receive()
            world.command("start", name)
            text = read_until_hangup(master)
            os.close(master)
        world.delete(name)
    lines = text.split("\r\n")
    if len(lines) < 2 or lines[0] != lines[1] or "character special file 88:" not in lines[0]:
        world.hit(f"/dev/console is not the terminal: {text!r}")

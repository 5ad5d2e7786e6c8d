"""T8: root filesystems that are programs.  What FUSE serves may change its answers between two lookups, lie about types, hang,
and fail in every way; the server here speaks the kernel's protocol itself (linux/fuse.h)."""

import contextlib
import errno
import os
import pathlib
import signal
import stat
import struct
import time

import world as w

LOOKUP, FORGET, GETATTR, READLINK, OPEN, READ, STATFS, RELEASE = 1, 2, 3, 5, 14, 15, 17, 18
LISTXATTR, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, INTERRUPT = 23, 25, 26, 27, 28, 29, 36
BATCH_FORGET, LSEEK = 42, 46
SILENT = (FORGET, BATCH_FORGET, INTERRUPT)


class Server:
    """Serves a copy of a directory, with what SUBVERT(server, opcode, path, facts) makes of the answers.  Paths are those in it."""

    def __init__(self, source, subvert):
        self.source, self.subvert = str(source), subvert
        self.paths, self.numbers, self.count = {1: ""}, {"": 1}, {}

    def number(self, path):
        """The node of a path."""
        if path not in self.numbers:
            self.numbers[path] = len(self.numbers) + 1
            self.paths[self.numbers[path]] = path
        return self.numbers[path]

    def seen(self, path):
        """How often PATH was asked for before."""
        self.count[path] = self.count.get(path, -1) + 1
        return self.count[path]

    def attributes(self, path, facts):
        """struct fuse_attr."""
        info = os.lstat(self.source + path)
        mode, size = facts.get("mode", info.st_mode), facts.get("size", info.st_size)
        return struct.pack("6Q10I", self.number(path), size, (size + 511) // 512, 0, 0, 0, 0, 0, 0, mode, 1, info.st_uid,
                           info.st_gid, facts.get("device", info.st_rdev), 4096, 0)

    def names(self, path, facts):
        """The entries of a directory as struct fuse_dirent."""
        out = b""
        for at, name in enumerate(facts.get("names", [os.fsencode(n) for n in sorted(os.listdir(self.source + path))])):
            out += struct.pack("QQII", 2 + at, at + 1, len(name), stat.S_IFDIR >> 12 if facts.get("directories") else 0)
            out += name + bytes(-len(name) % 8)
        return out

    def answer(self, opcode, path, body):
        """The bytes of an answer; OSError is one too."""
        facts = self.subvert(self, opcode, path) or {}
        if opcode == LOOKUP:
            return struct.pack("QQQQII", self.number(path), 0, 0, 0, 0, 0) + self.attributes(path, facts)
        if opcode == GETATTR:
            return struct.pack("QII", 0, 0, 0) + self.attributes(path, facts)
        if opcode == READLINK:
            return facts.get("link") or os.fsencode(os.readlink(self.source + path))
        if opcode in (OPEN, OPENDIR):
            return struct.pack("QII", 0, 0, 0)
        if opcode == READ:
            _, offset, size = struct.unpack_from("QQI", body)
            if "size" in facts:
                return b"x" * size
            with open(self.source + path, "rb") as file:
                return os.pread(file.fileno(), size, offset)
        if opcode == READDIR:
            _, offset, size = struct.unpack_from("QQI", body)
            return b"" if offset else self.names(path, facts)[:size]
        if opcode == STATFS:
            return struct.pack("5Q4I24x", 1000, 0, 0, 1000, 0, 4096, 255, 4096, 0)
        if opcode == LSEEK:
            return struct.pack("Q", facts["offset"])
        if opcode in (RELEASE, RELEASEDIR, FLUSH):
            return b""
        raise OSError(errno.ENOSYS, "")

    def serve(self, device):
        """Answers until the mount is gone."""
        while True:
            request = os.read(device, 1 << 18)
            _, opcode, unique, node = struct.unpack_from("IIQQ", request)
            body = request[40:]
            if opcode in SILENT:
                continue
            error, data = 0, b""
            if opcode == INIT:
                data = struct.pack("IIIIHHIIHHI28x", 7, 31, 65536, 0, 16, 12, 65536, 1, 16, 0, 0)
            else:
                path = self.paths[node]
                if opcode == LOOKUP:
                    path += "/" + os.fsdecode(body.rstrip(b"\0"))
                try:
                    data = self.answer(opcode, path, body)
                except OSError as failure:
                    error = -failure.errno
            with contextlib.suppress(OSError):      # ENOENT: who asked is gone
                os.write(device, struct.pack("IiQ", 16 + len(data), error, unique) + data)


@contextlib.contextmanager
def served(world, subvert):
    """The root filesystem of WORLD comes from a server while the block lasts."""
    source = world.directory / "image"
    world.rootfs.rename(source)
    world.rootfs.mkdir()
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    w.mount("hostile", world.rootfs, "fuse", 0,
            f"fd={device},rootmode=40755,user_id=0,group_id=0,allow_other")
    child = os.fork()
    if child == 0:
        try:
            Server(source, subvert).serve(device)
        finally:
            os._exit(0)
    os.close(device)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        w.unmount(world.rootfs)


def spec_of(world):
    """Mounts, masks, a device and a copied directory: what makes a runtime look into its root."""
    spec = world.spec("/bin/busybox", "echo", "hello", cwd="/m")
    spec["mounts"] = [world.proc(),
                      {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
                      {"destination": "/m/a", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "size=1m"]},
                      world.bind(world.canary / "d", "/m/d", "ro")]
    spec["linux"]["maskedPaths"] = ["/m/f"]
    spec["linux"]["readonlyPaths"] = ["/m/e"]
    for name in ("a", "d", "e"):
        (world.rootfs / "m" / name).mkdir(parents=True)
    (world.rootfs / "m/f").write_text("f\n")
    (world.rootfs / "m/a/g").write_text("g\n" * 4096)
    return spec


def honest(server, opcode, path):
    """A filesystem like any other."""
    if opcode == LSEEK:
        raise OSError(errno.ENOSYS, "")


LED = ("/dev", "/proc", "/m", "/m/a", "/m/d", "/m/e", "/m/f", "/bin", "/bin/busybox", "/sys", "/etc", "/etc/passwd")


def swap(server, opcode, path):
    """Every second lookup finds a link to the canary."""
    honest(server, opcode, path)
    canary = os.fsencode(pathlib.Path(server.source).parent / "canary/d")
    if opcode == LOOKUP and path in LED and server.seen(path) % 2:
        return {"mode": stat.S_IFLNK | 0o777, "size": len(canary)}
    if opcode == READLINK and path in LED:
        return {"link": canary}
    return None


def links(server, opcode, path):
    """Links to the canary from the second lookup on."""
    honest(server, opcode, path)
    canary = os.fsencode(pathlib.Path(server.source).parent / "canary")
    if opcode == LOOKUP and path in LED and server.seen(path):
        return {"mode": stat.S_IFLNK | 0o777, "size": len(canary)}
    if opcode in (GETATTR, READLINK) and path in LED and server.count.get(path):
        return {"mode": stat.S_IFLNK | 0o777, "link": canary}
    return None


def types(server, opcode, path):
    """A device by one question, a FIFO by the next, then a socket."""
    honest(server, opcode, path)
    kinds = (stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFBLK, stat.S_IFREG)
    if opcode in (LOOKUP, GETATTR) and path in LED[2:8] and (times := server.seen(path)):
        return {"mode": kinds[times % len(kinds)] | 0o666, "device": 0x0103}
    return None


def errors(server, opcode, path):
    """Every third answer is an error, of every kind."""
    honest(server, opcode, path)
    kinds = (errno.EIO, errno.ESTALE, errno.ELOOP, errno.ENAMETOOLONG, errno.EAGAIN, errno.EINTR, errno.ENOTCONN, errno.EDQUOT,
             errno.ENODEV, errno.ETXTBSY)
    times = server.seen("")
    if times % 3 == 2:
        raise OSError(kinds[times // 3 % len(kinds)], "")


def holes(server, opcode, path):
    """A file of data that has no end, whose holes are where one was."""
    if opcode == LSEEK:
        return {"offset": 0}
    return None


def endless(server, opcode, path):
    """A file of an exabyte."""
    if opcode == LSEEK:
        return {"offset": 1 << 60 if server.seen(path) % 2 else 0}
    if path == "/m/a/g" and opcode in (LOOKUP, GETATTR, READ):
        return {"size": 1 << 60}
    return None


def names(server, opcode, path):
    """Directories whose entries are no names."""
    honest(server, opcode, path)
    if opcode == READDIR:
        return {"names": [b"..", b".", b"g", b"g", b"../../canary/f", b"/etc", b"x" * 255, b"\n\x1b[31m", b"g\0h", b""]}
    return None


def deep(server, opcode, path):
    """Directories in directories, for ever."""
    honest(server, opcode, path)
    if path.startswith("/m/a/"):
        server.number(path)
        os.makedirs(server.source + path, exist_ok=True) if opcode == LOOKUP and path.count("/") < 300 else None
    if opcode == READDIR and path.startswith("/m/a"):
        return {"names": [b"n"], "directories": True}
    return None


@w.attack("T8", plant=w.touches("d/f"), how=["swap", "links", "types", "errors", "holes", "endless", "names", "deep"])
def hostile_filesystem(world, how):
    """T8 (CVE-2021-30465, CVE-2025-31133): the root filesystem is a program that lies and fails."""
    spec = spec_of(world)
    world.arm()
    with served(world, globals()[how]) if not world.plant else contextlib.nullcontext():
        for _ in range(3):
            result = world.run(spec, options=("--timeout", "30"))
            if "did not answer" in result.err:
                world.hit(f"O7: work without an end: {result}")


def hang(server, opcode, path):
    """No answer, for ever."""
    honest(server, opcode, path)
    if path == server.where:
        time.sleep(3600)


# Two deadlines of ten seconds each, for the process and for its cgroup, after that of the command line.
PATIENCE = 50


@w.attack("T8", plant=w.says("hello"))
def hanging_filesystem(world):
    """T8: a root filesystem that does not answer, so that its init cannot even be killed, holds nobody else."""
    spec = spec_of(world)
    world.arm()
    name = world.name()
    world.write(spec)
    with served(world, _hang_at("/m")) if not world.plant else contextlib.nullcontext():
        start = time.monotonic()
        result = world.command("run", "--bundle", world.bundle, name, options=("--timeout", "2"))
        if time.monotonic() - start > PATIENCE:
            world.hit(f"O7: {time.monotonic() - start:.0f} seconds")
        if result.code == 0:
            world.hit("it ran without its root filesystem")
    # When it has ended it can be deleted.
    world.delete(name)


def _hang_at(where):
    def subvert(server, opcode, path):
        server.where = where
        return hang(server, opcode, path)
    return subvert

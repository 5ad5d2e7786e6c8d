"""A FUSE filesystem by the kernel's protocol (linux/fuse.h), that serves a directory until something happens to it: at the N-th
request it loses its server, fails, fills up, loses what was not synced (a power cut), or has a server that stops."""

import contextlib
import errno
import mmap
import os
import pathlib
import re
import signal
import stat
import struct
import subprocess
import traceback

LOOKUP, FORGET, GETATTR, SETATTR, READLINK, SYMLINK, MKNOD, MKDIR, UNLINK, RMDIR, RENAME = 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12
OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR = 14, 15, 16, 17, 18, 20, 25, 26, 27, 28, 29
FSYNCDIR, CREATE, INTERRUPT, BATCH_FORGET, RENAME2 = 30, 35, 36, 42, 45
SILENT = (FORGET, BATCH_FORGET, INTERRUPT)
NEEDS_ROOM = (MKNOD, MKDIR, SYMLINK, CREATE, WRITE)
NEVER = (1 << 64) - 1
KINDS = ("dies", "fails", "fills up", "power cut", "stops")
DIES, FAILS, FILLS_UP, POWER_CUT, STOPS = range(5)
DIRECT = 1      # FOPEN_DIRECT_IO: what is read is what the server has, and it is asked each time
WORDS = 64      # where in the plan the server tells what WATCH has found


class Server:
    """Serves a directory, until the fault that the harness has put into PLAN: requests so far, the fatal one, the kind.  Before each
    request WATCH(source) may say what is wrong with the directory."""

    def __init__(self, source, plan, flags=DIRECT, watch=None):
        self.source, self.plan, self.flags, self.watch = str(source), plan, flags, watch
        self.paths, self.numbers = {1: ""}, {"": 1}
        self.unsynced = set()

    def number(self, path):
        """The node of a path."""
        if path not in self.numbers:
            number = max(self.paths) + 1
            self.numbers[path], self.paths[number] = number, path
        return self.numbers[path]

    def moved(self, old, new):
        """After a rename: the nodes below OLD are below NEW."""
        self.numbers.pop(new, None)
        for path, number in list(self.numbers.items()):
            if path == old or path.startswith(old + "/"):
                del self.numbers[path]
                self.numbers[new + path[len(old):]] = number
                self.paths[number] = new + path[len(old):]

    def attributes(self, path):
        """struct fuse_attr."""
        info = os.lstat(self.source + path)
        return struct.pack("6Q10I", self.number(path), info.st_size, info.st_blocks, int(info.st_atime), int(info.st_mtime),
                           int(info.st_ctime), 0, 0, 0, info.st_mode, info.st_nlink, info.st_uid, info.st_gid, info.st_rdev, 4096, 0)

    def entry(self, path):
        """struct fuse_entry_out."""
        attributes = self.attributes(path)
        return struct.pack("QQQQII", self.number(path), 0, 0, 0, 0, 0) + attributes

    def set_attributes(self, path, body):
        valid, = struct.unpack_from("I", body)
        size, = struct.unpack_from("Q", body, 16)
        mode, _, uid, gid = struct.unpack_from("4I", body, 68)
        if valid & 8:
            os.truncate(self.source + path, size)
        if valid & 1:
            os.chmod(self.source + path, stat.S_IMODE(mode))
        if valid & 6:
            os.chown(self.source + path, uid if valid & 2 else -1, gid if valid & 4 else -1, follow_symlinks=False)

    def entries(self, path, body):
        """The names of a directory as struct fuse_dirent, all at once."""
        _, offset, _ = struct.unpack_from("QQI", body)
        out = b""
        for at, name in enumerate(map(os.fsencode, sorted(os.listdir(self.source + path)))):
            if at >= offset:
                out += struct.pack("QQII", 1000 + at, at + 1, len(name), 0) + name + bytes(-len(name) % 8)
        return out

    def change(self, opcode, path, body):
        """The requests that make, move or remove a name."""
        offset = {MKNOD: 16, MKDIR: 8, CREATE: 16, RENAME: 8, RENAME2: 16}.get(opcode, 0)
        names = [os.fsdecode(name) for name in body[offset:].split(b"\0")]
        place = f"{path}/{names[0]}"
        if opcode == MKNOD:
            os.mknod(self.source + place, *struct.unpack_from("II", body))
        elif opcode == MKDIR:
            os.mkdir(self.source + place, stat.S_IMODE(struct.unpack_from("I", body)[0]))
        elif opcode == SYMLINK:
            os.symlink(names[1], self.source + place)
        elif opcode in (UNLINK, RMDIR):
            (os.unlink if opcode == UNLINK else os.rmdir)(self.source + place)
            self.numbers.pop(place, None)
            return b""
        elif opcode in (RENAME, RENAME2):
            new = f"{self.paths[struct.unpack_from('Q', body)[0]]}/{names[1]}"
            if opcode == RENAME2 and struct.unpack_from("I", body, 8)[0] & 1 and os.path.lexists(self.source + new):
                raise OSError(errno.EEXIST, "")
            os.rename(self.source + place, self.source + new)
            self.moved(place, new)
            return b""
        elif opcode == CREATE:
            flags, mode = struct.unpack_from("II", body)
            fd = os.open(self.source + place, flags | os.O_CREAT | os.O_NOFOLLOW, stat.S_IMODE(mode))
            return self.entry(place) + struct.pack("QII", fd, self.flags, 0)
        return self.entry(place)

    def answer(self, opcode, path, body):
        """The bytes of an answer; OSError is one too."""
        if opcode == LOOKUP:
            return self.entry(path + "/" + os.fsdecode(body.rstrip(b"\0")))
        if opcode in (MKNOD, MKDIR, SYMLINK, UNLINK, RMDIR, RENAME, RENAME2, CREATE):
            return self.change(opcode, path, body)
        if opcode == SETATTR:
            self.set_attributes(path, body)
        if opcode in (GETATTR, SETATTR):
            return struct.pack("QII", 0, 0, 0) + self.attributes(path)
        if opcode == READLINK:
            return os.fsencode(os.readlink(self.source + path))
        if opcode == OPEN:
            flags, = struct.unpack_from("I", body)
            return struct.pack("QII", os.open(self.source + path, flags & ~os.O_CREAT), self.flags, 0)
        if opcode == OPENDIR:
            return struct.pack("QII", 0, 0, 0)
        if opcode == READDIR:
            return self.entries(path, body)
        if opcode == STATFS:
            return struct.pack("5Q4I24x", 1000, 500, 500, 1000, 500, 4096, 255, 4096, 0)
        if opcode in (FLUSH, FSYNCDIR, RELEASEDIR):
            return b""
        if opcode in (READ, WRITE, FSYNC, RELEASE):
            return self.of_file(opcode, body)
        raise OSError(errno.ENOSYS, "")

    def of_file(self, opcode, body):
        """The requests on an open file."""
        fd, = struct.unpack_from("Q", body)
        if opcode == READ:
            return os.pread(fd, *reversed(struct.unpack_from("QI", body, 8)))
        if opcode == WRITE:
            offset, size = struct.unpack_from("QI", body, 8)
            self.unsynced.add(os.fstat(fd).st_ino)
            return struct.pack("II", os.pwrite(fd, body[40:40 + size], offset), 0)
        if opcode == RELEASE:
            os.close(fd)
        else:
            self.unsynced.discard(os.fstat(fd).st_ino)
        return b""

    def cut_power(self):
        """What was written and not synced is lost, and the names are there."""
        for path, _, names in os.walk(self.source):
            for name in names:
                if os.lstat(f"{path}/{name}").st_ino in self.unsynced:
                    os.truncate(f"{path}/{name}", 0)

    def fail(self, opcode):
        """Counts a request, and does what PLAN has for it."""
        seen, fatal, kind = struct.unpack_from("QQI", self.plan)
        struct.pack_into("Q", self.plan, 0, seen + 1)
        if seen + 1 < fatal:
            return
        if kind == POWER_CUT:
            self.cut_power()
        if kind in (DIES, POWER_CUT):
            os._exit(0)
        if kind == FAILS:
            raise OSError(errno.EIO, "")
        if kind == STOPS:
            return
        if opcode in NEEDS_ROOM:
            raise OSError(errno.ENOSPC, "")

    def look(self):
        """Tells the first thing that WATCH finds."""
        wrong = self.watch(self.source) if self.watch else ""
        if wrong and not self.plan[WORDS]:
            words = wrong.encode()[:4000 - WORDS]
            self.plan[WORDS:WORDS + len(words)] = words

    def serve(self, device):
        """Answers until the mount is gone."""
        while True:
            seen, fatal, kind = struct.unpack_from("QQI", self.plan)
            if kind == STOPS and seen + 1 >= fatal:
                os.kill(os.getpid(), signal.SIGSTOP)
            request = os.read(device, 1 << 18)
            _, opcode, unique, node = struct.unpack_from("IIQQ", request)
            if opcode in SILENT:
                continue
            error, data = 0, b""
            self.look()
            try:
                if opcode == INIT:
                    data = struct.pack("IIIIHHIIHHI28x", 7, 31, 65536, 0, 16, 12, 65536, 1, 16, 0, 0)
                else:
                    self.fail(opcode)
                    data = self.answer(opcode, self.paths[node], request[40:])
            except OSError as failure:
                error, data = -failure.errno, b""
            with contextlib.suppress(OSError):      # ENOENT: who asked is gone
                os.write(device, struct.pack("IiQ", 16 + len(data), error, unique) + data)


class Mount:
    """SOURCE at TARGET, by a server that is a child of ours."""

    def __init__(self, source, target, flags=DIRECT, watch=None):
        self.source, self.target, self.flags, self.watch = source, target, flags, watch
        self.plan, self.server = mmap.mmap(-1, 4096), None

    def set_fault(self, n, kind=DIES):
        struct.pack_into("QQI", self.plan, 0, 0, n, kind)

    def seen(self):
        """How many requests there were since the fault was set."""
        return struct.unpack_from("Q", self.plan)[0]

    def wrong(self):
        """What WATCH has found, once."""
        words = self.plan[WORDS:].split(b"\0")[0].decode()
        self.plan[WORDS:] = bytes(len(self.plan) - WORDS)
        return words

    def serve(self):
        """Mounts it, with a new server."""
        self.set_fault(NEVER)
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        subprocess.run(["mount", "-i", "-t", "fuse", "-o", f"fd={device},rootmode=40700,user_id=0,group_id=0,allow_other", "dying",
                        self.target], check=True, pass_fds=[device])
        self.server = os.fork()
        if self.server == 0:
            try:
                Server(self.source, self.plan, self.flags, self.watch).serve(device)
            except OSError as error:
                # ENODEV: it was unmounted.
                if error.errno != errno.ENODEV:
                    traceback.print_exc()
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(device)

    def end(self):
        """The filesystem goes, however much of it was left."""
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.server, signal.SIGKILL)
            os.waitpid(self.server, 0)
        subprocess.run(["umount", "-l", self.target], check=True)

    def stop(self):
        """From now on it answers nobody."""
        os.kill(self.server, signal.SIGSTOP)
        os.waitpid(self.server, os.WUNTRACED)

    def go_on(self):
        """A stopped server answers again."""
        self.set_fault(NEVER)
        os.kill(self.server, signal.SIGCONT)

    def is_stopped(self):
        """Whether the server has stopped since we last asked."""
        pid, status = os.waitpid(self.server, os.WNOHANG | os.WUNTRACED)
        return pid == self.server and os.WIFSTOPPED(status)


def waits_forced(pid):
    """The place in the kernel where a process waits that not even SIGKILL ends: to close a file is a request that FUSE forces,
    fs/fuse/dev.c: request_wait_answer()."""
    with contextlib.suppress(OSError):
        status = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        place = pathlib.Path(f"/proc/{pid}/wchan").read_text()
        return place if status == "D" and re.search(r"fuse|request_wait_answer", place) else None
    return None

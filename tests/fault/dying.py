"""A state root that dies: it is a FUSE filesystem, written out here by the kernel's protocol (linux/fuse.h), that at the N-th request
of a command loses its server, fails or fills up.  The command ends; or the server stops before it reads the request, and the
command can be killed.  The container is unharmed; and when the filesystem is back, one `delete --force` cleans up.
Or the power is cut there: no process is left and of what was not synced only the names, and the same holds."""

import argparse
import contextlib
import errno
import json
import mmap
import os
import pathlib
import re
import signal
import stat
import struct
import subprocess

import host as hosts
import sweep

LOOKUP, FORGET, GETATTR, SETATTR, READLINK, SYMLINK, MKNOD, MKDIR, UNLINK, RMDIR, RENAME = 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12
OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR = 14, 15, 16, 17, 18, 20, 25, 26, 27, 28, 29
FSYNCDIR, CREATE, INTERRUPT, BATCH_FORGET, RENAME2 = 30, 35, 36, 42, 45
SILENT = (FORGET, BATCH_FORGET, INTERRUPT)
NEEDS_ROOM = (MKNOD, MKDIR, SYMLINK, CREATE, WRITE)
NEVER = (1 << 64) - 1
STOPS = 4       # of KINDS


class Server:
    """Serves a directory, until the fault that the harness has put into PLAN: requests so far, the fatal one, the kind."""

    def __init__(self, source, plan):
        self.source, self.plan = str(source), plan
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
            return self.entry(place) + struct.pack("QII", fd, 1, 0)
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
            # FOPEN_DIRECT_IO: what is read is what the server has, and it is asked each time.
            return struct.pack("QII", os.open(self.source + path, flags & ~os.O_CREAT), 1, 0)
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
        if kind == 3:
            self.cut_power()
        if kind in (0, 3):
            os._exit(0)
        if kind == 1:
            raise OSError(errno.EIO, "")
        if kind == STOPS:
            return
        if opcode in NEEDS_ROOM:
            raise OSError(errno.ENOSPC, "")

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


KINDS = ("dies", "fails", "fills up", "power cut", "stops")
OPERATIONS = ("create", "run", "start", "exec", "update", "pause", "kill", "delete", "delete-force")


# A container that they are for lives on when they are killed.
UNHARMED = ("exec", "update", "pause")


class Dying(sweep.Worker):
    """The worker, whose state root is served."""

    def __init__(self, options):
        super().__init__(options)
        self.backing = self.host.directory / "backing"
        self.backing.mkdir(mode=0o700)
        self.plan, self.server = mmap.mmap(-1, 4096), None
        everybody = self.host.processes
        self.host.processes = lambda: {process for process in everybody() if process[0] != self.server}

    def set_fault(self, n, kind=0):
        struct.pack_into("QQI", self.plan, 0, 0, n, kind)

    def serve(self):
        """Mounts the state root, with a new server."""
        self.set_fault(NEVER)
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        subprocess.run(["mount", "-i", "-t", "fuse", "-o", f"fd={device},rootmode=40700,user_id=0,group_id=0,allow_other", "dying",
                        self.host.root], check=True, pass_fds=[device])
        self.server = os.fork()
        if self.server == 0:
            try:
                Server(self.backing, self.plan).serve(device)
            finally:
                os._exit(0)
        os.close(device)

    def end(self):
        """The filesystem goes, however much of it was left."""
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.server, signal.SIGKILL)
            os.waitpid(self.server, 0)
        subprocess.run(["umount", "-l", self.host.root], check=True)

    def lose_all(self):
        """After a power cut there are neither processes nor cgroups."""
        self.server = None
        for pid, _ in self.host.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in os.listdir(self.host.cgroup):
            if (self.host.cgroup / name).is_dir():
                hosts.remove_cgroups(self.host.cgroup / name)

    def is_stopped(self):
        """Whether the server is."""
        pid, status = os.waitpid(self.server, os.WNOHANG | os.WUNTRACED)
        return pid == self.server and os.WIFSTOPPED(status)

    def kill_waiting(self, words):
        """Runs a command until it waits for the server that has stopped, and kills it: its exit code, or None when that hangs; where
        the kernel kept it for all that; and the processes of the container that were harmed."""
        before = self.host.processes()
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            process = self.popen(self.command(words), out, err)
        self.wait(lambda: self.is_stopped() or process.poll() is not None, sweep.DEADLINE)
        if process.poll() is None:
            # It is in the kernel, or will be there when it sends the next request.
            process.kill()
        code = hosts.wait_as_init(process, 0.2)
        kept = self.waits_forced(process.pid) if code is None else None
        if code is None and not kept:
            code = hosts.wait_as_init(process, sweep.DEADLINE)
        harmed = before - self.host.processes()
        self.set_fault(NEVER)
        os.kill(self.server, signal.SIGCONT)
        return hosts.wait_as_init(process, sweep.DEADLINE) if kept else code, kept, sorted(harmed)

    @staticmethod
    def waits_forced(pid):
        """The place in the kernel where a process waits that not even SIGKILL ends: to close a file is a request that FUSE forces,
        fs/fuse/dev.c: request_wait_answer()."""
        with contextlib.suppress(OSError):
            status = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            place = pathlib.Path(f"/proc/{pid}/wchan").read_text()
            return place if status == "D" and re.search(r"fuse|request_wait_answer", place) else None
        return None

    def stop_one(self, op, n):
        """The server stops before the N-th request of an operation: the verdict and why."""
        need, _, _ = sweep.OPERATIONS[op]
        self.kept = None
        self.prepare("plain", need)
        self.set_fault(n, STOPS)
        code, kept, harmed = self.kill_waiting(self.words_of("plain", op))
        answers = [self.run("state", "ID"), self.run("list")]
        leak = self.delete()
        if code is None or None in answers:
            return "HANG", f"it cannot be killed, or {answers}"
        if leak or self.delete_code != 0:
            return "LEAK", leak or f"delete --force gave {self.delete_code}"
        if any(answer not in (0, 1) for answer in answers):
            return "CRASH", f"state and list gave {answers}"
        if harmed and op in UNHARMED:
            return "WRONG", f"the container was harmed: {harmed}"
        if kept:
            return "accepted", f"it waited in {kept} until the server went on"
        return ("clean" if code == -signal.SIGKILL else "not reached"), ""

    def one(self, op, n, kind):
        """One operation whose N-th request is fatal: the verdict, why, and how many requests there were."""
        need, words, _ = sweep.OPERATIONS[op]
        self.kept = None
        self.prepare("plain", need)
        words = [self.bundle("plain", "sleep") if w == "BUNDLE" else str(self.limits) if w == "LIMITS" else w for w in words]
        self.set_fault(n, kind)
        code, error = self.run(*words), self.err.read_text(errors="replace").strip()
        seen, = struct.unpack_from("Q", self.plan)
        changed = self.unchanged(op) if code else None
        self.end()
        if kind == 3:
            self.lose_all()
        self.serve()
        answers = [self.run("state", "ID"), self.run("list")]
        leak = self.delete()
        if code is None or None in answers:
            return "HANG", error, seen
        if any(answer not in (0, 1) for answer in answers):
            return "CRASH", f"state and list gave {answers}", seen
        if leak or self.delete_code != 0:
            return "LEAK", leak or f"delete --force gave {self.delete_code}", seen
        if code < 0:
            return "CRASH", f"signal {-code}", seen
        if code and not error:
            return "SILENT", "it failed and said nothing", seen
        if changed:
            return "FAIL-OPEN", changed, seen
        return "failed clean" if code else "unaffected", error[-200:], seen

    def sweep_all(self, write):
        self.serve()
        try:
            self.empty = self.host.take()
            for op in OPERATIONS[self.options.share::self.options.shares]:
                verdict, why, seen = self.one(op, NEVER, 0)
                if verdict != "unaffected":
                    raise sweep.Lost(f"{op} on a healthy filesystem: {verdict} {why}")
                for kind, name in enumerate(KINDS):
                    for n in range(1 + kind % 4, seen + 1, max(1, seen // 7) if self.options.quick else 1):
                        verdict, why = self.stop_one(op, n) if kind == STOPS else self.one(op, n, kind)[:2]
                        write({"op": op, "at": f"request {n} of {seen}", "path": name, "verdict": verdict, "why": why})
        except sweep.Lost as lost:
            write({"op": "", "verdict": "LOST", "why": str(lost)})
        finally:
            self.end()

    def main(self):
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            with open(self.options.results, "w", encoding="utf-8") as results:
                results.write(json.dumps({"op": "", "verdict": "not reached", "why": "there is no /dev/fuse"}) + "\n")
            return
        super().main()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("runtime", "inject", "probe", "results", "token"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--share", type=int, default=0)
    parser.add_argument("--shares", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    worker = Dying(parser.parse_args())
    worker.options.configs = ["plain"]
    try:
        worker.main()
    finally:
        worker.host.close()


if __name__ == "__main__":
    main()

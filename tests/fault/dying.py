"""A state root or a root filesystem that dies: it is a FUSE filesystem, that at the N-th request of a command loses its server, fails
or fills up.  The command ends; or the server stops before it reads the request, and the command can be killed, or ends by its
deadline.  The container is unharmed; and when the filesystem is back, one `delete --force` cleans up.
Or the power is cut there: no process is left and of what was not synced only the names, and the same holds.
At every request state.json is whole or not there."""

import argparse
import contextlib
import json
import os
import pathlib
import signal

import host as hosts
import sweep

import fuse  # tests/support, where host has led

OPERATIONS = ("create", "run", "start", "exec", "update", "pause", "kill", "delete", "delete-force")
# A container that they are for lives on when they are killed.
UNHARMED = ("exec", "update", "pause")
# Of a root filesystem: who touches it, and what may happen to it.
ON_ROOT = ("create", "run", "start", "exec-detached", "kill", "delete-force")
OF_ROOT = (fuse.DIES, fuse.FAILS, fuse.STOPS)
TIMEOUT_MS = 300    # of a command that meets a filesystem which does not answer


def torn(source):
    """What is wrong with any state.json below SOURCE: a document is complete at once, or is not there."""
    for path in pathlib.Path(source).glob("*/state.json"):
        with contextlib.suppress(FileNotFoundError):
            text = path.read_text()
            try:
                if json.loads(text)["version"] != 1:
                    return f"{path.name} is {text!r}"
            except (ValueError, KeyError):
                return f"{path.name} is torn: {text!r}"
    return ""


class Dying(sweep.Worker):
    """The worker, whose state root is served, and then the root filesystem of its containers."""

    def __init__(self, options):
        super().__init__(options)
        backing = self.host.directory / "backing"
        backing.mkdir(mode=0o700)
        self.fuse = fuse.Mount(backing, self.host.root, watch=torn)
        everybody = self.host.processes
        self.host.processes = lambda: {process for process in everybody() if process[0] != self.fuse.server}

    def lose_all(self):
        """After a power cut there are neither processes nor cgroups."""
        self.fuse.server = None
        for pid, _ in self.host.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in os.listdir(self.host.cgroup):
            if (self.host.cgroup / name).is_dir():
                hosts.remove_cgroups(self.host.cgroup / name)

    def kill_waiting(self, words):
        """Runs a command until it waits for the server that has stopped, and kills it: its exit code, or None when that hangs; where
        the kernel kept it for all that; and the processes of the container that were harmed."""
        before = self.host.processes()
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            process = self.popen(self.command(words), out, err)
        self.wait(lambda: self.fuse.is_stopped() or process.poll() is not None, sweep.DEADLINE)
        if process.poll() is None:
            # It is in the kernel, or will be there when it sends the next request.
            process.kill()
        code = hosts.wait_as_init(process, 0.2)
        kept = fuse.waits_forced(process.pid) if code is None else None
        if code is None and not kept:
            code = hosts.wait_as_init(process, sweep.DEADLINE)
        harmed = before - self.host.processes()
        self.fuse.go_on()
        return hosts.wait_as_init(process, sweep.DEADLINE) if kept else code, kept, sorted(harmed)

    def stop_one(self, op, n):
        """The server stops before the N-th request of an operation: the verdict and why."""
        need, _, _ = sweep.OPERATIONS[op]
        self.kept = None
        self.prepare("plain", need)
        self.fuse.set_fault(n, fuse.STOPS)
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
        self.fuse.set_fault(n, kind)
        code, error = self.run(*words), self.err.read_text(errors="replace").strip()
        seen = self.fuse.seen()
        changed = self.unchanged(op) if code else None
        self.fuse.end()
        if kind == fuse.POWER_CUT:
            self.lose_all()
        self.fuse.serve()
        return *self.judge_one(code, error, changed), seen

    def judge_one(self, code, error, changed):
        """After a command, when its filesystem is back."""
        answers = [self.run("state", "ID"), self.run("list")]
        leak = self.delete()
        if code is None or None in answers:
            return "HANG", error
        if any(answer not in (0, 1) for answer in answers):
            return "CRASH", f"state and list gave {answers}"
        if leak or self.delete_code != 0:
            return "LEAK", leak or f"delete --force gave {self.delete_code}"
        if code < 0:
            return "CRASH", f"signal {-code}"
        if code and not error:
            return "SILENT", "it failed and said nothing"
        if changed:
            return "FAIL-OPEN", changed
        return "failed clean" if code else "unaffected", error[-200:]

    def late_one(self, op, n):
        """The server of the root filesystem stops before the N-th request, and nobody kills the command: it ends by itself when its
        deadline is over, unless it waits there itself, where only a signal ends its wait.  Who closes a file there cannot be
        killed, which it waits for twice ten seconds more."""
        need, _, _ = sweep.OPERATIONS[op]
        self.kept = None
        self.prepare("plain", need)
        self.fuse.set_fault(n, fuse.STOPS)
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            process = self.popen(self.command(["--timeout", f"{TIMEOUT_MS}ms", *self.words_of("plain", op)]), out, err)
        self.wait(lambda: self.fuse.is_stopped() or process.poll() is not None, sweep.DEADLINE)
        code, where = hosts.wait_as_init(process, sweep.DEADLINE * 3), ""
        if code is None:
            where = pathlib.Path(f"/proc/{process.pid}/wchan").read_text()
            process.kill()
        self.fuse.go_on()
        if code is None and hosts.wait_as_init(process, sweep.DEADLINE) is None:
            return "HANG", f"it cannot be killed: {where}"
        error = self.err.read_text(errors="replace").strip()
        verdict, why = self.judge_one(code or 0, error, None)
        if verdict not in ("failed clean", "unaffected"):
            return verdict, why
        if where and "fuse" not in where and "request_wait_answer" not in where:
            return "HANG", f"it waits in {where}, not for the filesystem: {error}"
        if where:
            return "accepted", f"it waits for the filesystem itself, in {where}, and could be killed"
        return verdict, why

    def points(self, ops, kinds):
        """Every request of every operation, with every kind of fault."""
        for op in ops[self.options.share::self.options.shares]:
            verdict, why, seen = self.one(op, fuse.NEVER, fuse.DIES)
            if verdict != "unaffected":
                raise sweep.Lost(f"{op} on a healthy filesystem: {verdict} {why}")
            for kind in kinds:
                for n in range(1 + kind % 4, seen + 1, max(1, seen // 7) if self.options.quick else 1):
                    yield op, n, seen, kind

    def tried(self, row, outcome, write):
        """Tells of one try, and of what was wrong with the files meanwhile."""
        verdict, why = outcome
        wrong = self.fuse.wrong()
        # What was not synced is lost then; nobody needs it any more.
        wrong = "" if row["path"] == fuse.KINDS[fuse.POWER_CUT] else wrong
        write({**row, "verdict": "WRONG" if wrong else verdict, "why": wrong or why})

    def sweep_all(self, write):
        self.fuse.serve()
        try:
            self.empty = self.host.take()
            for op, n, seen, kind in self.points(OPERATIONS, range(len(fuse.KINDS))):
                outcome = self.stop_one(op, n) if kind == fuse.STOPS else self.one(op, n, kind)[:2]
                self.tried({"op": op, "at": f"request {n} of {seen}", "path": fuse.KINDS[kind]}, outcome, write)
        except sweep.Lost as lost:
            write({"op": "", "verdict": "LOST", "why": str(lost)})
        finally:
            self.fuse.end()
        self.sweep_root(write)

    def sweep_root(self, write):
        """The same for the root filesystem of the container; the state root is healthy."""
        rootfs = self.host.directory / "root-plain" / "rootfs"
        backing = rootfs.rename(rootfs.with_name("backing"))
        rootfs.mkdir()
        self.fuse = fuse.Mount(backing, rootfs, flags=0)
        self.fuse.serve()
        try:
            self.empty = self.host.take()
            for op, n, seen, kind in self.points(ON_ROOT, OF_ROOT):
                row = {"op": op, "at": f"request {n} of {seen}", "path": f"root filesystem {fuse.KINDS[kind]}"}
                self.tried(row, self.stop_one(op, n) if kind == fuse.STOPS else self.one(op, n, kind)[:2], write)
                if kind == fuse.STOPS and (not self.options.quick or n in (1, 1 + seen // 7)):
                    self.tried({**row, "path": f"{row['path']}, deadline"}, self.late_one(op, n), write)
        except sweep.Lost as lost:
            write({"op": "", "verdict": "LOST", "why": str(lost)})
        finally:
            self.fuse.end()

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

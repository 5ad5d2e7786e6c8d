"""Disks that are full, read-only or gone: the state root on a tmpfs of a few pages or inodes, a state.json cut at every byte, a pid
that is somebody else's by now, a bundle and a cgroup that vanished.  Whatever happens, one `delete --force` cleans up.  And a
foreground command that cannot watch what it runs, which would run for ever."""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import host as hosts
import sweep


class Disk(sweep.Worker):
    """The cases; each returns a list of what is wrong."""

    def __init__(self, options):
        super().__init__(options)
        self.limitless = None
        self.state_file = self.host.root / self.host.name / "state.json"

    def text(self):
        return self.err.read_text(errors="replace").strip()

    def mount_root(self, options):
        self.host.root.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "full", self.host.root], check=True)

    def unmount_root(self):
        subprocess.run(["umount", self.host.root], check=True)

    def full(self, options):
        """Create and start where there is no room: each works or fails with an error, and delete always works."""
        wrong = []
        self.mount_root(options)
        try:
            before = self.host.take()
            codes = [self.run("create", "--bundle", self.bundle("plain"), "ID")]
            if codes[0] == 0:
                codes.append(self.run("start", "ID"))
                self.wait(lambda: not self.host.processes())
            elif codes[0] != 1 or not self.text():
                wrong.append(f"create gave {codes[0]} and said {self.text()!r}")
            elif self.host.difference(before):
                wrong.append(f"a failed create leaves {self.host.difference(before, 0)}")
            for words in (("list",), ("state", "ID")):
                if self.run(*words) not in (0, 1):
                    wrong.append(f"{words} fails badly: {self.text()}")
            if self.run("delete", "--force", "ID") != 0:
                wrong.append(f"delete --force fails: {self.text()}")
            wrong += self.host.difference(before)
            if None in codes:
                wrong.append("hung")
        finally:
            self.host.clean(before)
            self.unmount_root()
        return wrong

    def read_only(self):
        """A state root that turned read-only: errors, and after it is writable again delete works."""
        wrong = []
        self.mount_root("size=1m")
        try:
            before = self.host.take()
            self.prepare("plain", "running")
            self.kept = None
            subprocess.run(["mount", "-o", "remount,ro", self.host.root], check=True)
            for words, code in ((("state", "ID"), 0), (("exec", "ID", "/bin/probe", "true"), 0),
                                (("create", "--bundle", self.bundle("plain"), "other"), 1)):
                if self.run(*words) != code:
                    wrong.append(f"{words} on a read-only root: {self.text()}")
            if self.run("delete", "--force", "ID") == 0:
                wrong.append("delete says that it worked on a read-only root")
            subprocess.run(["mount", "-o", "remount,rw", self.host.root], check=True)
            if self.run("delete", "--force", "ID") != 0:
                wrong.append(f"delete fails after that: {self.text()}")
            wrong += self.host.difference(before)
        finally:
            self.host.clean(before)
            self.unmount_root()
        return wrong

    def after(self, change, expected=(0,)):
        """A running container to which CHANGE happens: state and list answer, delete --force cleans."""
        wrong = []
        self.prepare("plain", "running")
        self.kept = None
        change()
        for words in (("state", "ID"), ("list",)):
            if self.run(*words) not in (0, 1):
                wrong.append(f"{words} fails badly: {self.text()}")
        if self.run("delete", "--force", "ID") not in expected:
            wrong.append(f"delete --force fails: {self.text()}")
        wrong += self.host.difference(self.empty)
        self.host.clean(self.empty)
        if self.run("delete", "--force", "ID") not in (0, 1):
            wrong.append(f"a second delete --force fails badly: {self.text()}")
        return wrong

    def cut(self, n):
        """state.json ends after N bytes."""
        def change():
            text = self.state_file.read_bytes()
            self.state_file.write_bytes(text[:n])
        return self.after(change)

    def length(self):
        self.prepare("plain", "running")
        self.kept = None
        n = self.state_file.stat().st_size
        self.delete()
        return n

    def recycled(self, *force):
        """The pid in state.json is that of a process that is not the container's: nobody signals it."""
        self.prepare("plain", "stopped")
        self.kept = None
        time.sleep(0.05)    # start times are counted in ticks of 10 ms
        stranger = subprocess.Popen(["sleep", "100"], stdin=subprocess.DEVNULL)
        try:
            text = self.state_file.read_text()
            self.state_file.write_text(re.sub(r'"pid":\d+', f'"pid":{stranger.pid}', text))
            wrong = []
            self.run("state", "ID")
            if json.loads(self.out.read_text())["status"] != "stopped":
                wrong.append("a stranger is taken for the init")
            if self.run("kill", "ID", "KILL") == 0:
                wrong.append("kill says that it worked")
            if self.run("delete", *force, "ID") != 0:
                wrong.append(f"delete fails: {self.text()}")
            time.sleep(0.05)
            if stranger.poll() is not None:
                wrong.append("the stranger was killed")
        finally:
            stranger.kill()
            stranger.wait()
        return wrong + self.host.difference(self.empty)

    def rebooted(self, *force):
        """state.json of another boot: stopped, whatever has its pid and start time now."""
        self.prepare("plain", "stopped")
        self.kept = None
        text = self.state_file.read_text()
        fields = pathlib.Path("/proc/1/stat").read_text().rpartition(")")[2].split()
        text = re.sub(r'"pid":\d+', '"pid":1', re.sub(r'"start":\d+', f'"start":{fields[19]}', text))
        self.state_file.write_text(re.sub(r'"boot":\d+', '"boot":7', text))
        self.run("state", "ID", check=True)
        wrong = [] if json.loads(self.out.read_text())["status"] == "stopped" else ["process 1 is taken for the init"]
        if self.run("delete", *force, "ID") != 0:
            wrong.append(f"delete fails: {self.text()}")
        return wrong + self.host.difference(self.empty)

    def without_bundle(self):
        def change():
            shutil.rmtree(self.bundles.pop(("plain", "sleep")))
        wrong = [what for what in self.after(change) if not what.startswith("file gone")]
        self.bundle("plain", "sleep")
        return wrong

    def without_cgroup(self):
        """Somebody killed all and removed the cgroup."""
        return self.after(lambda: hosts.remove_cgroups(self.cgroup().parent))

    def damaged_without_cgroup(self, text):
        """No document tells of a process that no cgroup holds: the note of the init does."""
        self.run("--cgroup-manager=disabled", "run", "--detach", "--bundle", self.limitless, "ID", check=True)
        self.state_file.write_text(text)
        wrong = [] if self.host.difference(self.empty, 0) else ["nothing was running"]
        if self.run("delete", "--force", "ID") != 0:
            wrong.append(f"delete --force fails: {self.text()}")
        wrong += self.host.difference(self.empty)
        self.host.clean(self.empty)
        return wrong

    def cases(self):
        for size in ([0, 1, 2, 3, 4, 6, 8] if self.options.quick else range(0, 16)):
            yield f"size={size * 4}k", lambda size=size: self.full(f"size={max(size * 4, 1)}k")
        for inodes in ([1, 2, 3, 4, 6, 8, 10] if self.options.quick else range(1, 20)):
            yield f"nr_inodes={inodes}", lambda inodes=inodes: self.full(f"nr_inodes={inodes}")
        yield "read-only root", self.read_only
        step = 23 if self.options.quick else 1
        for n in range(self.options.share, self.length(), step):
            yield f"state.json cut at {n}", lambda n=n: self.cut(n)
        for force in ([], ["--force"]):
            yield f"recycled pid {force}", lambda force=force: self.recycled(*force)
            yield f"another boot {force}", lambda force=force: self.rebooted(*force)
        yield "no bundle", self.without_bundle
        yield "no cgroup", self.without_cgroup
        yield "an unwatched run", lambda: self.unwatched(2, None, ["run", "--bundle", self.bundle("plain", "sleep"), "ID"])
        yield "an unwatched exec", lambda: self.unwatched(3, "running", ["exec", "ID", "/bin/probe", "sleep"])
        for text in ("", "{", "[]", "\0\0\0", "\x7fELF \xff"):
            yield f"state.json is {text!r}, no cgroup", lambda text=text: self.damaged_without_cgroup(text)

    def unwatched(self, first, need, words):
        """The wait for the program's end fails: no other command would end it, so this one does."""
        wrong = []
        self.prepare("plain", need)
        self.kept = None
        hosts.reap()
        before = self.host.take()
        # Those before FIRST only ask which standard descriptors are open, and whether the init lives; without an answer that is
        # found out otherwise.
        for k in range(first, 20):
            report = self.inject(words, None, f"P:{self.numbers['poll']}:{k}", "errno 12")
            if report["hang"] or report["exit"] in (0, None) or not report["hit"]:
                wrong.append(f"poll {k}: {report}")
            wrong += self.host.difference(before)
            if wrong or "cannot watch" in self.text():
                break
        else:
            wrong.append("it was never watched")
        self.delete()
        return wrong

    def make_limitless(self):
        """A bundle that needs no cgroup."""
        path = f"{self.host.directory}/bundle-limitless"
        shutil.copytree(self.bundle("plain", "sleep"), path, symlinks=True)
        config = pathlib.Path(path, "config.json")
        spec = json.loads(config.read_text())
        for name in ("resources", "cgroupsPath"):
            spec["linux"].pop(name, None)
        config.write_text(json.dumps(spec))
        return path

    def main(self):
        self.bundle("plain"), self.bundle("plain", "sleep")
        self.limitless = self.make_limitless()
        self.run("run", "--bundle", self.bundle("plain"), "ID", check=True)
        hosts.reap()
        self.empty = self.host.take()
        with open(self.options.results, "w", encoding="utf-8") as results:
            for name, case in list(self.cases())[self.options.share::self.options.shares]:
                try:
                    wrong = case()
                    row = {"op": name, "verdict": "WRONG" if wrong else "clean", "why": wrong or ""}
                except (sweep.Lost, OSError, subprocess.CalledProcessError) as error:
                    row = {"op": name, "verdict": "LOST", "why": str(error)}
                    self.delete()
                results.write(json.dumps(row) + "\n")
                results.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("runtime", "inject", "probe", "results", "token"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--share", type=int, default=0)
    parser.add_argument("--shares", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    worker = Disk(parser.parse_args())
    try:
        worker.main()
    finally:
        worker.host.close()


if __name__ == "__main__":
    main()

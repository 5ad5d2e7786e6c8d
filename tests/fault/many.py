#!/usr/bin/python3
"""Many containers: some alive at once, of which each is still reached by every command, and many one after the other, after which
the kernel holds no more cgroups, namespaces, mounts and files than before and the runtime needs no more memory.

    tests/fault/many.py [--alive N] [--cycles N] [--runtime PROGRAM]

The full numbers are --alive 1000 --cycles 24000.  Needs root and gcc; everything happens in private namespaces and below one
cgroup of its own.  Exit 1 when something is wrong.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import configs
import host as hosts

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
# What a forgotten cgroup, namespace, mount or file would be one of; the kernel counts those of everybody.
SLABS = ("mnt_cache", "nsproxy", "pid_namespace", "net_namespace", "mqueue_inode_cache", "cred_jar", "pid", "task_struct",
         "bio", "cgroup", "kernfs_node_cache", "sock_inode_cache", "shmem_inode_cache")
SETTLE = 30         # seconds that the kernel gets to free what died


def slabs():
    """Objects in use by kind, and the open files of the whole system; for kinds that this kernel has caches of."""
    found = {}
    for line in pathlib.Path("/proc/slabinfo").read_text().splitlines()[2:]:
        name, used = line.split()[:2]
        if name in SLABS:
            found[name] = int(used)
    found["open files"] = int(pathlib.Path("/proc/sys/fs/file-nr").read_text().split()[0])
    return found


class Many:
    """One run in namespaces of its own."""

    def __init__(self, options, directory):
        self.options = options
        self.host = hosts.Host(f"many-{options.token}")
        self.empty = None
        self.runtime = str(pathlib.Path(options.runtime).resolve())
        self.probe = hosts.bundles.build_probe(directory)
        self.cycles = pathlib.Path(directory) / "cycles"
        subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-static", "-o", self.cycles,
                        HERE / "cycles.c"], check=True)
        self.wrong = []
        self.out = self.host.directory / "out"

    def run(self, *words, expected=0):
        """A command: its milliseconds."""
        start = time.monotonic()
        with open(self.out, "wb") as out:
            done = subprocess.run([self.runtime, "--root", str(self.host.root), *words], stdin=subprocess.DEVNULL,
                                  stdout=out, stderr=subprocess.STDOUT, check=False, timeout=60)
        if done.returncode != expected:
            self.wrong.append(f"{' '.join(words)} gave {done.returncode}: {self.text()[-300:]}")
        return (time.monotonic() - start) * 1000

    def text(self):
        return self.out.read_text(errors="replace").strip()

    def bundle(self, name, *args):
        """A bundle of its own, so that each has a cgroup of its own."""
        spec = configs.spec_plain(self.host, "creel")
        spec["linux"]["cgroupsPath"] = f"/{self.host.cgroup.name}/{name}"
        spec["process"]["args"] = ["/bin/probe", *args]
        rootfs = self.host.directory / "rootfs"
        if not rootfs.exists():
            hosts.bundles.make_rootfs(rootfs, {"/bin/probe": self.probe})
        return str(hosts.bundles.make_bundle(self.host.directory / f"bundle-{name}", spec, rootfs))

    @staticmethod
    def say(what, times):
        """The best of the first and of the last twentieth of a command's times, and the middle of all."""
        few = max(1, len(times) // 20)
        print(f"  {what:8} first {min(times[:few]):6.1f} ms, last {min(times[-few:]):6.1f} ms, median of all "
              f"{statistics.median(times):6.1f} ms", flush=True)

    def check_states(self, ids, status):
        """`list` names each one, with its status."""
        self.run("list", "--format", "json")
        found = {entry["id"]: entry["status"] for entry in json.loads(self.text() or "null") or []}
        for name in ids:
            if found.get(name) != status:
                self.wrong.append(f"list says that {name} is {found.get(name)}, not {status}")
        if len(found) != len(ids):
            self.wrong.append(f"list has {len(found)} instead of {len(ids)}")

    def alive(self, n):
        """N at once: create, start, state, list, exec, kill, delete; nothing is left."""
        ids = [f"many-{i}" for i in range(n)]
        places = {name: self.bundle(name, "sleep") for name in ids}
        before = self.host.take()
        print(f"{n} containers alive at once:", flush=True)
        self.say("create", [self.run("create", "--bundle", places[name], name) for name in ids])
        self.check_states(ids, "created")
        self.say("start", [self.run("start", name) for name in ids])
        processes = len(self.host.processes())
        if processes < n:
            self.wrong.append(f"{processes} processes for {n} containers")
        self.say("state", [self.run("state", name) for name in ids])
        self.say("list", [self.run("list") for _ in range(3)])
        self.check_states(ids, "running")
        self.say("exec", [self.run("exec", name, "/bin/probe", "true") for name in ids])
        self.say("kill", [self.run("kill", name, "KILL") for name in ids])
        end = time.monotonic() + SETTLE
        while self.host.processes() - before["process"] and time.monotonic() < end:
            hosts.reap()
            time.sleep(0.05)
        hosts.reap()
        self.check_states(ids, "stopped")
        self.say("delete", [self.run("delete", name) for name in ids])
        self.wrong += self.host.difference(before, SETTLE)[:10]
        self.check_states([], "")

    def churn(self, n):
        """N, one after the other: slabs, open files, the peak of memory, and dying cgroups."""
        place = self.bundle("churn", "true")
        # What a command forgets grows each time; what others do on this machine in the meantime does not.
        too_many = None
        for _ in range(4):
            before, kernel = self.host.take(), slabs()
            self.cycle(place, n)
            self.wrong += self.host.difference(before, SETTLE)[:10]
            found = self.compare(kernel, n)
            too_many = {name: more for name, more in found.items() if too_many is None or name in too_many}
            if self.wrong or not too_many:
                break
        for name, more in too_many.items():
            self.wrong.append(f"the kernel holds {more} more of {name} after {n} cycles")

    def cycle(self, place, n):
        """The cycles, and the peak of memory."""
        print(f"{n} cycles of create, start and delete:", flush=True)
        done = subprocess.run([self.cycles, str(n), self.runtime, str(self.host.root), place, "churn"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        rows = [line.split() for line in done.stdout.splitlines() if line and line[0].isdigit()]
        for count, ms, peak in rows:
            print(f"  {count:>6} after {int(ms) / 1000:7.1f} s, peak {peak} KiB", flush=True)
        if done.returncode != 0:
            self.wrong.append(done.stdout.strip()[-500:])
            return
        peaks = [int(row[2]) for row in rows]
        if max(peaks[-2:]) > max(peaks[:2]) + 128:
            self.wrong.append(f"the peak of memory grew from {max(peaks[:2])} to {max(peaks[-2:])} KiB")

    def compare(self, kernel, n):
        """What was left by each cycle would be N objects; other work on this machine makes some difference: the kinds of which
        there are too many."""
        end = time.monotonic() + SETTLE
        while True:
            after = slabs()
            grown = {name: after[name] - kernel[name] for name in kernel}
            too_many = {name: more for name, more in grown.items() if more > max(n // 2, 250)}
            if not too_many or time.monotonic() > end:
                break
            time.sleep(1)
        print("  " + ", ".join(f"{name} {kernel[name]} -> {after[name]}" for name in sorted(kernel)))
        for line in (self.host.cgroup / "cgroup.stat").read_text().splitlines():
            print(f"  {line}")
            if line.startswith("nr_dying_descendants") and int(line.split()[1]) > max(n // 100, 20):
                too_many["dying cgroups"] = int(line.split()[1])
        return too_many


def inside(options):
    """The worker, as process 1 of its namespaces."""
    with tempfile.TemporaryDirectory(prefix="creel-many-tools-") as directory:
        many = Many(options, directory)
        try:
            many.host.root.mkdir()
            if options.alive:
                many.alive(options.alive)
            if options.cycles:
                many.churn(options.cycles)
        finally:
            many.host.close()
    for what in many.wrong[:50]:
        print(f"WRONG: {what}")
    print(f"{len(many.wrong)} wrong")
    return 1 if many.wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--alive", type=int, default=100, help="how many at once")
    parser.add_argument("--cycles", type=int, default=600, help="how many in a row")
    parser.add_argument("--runtime", default=os.environ.get("CREEL") or str(TOP / "build" / "creel"))
    parser.add_argument("--token", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.token:
        return inside(options)
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    token = str(os.getpid())
    argv = [*hosts.UNSHARE, sys.executable, "-B", __file__, "--token", token, "--alive", str(options.alive),
            "--cycles", str(options.cycles), "--runtime", options.runtime]
    try:
        return subprocess.run(argv, check=False).returncode
    finally:
        hosts.remove_cgroups(hosts.cgroup_top() / f"creel-fault-many-{token}")
        directory = pathlib.Path(f"/tmp/creel-fault-many-{token}")
        if directory.is_dir():
            directory.rmdir()


if __name__ == "__main__":
    sys.exit(main())

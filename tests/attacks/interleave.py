#!/usr/bin/python3
"""SECURITY 3.4 a2, the sweep: one change of the root filesystem before each path call of the runtime.

	interleave.py [--limit N] [--runtime PATH] [--programs DIRECTORY] [--expect-hits]

A neighbour that shares the volume exchanges a component with a link to the canary, a file or a
mount, before the call, for good or only until the next call.  Every interleaving has a name, and
the same name is the same interleaving.
"""

import argparse
import multiprocessing
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import world as w

DIRECTORIES = ("bin", "dev", "dev/pts", "etc", "proc", "sys", "tmp", "tmp/ro", "m", "m/a", "m/a/b",
               "w")
FILES = ("tmp/mask", "m/f", "etc/passwd", "dev/console")
PROGRAMS = ("bin/run", "bin/wait")
COMPONENTS = [*DIRECTORIES, *FILES, "bin/run", "dev/null"]
CHANGES = [("link", 0), ("link", 1), ("link", 2), ("relative", 0), ("other", 0), ("bind", 0),
           ("gone", 0)]
CONFIGS = ["bare", "usual", "terminal", "exec", "join"]


class Stage:
    """One world that is used again and again; the root filesystem is made new each time."""

    def __init__(self, options, place, config):
        self.options, self.config = options, config
        self.world = world = w.World(options.runtime, place, options.inside)
        (world.directory / "volume").write_text("volume\n")
        # What a neighbour may mount: its own tree, with a link to the canary for every name.
        (world.directory / "decoy").mkdir()
        for name in {pathlib.Path(path).name for path in (
                *COMPONENTS, "dev/ptmx", "dev/shm", "dev/mqueue", "dev/fd", "proc/self")}:
            file = name in ("null", "console", "f", "mask", "passwd")
            (world.directory / "decoy" / name).symlink_to(world.canary / ("f" if file else "d"))
        # What a neighbour mounts below reaches the container's namespace, a slave of this one.
        w.mount("volume", world.bundle, "tmpfs", 0, "mode=755")
        w.mount("none", world.bundle, None, 1 << 20)
        for name, program in (("run", "payload"), ("wait", "busybox")):
            path = world.bundle / name
            path.write_bytes(pathlib.Path(options.inside[f"/bin/{program}"]).read_bytes())
            path.chmod(0o755)
        self.report = world.directory / "report"
        self.name = None
        self.pod = self._make_pod() if config == "join" else None
        self.fill()
        self.write()
        if config == "exec":
            self.name = world.name()
            world.command("create", "--bundle", world.bundle, self.name)
            if world.command("start", self.name).code:
                raise RuntimeError(f"no container to enter: {world.results[0]}")
        world.before = None
        world.arm()

    def _make_pod(self):
        """A pid namespace with a process in it, for the container to join."""
        pod = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "sleep", "1000"],
                               stdin=subprocess.DEVNULL)
        self.pid_namespace = f"/proc/{pod.pid}/ns/pid_for_children"
        # It is missing until the first process is there.
        while not os.path.exists(self.pid_namespace) or (
                os.readlink(self.pid_namespace) == os.readlink("/proc/self/ns/pid")):
            time.sleep(0.01)
        return pod

    def fill(self):
        """The root filesystem as the image has it."""
        root = self.world.rootfs
        for name in DIRECTORIES:
            if not (root / name).is_dir() or (root / name).is_symlink():
                self.world.remove(root / name)
                (root / name).mkdir(parents=True)
        for name in FILES:
            if not (root / name).is_file() or (root / name).is_symlink():
                self.world.remove(root / name)
                (root / name).write_text("root:x:0:0::/root:/bin/sh\n")
        null = root / "dev/null"
        if not null.is_char_device() or null.is_symlink():
            self.world.remove(null)
            os.mknod(null, 0o20666, os.makedev(1, 3))
        for name in PROGRAMS:
            if not (root / name).is_file() or (root / name).is_symlink():
                self.world.remove(root / name)
                os.link(self.world.bundle / pathlib.Path(name).name, root / name)

    def write(self):
        """config.json."""
        world = self.world
        args = ("/bin/run", "walk", str(world.canary / "secret"))
        spec = world.spec(*args, cwd="/w", terminal=self.config == "terminal")
        if self.config == "exec":
            spec["process"].update(cwd="/", args=["/bin/wait", "sleep", "1000"])
            os.symlink("wait", world.rootfs / "bin/busybox")
            spec["process"]["args"] = ["/bin/busybox", "sleep", "1000"]
        if self.config != "bare":
            spec["mounts"] = [mount for mount in w.bundles.default_spec()["mounts"]
                              if mount["destination"] not in ("/sys", "/sys/fs/cgroup")]
            spec["linux"]["sysctl"] = {"kernel.domainname": "inner"}
        else:
            spec["mounts"] = [world.proc()]
        if self.config == "join":
            spec["linux"]["namespaces"][0]["path"] = self.pid_namespace
        spec["mounts"] += [
            {"destination": "/m/a/b", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
            world.bind(world.directory / "volume", "/m/f", "ro")]
        spec["linux"]["maskedPaths"] = ["/tmp/mask", "/sys/firmware"]
        spec["linux"]["readonlyPaths"] = ["/tmp/ro"]
        world.write(spec)

    def _change(self, component, change):
        """(how, one, other) for the supervisor; makes what the component is exchanged with."""
        world = self.world
        target, other = world.rootfs / component, world.bundle / "other"
        directory = component in DIRECTORIES
        if change in ("link", "relative"):
            inside = str(world.canary) if change == "link" else "../../../../canary"
            other.symlink_to(inside if directory else f"{inside}/f")
        elif change == "other":
            other.touch() if directory else other.mkdir()
        elif change == "gone":
            return "rename", target, other
        else:
            return "bind", world.directory / ("decoy" if directory else "volume"), target
        return "exchange", target, other

    def run(self, role, call, component, change, back):
        """One interleaving; returns (exit code, whether the change was made, calls by role)."""
        world = self.world
        words = [self.options.supervisor, self.report, "/bin/run", role, call, back,
                 *self._change(component, change), world.runtime, "--root", world.state]
        console = None
        if self.config == "exec":
            words += ["exec", "--cwd", "/w", self.name, "/bin/run", "walk",
                      world.canary / "secret"]
        elif self.config == "terminal":
            console = w.Console(world.directory / "console")
            words += ["run", "--detach", "--console-socket", console.path, "--bundle", world.bundle]
        else:
            words += ["run", "--bundle", world.bundle]
        if self.config != "exec":
            words.append(world.name())
        with open(world.directory / "out", "w+b") as out:
            subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                           timeout=100, check=False, cwd=world.directory)
            out.seek(0)
            world.outputs = [out.read().decode(errors="replace")]
        code, fired, _, *calls = map(int, self.report.read_text().split())
        if console:
            self._finish(console, world.names[-1], code)
        self._undo()
        if code == 124:
            world.hit("O7: hangs")
        elif 128 <= code < 255:
            world.hit(f"O7: ended with {code}")
        return code, fired, calls

    def _finish(self, console, name, code):
        """The output of a container with a terminal, and its end."""
        console.listener.settimeout(0)
        master = console.receive() if code == 0 else None
        while master is not None:
            try:
                self.world.outputs.append(os.read(master, 4096).decode(errors="replace"))
            except OSError:     # EIO: the last slave is closed
                os.close(master)
                master = None
        console.__exit__()
        self.world.delete(name)

    def _undo(self):
        """Makes the root filesystem new; the one of a running container is only repaired."""
        self.world.remove(self.world.bundle / "other")
        if self.config != "exec":
            self.world.remove(self.world.rootfs)
        self.fill()

    def check(self):
        """The hits since the last check; what leaks is looked for in the end."""
        found = self.world.check(leaks=False)
        if socket.gethostname() != self.options.hostname:
            found.append("O5: the host's name has changed")
        self.world.found = []
        return found

    def close(self):
        """Ends the container; returns the leaks."""
        if self.name:
            self.world.delete(self.name)
        if self.pod:
            self.pod.kill()
            self.pod.wait()
        leaks = [] if self.options.expect_hits else self.world.check(leaks=True)
        self.world.close()
        return leaks


def plan(options, top, config):
    """All interleavings of a configuration."""
    stage = Stage(options, top / f"count-{config}", config)
    try:
        code, _, calls = stage.run(-1, -1, "w", "other", 0)
        if code != 0:
            raise RuntimeError(f"{config} does not run at all: {stage.world.outputs}")
    finally:
        stage.close()
    together = [(-1, n) for n in range(sum(calls))]
    # Threads and their numbers vary in a control: all together are counted there.
    points = together if options.expect_hits else [
        (role, n) for role, count in enumerate(calls) for n in range(count)]
    return [(config, role, call, component, change, back) for role, call in points
            for component in COMPONENTS for change, back in CHANGES]


def work(options, top, cases):
    """(hits, tried, made)."""
    hits, tried, made, stage = [], 0, 0, None
    for number, case in enumerate(cases):
        if stage and (stage.config != case[0] or number % 200 == 0):
            hits += [f"after {cases[number - 1]}: {text}" for text in stage.close()]
            stage = None
        if not stage:
            stage = Stage(options, top / f"s{number}", case[0])
        _, fired, _ = stage.run(*case[1:])
        tried, made = tried + 1, made + fired
        found = stage.check()
        if found:
            hits.append(f"{case}: {found[0]}")
            stage.close()
            stage = None
            if len(hits) > 20:
                break
    if stage:
        hits += stage.close()
    return hits, tried, made


def _child(options, cases, number, queue):
    w.set_apart()
    top = pathlib.Path(tempfile.mkdtemp(prefix="creel-inter-"))
    w.mount("interleave", top, "tmpfs", 0, "mode=755")
    try:
        if cases is None:
            queue.put([plan(options, top, config) for config in options.configs])
        else:
            queue.put(work(options, top, cases[number::options.jobs]))
    except Exception as error:  # pylint: disable=broad-except
        queue.put(([f"the sweep itself: {error!r}"], 0, 0))
        raise
    finally:
        os.chdir("/")
        w.unmount(top)
        top.rmdir()


def _spawn(options, cases, jobs):
    """Runs children, each in a mount namespace of its own; returns what they put."""
    queue = multiprocessing.Queue()
    children = [multiprocessing.Process(target=_child, args=(options, cases, n, queue))
                for n in range(jobs)]
    for child in children:
        child.start()
    results = [queue.get() for _ in children]
    for child in children:
        child.join()
    return results


def sweep(options):
    """Plans and tries; returns the exit code."""
    start = time.monotonic()
    plans = _spawn(options, None, 1)[0]
    if isinstance(plans, tuple):
        sys.exit(plans[0][0])
    cases = [case for one in plans for case in one]
    if options.limit and options.limit < len(cases):
        cases = [cases[i * len(cases) // options.limit] for i in range(options.limit)]
    results = _spawn(options, cases, options.jobs)
    hits = [hit for result in results for hit in result[0]]
    tried, made = (sum(result[i] for result in results) for i in (1, 2))
    print("\n".join(f"HIT {hit}" for hit in hits))
    print(f"interleave: {tried} interleavings of {sum(map(len, plans))} tried, {made} with the change "
          f"made in time, {len(hits)} hits, {time.monotonic() - start:.0f} s")
    if options.expect_hits:
        return 0 if hits else 1
    return 1 if hits or tried < len(cases) or not made else 0


def main():
    """0 when there is no hit, or when hits are expected and there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", default=os.environ.get("CREEL") or str(
        w.TESTS.parent / "build" / "creel"))
    parser.add_argument("--programs", help="built programs; else they are compiled")
    parser.add_argument("--configs", default=",".join(CONFIGS))
    parser.add_argument("--components", help="only these")
    parser.add_argument("--limit", type=int, help="try so many, evenly spread")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--expect-hits", action="store_true", help="a control")
    options = parser.parse_args()
    options.configs = options.configs.split(",")
    options.hostname = socket.gethostname()
    if options.components:
        COMPONENTS[:] = options.components.split(",")
    with tempfile.TemporaryDirectory(prefix="creel-inter-") as directory:
        if options.programs:
            options.inside = {f"/bin/{path.name}": path for path in
                              pathlib.Path(options.programs).iterdir()}
        else:
            options.inside = {**w.build(directory), "/bin/interleave": w.bundles.compile_static(
                pathlib.Path(directory) / "interleave", w.TESTS / "attacks" / "interleave.c")}
        options.supervisor = options.inside.pop("/bin/interleave")
        return sweep(options)


if __name__ == "__main__":
    sys.exit(main())

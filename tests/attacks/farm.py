#!/usr/bin/python3
"""SECURITY T1, the farm: every path that a runtime touches in a root filesystem, replaced by every
kind of thing that an image can have there.  Canary, mounts and leaks are compared after each batch;
a batch with a hit is run again one by one.

	farm.py [--runtime PATH] [--programs DIRECTORY] [--paths PATH,...] [--quick]
"""

import argparse
import multiprocessing
import os
import pathlib
import socket
import stat
import sys
import tempfile
import time

import world as w

BATCH = 40

PATHS = ["/dev", *(f"/dev/{name}" for name in (
    "null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "pts/ptmx", "shm",
    "mqueue", "fd", "stdin", "stdout", "stderr", "core", "extra")),
    "/proc", "/proc/self", "/proc/self/fd", "/proc/self/attr", "/proc/self/exe", "/proc/sys",
    "/sys", "/sys/fs", "/sys/fs/cgroup", "/sys/kernel", "/sys/firmware",
    "/etc", "/etc/passwd", "/etc/group", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf",
    "/etc/mtab", "/run", "/tmp", "/bin", "/usr",
    "/m", "/m/a", "/m/a/b", "/m/f", "/m/copy", "/w", "/bin/run",
    "/tmp/mask", "/tmp/maskdir", "/tmp/maskdir/x", "/tmp/ro", "/tmp/ro/x"]

LINKS = {
    "absolute": "{canary}", "absolute-file": "{canary}/f", "absolute-new": "{canary}/new",
    "relative": "../../canary", "relative-deep": "../../../../../../..{canary}",
    "self-root": "/proc/self/root", "one-root": "/proc/1/root", "self-cwd": "/proc/self/cwd",
    "self-exe": "/proc/self/exe", "one-canary": "/proc/1/root{canary}",
    "knob": "/proc/sys/kernel/hostname", "attr": "/proc/self/attr/exec", "dangling": "/nowhere/x",
    "dot": ".", "dots": "../..", "long": "x/" * 2047, **{
        f"fd{number}": f"/proc/self/fd/{number}" for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12,
                                                               16, 24, 32, 64)},
}

THINGS = ["loop", "chain", "fifo", "socket", "character", "block", "file", "setuid", "directory",
          "closed", "sticky", "crowded"]


def make_thing(path, kind, world):
    """Puts something that is no plain link at PATH."""
    if kind == "loop":
        path.symlink_to(path.name)
    elif kind == "chain":
        for number in range(41):
            (path.parent / f"chain{number}").symlink_to(f"chain{number + 1}")
        (path.parent / "chain41").symlink_to(world.canary)
        path.symlink_to("chain0")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            os.chdir(path.parent)
            listener.bind(path.name)
            os.chdir("/")
    elif kind == "character":
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    elif kind == "block":
        os.mknod(path, stat.S_IFBLK | 0o666, os.makedev(240, 0))
    elif kind in ("file", "setuid"):
        path.write_text("hostile\n")
        path.chmod(0o4777 if kind == "setuid" else 0o644)
    else:
        path.mkdir()
        if kind == "crowded":
            for number in range(2000):
                (path / f"entry{number}").touch()
        path.chmod({"closed": 0, "sticky": 0o1777}.get(kind, 0o755))


def make_case(world, case):
    """The root filesystem of a case, out of hard links."""
    path, kind = case
    world.remove(world.rootfs)
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp/maskdir/x", "tmp/ro/x", "run", "usr/bin",
                 "m/a/b", "m/copy", "w"):
        (world.rootfs / name).mkdir(parents=True)
    for name in ("bin/run", "bin/payload"):
        os.link(world.source, world.rootfs / name)
    for name in ("tmp/mask", "m/f", "etc/passwd", "m/copy/file"):
        (world.rootfs / name).write_text("root:x:0:0::/root:/bin/sh\n")
    place = world.rootfs / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    world.remove(place)
    if kind in LINKS:
        target = LINKS[kind].format(canary=world.canary)
        place.symlink_to(target[:4095])
    else:
        make_thing(place, kind, world)


def make_spec(world, mounted):
    """MOUNTED: with what engines mount, or as bare as a bundle can be."""
    spec = world.spec("/bin/run", "walk", str(world.canary / "secret"), cwd="/w")
    if mounted:
        spec["mounts"] = [mount for mount in w.bundles.default_spec()["mounts"]
                          if mount["destination"] not in ("/sys", "/sys/fs/cgroup")]
    spec["mounts"] += [
        {"destination": "/m/a/b", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
        world.bind(world.directory / "volume", "/m/f", "ro"),
        {"destination": "/m/copy", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}]
    spec["linux"]["maskedPaths"] = ["/tmp/mask", "/tmp/maskdir", "/sys/firmware", "/proc/kcore"]
    spec["linux"]["readonlyPaths"] = ["/tmp/ro", "/proc/sys", "/proc/bus"]
    spec["linux"]["devices"] = [{"path": "/dev/extra", "type": "c", "major": 1, "minor": 5,
                                 "fileMode": 438, "uid": 0, "gid": 0}]
    spec["root"]["readonly"] = mounted
    return spec


def run_cases(options, place, cases, leaks):
    """Runs CASES in one world; returns (hits, runs, started)."""
    world = w.World(options.runtime, place, options.inside)
    try:
        world.source = world.directory / "payload"
        world.source.write_bytes(pathlib.Path(options.inside["/bin/payload"]).read_bytes())
        world.source.chmod(0o755)
        (world.directory / "volume").write_text("volume\n")
        for path, kind, mounted in cases:
            make_case(world, (path, kind))
            world.run(make_spec(world, mounted))
        return world.check(leaks), len(world.results), sum(r.code == 0 for r in world.results)
    finally:
        world.close()


def work(options, top, cases):
    """All batches of one process: (hits, runs, started)."""
    hits, runs, started = [], 0, 0
    for first in range(0, len(cases), BATCH):
        batch = cases[first:first + BATCH]
        found, n, good = run_cases(options, top / f"b{first}", batch, not options.expect_hits)
        runs, started = runs + n, started + good
        if not found:
            continue
        for number, case in enumerate(batch):
            single, _, _ = run_cases(options, top / f"s{first}-{number}", [case],
                                     not options.expect_hits)
            hits += [f"{case[1]} at {case[0]}, {'usual' if case[2] else 'no'} mounts: {single[0]}"
                     ] if single else []
        if not hits:
            hits.append(f"only together, from {batch[0]} to {batch[-1]}: {found[0]}")
    return hits, runs, started


def _child(options, number, cases, queue):
    w.set_apart()
    top = pathlib.Path(tempfile.mkdtemp(prefix="creel-farm-"))
    w.mount("farm", top, "tmpfs", 0, "mode=755")
    try:
        queue.put(work(options, top, cases[number::options.jobs]))
    except Exception as error:  # pylint: disable=broad-except
        queue.put(([f"the farm itself: {error!r}"], 0, 0))
        raise
    finally:
        os.chdir("/")
        w.unmount(top)
        top.rmdir()


def main():
    """0 when there is no hit, or when hits are expected and there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", default=os.environ.get("CREEL") or str(
        w.TESTS.parent / "build" / "creel"))
    parser.add_argument("--programs", help="built programs; else they are compiled")
    parser.add_argument("--paths", help="only these")
    parser.add_argument("--quick", action="store_true", help="one run for each, with or without the "
                        "usual mounts in turn")
    parser.add_argument("--every", type=int, default=1, help="only every so manieth, for slow machines")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--expect-hits", action="store_true", help="a control: no leaks are counted")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="creel-farm-") as directory:
        options.inside = ({f"/bin/{path.name}": path for path in
                           pathlib.Path(options.programs).iterdir()} if options.programs
                          else w.build(directory))
        paths = options.paths.split(",") if options.paths else PATHS
        systems = [(path, kind) for path in paths for kind in [*LINKS, *THINGS]][::options.every]
        cases = [(*system, mounted) for i, system in enumerate(systems)
                 for mounted in (False, True) if not options.quick or i % 2 == mounted]
        queue = multiprocessing.Queue()
        start = time.monotonic()
        children = [multiprocessing.Process(target=_child, args=(options, n, cases, queue))
                    for n in range(options.jobs)]
        for child in children:
            child.start()
        results = [queue.get() for _ in children]
        for child in children:
            child.join()
    hits = [hit for result in results for hit in result[0]]
    runs, started = (sum(result[i] for result in results) for i in (1, 2))
    print("\n".join(f"HIT {hit}" for hit in hits))
    print(f"farm: {len(systems)} hostile root filesystems, {runs} runs, {started} containers started "
          f"and {runs - started} refused, {len(hits)} hits, {time.monotonic() - start:.0f} s")
    if options.expect_hits:
        return 0 if hits else 1
    return 1 if hits or runs < len(cases) or not started else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""The attacks without pytest or a compiler, for the laboratories.

	control.py PROGRAMS            attacks with peers, against each of them: the control group
	control.py PROGRAMS RUNTIME [JOBS]    all attacks, against RUNTIME, so many at once; 1 when one
	                                      succeeds

PROGRAMS is a directory with the built programs.  The last line of the first form is a JSON object
from the id of an attack and the name of a runtime to the hits.
"""

import json
import multiprocessing
import pathlib
import sys
import tempfile

import world as w

import descriptors  # noqa: F401
import facilities  # noqa: F401
import hostilefs  # noqa: F401
import identity  # noqa: F401
import paths  # noqa: F401


PATHS = {"runc": "/usr/sbin/runc", "crun": "/usr/bin/crun"}


def carry_out(attack, runtime, place, inside, leaks):
    """The hits of one attack; what goes wrong in the attack itself is told, and is no hit."""
    world = w.World(runtime, place, inside)
    try:
        return attack.run(world, leaks)
    except Exception as error:  # pylint: disable=broad-except
        print(f"{attack.id}: {error!r}", *map(str, world.results), file=sys.stderr, sep="\n  ")
        return None
    finally:
        world.close()


def work(programs, runtime, number, jobs, queue):
    """Every so manieth attack, in mounts of its own; puts (hits by attack and runtime, not carried out, limits)."""
    w.set_apart()
    top = pathlib.Path(tempfile.mkdtemp(prefix="creel-control-"))
    w.mount("control", top, "tmpfs", 0, "mode=755")
    inside = {f"/bin/{path.name}": path for path in pathlib.Path(programs).iterdir()}
    found, broken, limits = {}, 0, 0
    for i, attack in list(enumerate(w.ATTACKS))[number::jobs]:
        for peer in [runtime] if runtime else attack.peers:
            hits = carry_out(attack, PATHS.get(peer, peer), top / f"{i}", inside,
                             leaks=bool(runtime))
            broken += hits is None
            limits += bool(runtime and attack.limit and hits)
            if not runtime or hits and not attack.limit:
                found[f"{attack.id} {peer}"] = hits or []
    w.unmount(top)
    top.rmdir()
    queue.put((found, broken, limits))


def main(programs, runtime=None, jobs="1"):
    """Returns the exit code."""
    queue = multiprocessing.Queue()
    children = [multiprocessing.Process(target=work, args=(programs, runtime, n, int(jobs), queue))
                for n in range(int(jobs))]
    for child in children:
        child.start()
    results = [queue.get() for _ in children]
    for child in children:
        child.join()
    found = {key: hits for result in results for key, hits in result[0].items()}
    broken, limits = (sum(result[i] for result in results) for i in (1, 2))
    print(json.dumps(found))
    if not runtime:
        return 0
    print(f"attacks: {len(w.ATTACKS)} tried, {len(found)} succeeded, {limits} documented limits, "
          f"{broken} not carried out")
    return 1 if found or broken else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

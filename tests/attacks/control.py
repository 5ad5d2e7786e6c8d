#!/usr/bin/python3
"""The control group: attacks against runtimes that are known to be vulnerable, for the fast lab.

Prints a JSON object from the id of an attack and the name of a runtime to the hits.  It needs
neither pytest nor a compiler: PROGRAMS is a directory with the built programs.
"""

import json
import pathlib
import sys
import tempfile

import world as w

import descriptors  # noqa: F401
import facilities  # noqa: F401
import identity  # noqa: F401
import paths  # noqa: F401


def main(programs):
    """Runs every attack that names peers, against each of them."""
    w.set_apart()
    top = pathlib.Path(tempfile.mkdtemp(prefix="creel-control-"))
    w.mount("control", top, "tmpfs", 0, "mode=755")
    inside = {f"/bin/{path.name}": path for path in pathlib.Path(programs).iterdir()}
    found = {}
    for number, attack in enumerate(w.ATTACKS):
        for peer in attack.peers:
            world = w.World(f"/usr/bin/{peer}" if peer == "crun" else "/usr/sbin/runc",
                            top / f"{number}-{peer}", inside)
            try:
                found[f"{attack.id} {peer}"] = attack.run(world, leaks=False)
            except Exception as error:  # pylint: disable=broad-except
                found[f"{attack.id} {peer}"] = []
                print(f"{attack.id} {peer}: {error!r}", file=sys.stderr)
            finally:
                if not found[f"{attack.id} {peer}"] and "-v" in sys.argv:
                    print(attack.id, peer, *map(str, world.results), file=sys.stderr, sep="\n  ")
                world.close()
    w.unmount(top)
    top.rmdir()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])

"""How little memory a container needs to start, and that none of creel's own stays charged to it."""

import json
import shutil
import subprocess

import limits
import pytest

KIB = 1024
STEPS = [64, 96, 128, 192, 256, 320, 384, 448, 512, 640, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384]
TRIES = 3


def runs(argv, creel, limit):
    """Whether a container that has LIMIT bytes runs its program to the end, each time."""
    bundle = creel.bundle("/bin/probe", "exit", "0")
    bundle.spec["linux"].setdefault("resources", {})["memory"] = {"limit": limit, "swap": limit}
    bundle.write()
    for _ in range(TRIES):
        done = subprocess.run([*argv, "run", "--bundle", str(bundle.path), creel.id("memory")], check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        if done.returncode != 0:
            return False
    return True


def smallest(argv, creel):
    """In KiB."""
    for kib in STEPS:
        if runs(argv, creel, kib * KIB):
            return kib
    pytest.fail(f"{argv[0]} starts nothing in {STEPS[-1]} KiB")


def test_the_smallest_limit(creel, tmp_path):
    found = {"creel": smallest([creel.binary, "--root", str(tmp_path / "creel")], creel)}
    for name in ("crun", "runc"):
        if path := shutil.which(name):
            found[name] = smallest([path, "--root", str(tmp_path / name)], creel)
    print(json.dumps({"smallest memory.max in KiB": found}))
    assert found["creel"] <= 512


def test_none_of_our_memory_stays(creel):
    """What is charged to a sleeping container is its own: a static program, its stack and page tables."""
    with limits.container(creel, memory={"limit": 64 * limits.MIB}) as name:
        charged = int(limits.read(name, "memory.current"))
        print(json.dumps({"memory.current in KiB": charged // KIB}))
        assert charged < 600 * KIB, limits.read(name, "memory.stat")

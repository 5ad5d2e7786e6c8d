"""Each member of linux.resources: the kernel's file is read back, and the limits bite."""

import json
import os
import pathlib
import subprocess
import time

import harness
import limits
import pytest
from limits import MIB

MAJOR, MINOR = limits.disk() if pathlib.Path("/sys/block/vda").exists() else (0, 0)
DISK = f"{MAJOR}:{MINOR}"


def throttle(kind, rate):
    """One row of blockIO."""
    return {f"throttle{kind}Device": [{"major": MAJOR, "minor": MINOR, "rate": rate}]}


ROWS = [
    # resources, file, what the kernel says
    ({"memory": {"limit": 64 * MIB}}, "memory.max", "67108864"),
    ({"memory": {"limit": -1}}, "memory.max", "max"),
    ({"memory": {"limit": 0}}, "memory.max", "max"),
    ({"memory": {"reservation": 32 * MIB}}, "memory.low", "33554432"),
    ({"memory": {"reservation": -1}}, "memory.low", "max"),
    ({"memory": {"limit": 64 * MIB, "swap": 96 * MIB}}, "memory.swap.max", "33554432"),
    ({"memory": {"limit": 64 * MIB, "swap": 64 * MIB}}, "memory.swap.max", "0"),
    ({"memory": {"limit": 64 * MIB, "swap": -1}}, "memory.swap.max", "max"),
    ({"memory": {"limit": 64 * MIB, "swap": 0}}, "memory.swap.max", "max"),
    ({"cpu": {"shares": 2}}, "cpu.weight", "1"),
    ({"cpu": {"shares": 1024}}, "cpu.weight", "100"),
    ({"cpu": {"shares": 262144}}, "cpu.weight", "10000"),
    ({"cpu": {"shares": 0}}, "cpu.weight", "100"),
    ({"cpu": {"quota": 25000, "period": 50000}}, "cpu.max", "25000 50000"),
    ({"cpu": {"quota": 25000}}, "cpu.max", "25000 100000"),
    ({"cpu": {"quota": -1, "period": 50000}}, "cpu.max", "max 50000"),
    ({"cpu": {"quota": 25000, "period": 50000, "burst": 12000}}, "cpu.max.burst", "12000"),
    ({"cpu": {"idle": 1}}, "cpu.idle", "1"),
    ({"cpu": {"idle": 1, "shares": 1024}}, "cpu.idle", "1"),
    ({"cpu": {"cpus": "1"}}, "cpuset.cpus", "1"),
    ({"cpu": {"cpus": "0-1"}}, "cpuset.cpus", "0-1"),
    ({"cpu": {"mems": "0"}}, "cpuset.mems", "0"),
    ({"pids": {"limit": 77}}, "pids.max", "77"),
    ({"pids": {"limit": -1}}, "pids.max", "max"),
    ({"pids": {"limit": 0}}, "pids.max", "0"),
    ({"pids": {}}, "pids.max", "max"),
    ({"blockIO": {"weight": 10}}, "io.weight", "default 1"),
    ({"blockIO": {"weight": 500}}, "io.weight", "default 4950"),
    ({"blockIO": {"weight": 1000}}, "io.weight", "default 10000"),
    ({"blockIO": throttle("ReadBps", 1048576)}, "io.max",
     f"{DISK} rbps=1048576 wbps=max riops=max wiops=max"),
    ({"blockIO": throttle("WriteBps", 2097152)}, "io.max",
     f"{DISK} rbps=max wbps=2097152 riops=max wiops=max"),
    ({"blockIO": throttle("ReadIOPS", 100)}, "io.max",
     f"{DISK} rbps=max wbps=max riops=100 wiops=max"),
    ({"blockIO": {**throttle("WriteIOPS", 200), **throttle("ReadIOPS", 300)}}, "io.max",
     f"{DISK} rbps=max wbps=max riops=300 wiops=200"),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]}, "hugetlb.2MB.max", "4194304"),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]}, "hugetlb.2MB.rsvd.max",
     "4194304"),
    ({"unified": {"memory.high": "50331648"}}, "memory.high", "50331648"),
    ({"unified": {"memory.oom.group": "1"}}, "memory.oom.group", "1"),
    ({"unified": {"io.max": f"{DISK} rbps=1048576\n{DISK} wiops=500"}}, "io.max",
     f"{DISK} rbps=1048576 wbps=max riops=max wiops=500"),
    # the last word
    ({"pids": {"limit": 10}, "unified": {"pids.max": "20"}}, "pids.max", "20"),
]


def row_id(row):
    return json.dumps(row[0], separators=(",", ":")) + "-" + row[1]


@pytest.mark.parametrize("resources, file, text", ROWS, ids=map(row_id, ROWS))
def test_row(creel, resources, file, text):
    # Created is enough: the limits are there before the program is.
    name = creel.id("vm")
    with creel.running(limits.bundle(creel, name, **resources), name=name, started=False):
        assert limits.read(name, file) == text


def test_bfq(creel):
    """Its own file and its own scale; without it the weights are iocost's."""
    devices = {"weightDevice": [{"major": MAJOR, "minor": MINOR, "weight": 300}]}
    name = creel.id("vm")
    result = creel.fails("io.weight", "create", "--bundle",
                         limits.bundle(creel, name, blockIO=devices).path, name)
    assert result.error["pointer"] == "/linux/resources/blockIO/weightDevice/0"
    qos = limits.CGROUPS / "io.cost.qos"
    qos.write_text(f"{DISK} enable=1")
    with limits.container(creel, blockIO={"weight": 200, **devices}) as name:
        assert limits.read(name, "io.weight") == f"default {1 + 190 * 9999 // 990}\n" \
            f"{DISK} {1 + 290 * 9999 // 990}"
    qos.write_text(f"{DISK} enable=0")
    with harness.bfq(), limits.container(creel, blockIO={"weight": 200, **devices}) as name:
        assert limits.read(name, "io.bfq.weight") == f"default 200\n{DISK} 300"
        assert limits.read(name, "io.weight") == "default 100"
        creel.ok("update", "--blkio-weight", "700", name)
        assert limits.read(name, "io.bfq.weight") == f"default 700\n{DISK} 300"
        assert limits.read(name, "io.weight") == "default 100"
        # all or none
        lines = [{"major": MAJOR, "minor": MINOR, "weight": 400},
                 {"major": 99, "minor": 9, "weight": 400}]
        result = creel.fails("io.bfq.weight", "update", "--resources", "-", name, data=json.dumps(
            {"blockIO": {"weight": 500, "weightDevice": lines}}))
        assert result.error["pointer"] == "/blockIO/weightDevice/1"
        assert limits.read(name, "io.bfq.weight") == f"default 700\n{DISK} 300"


def test_rdma_without_the_device(creel):
    name = creel.id("vm")
    bundle = limits.bundle(creel, name, rdma={"mlx5_0": {"hcaHandles": 2}})
    result = creel.fails("mlx5_0", "create", "--bundle", bundle.path, name)
    assert result.error["pointer"] == "/linux/resources/rdma/mlx5_0"


def test_rdma(creel):
    """A device in software."""
    harness.require_program("rdma")
    for words in (["modprobe", "rdma_rxe"], ["ip", "link", "add", "creel0", "type", "dummy"],
                  ["ip", "link", "set", "creel0", "up"],
                  ["rdma", "link", "add", "rxe0", "type", "rxe", "netdev", "creel0"]):
        subprocess.run(words, check=True, timeout=60)
    try:
        rdma = {"rxe0": {"hcaHandles": 2, "hcaObjects": 200}}
        with limits.container(creel, rdma=rdma) as name:
            assert limits.read(name, "rdma.max") == "rxe0 hca_handle=2 hca_object=200"
            creel.ok("update", "--resources", "-", name,
                     data=json.dumps({"rdma": {"rxe0": {"hcaHandles": 3}}}))
            assert limits.read(name, "rdma.max") == "rxe0 hca_handle=3 hca_object=200"
    finally:
        subprocess.run(["rdma", "link", "delete", "rxe0"], check=True, timeout=60)
        subprocess.run(["ip", "link", "delete", "creel0"], check=True, timeout=60)


@pytest.mark.parametrize("resources, pointer", [
    ({"cpu": {"cpus": "77"}}, "/linux/resources/cpu/cpus"),
    ({"hugepageLimits": [{"pageSize": "3MB", "limit": 4}]}, "/linux/resources/hugepageLimits/0"),
    ({"blockIO": {"throttleReadBpsDevice": [{"major": 99, "minor": 9, "rate": 1}]}},
     "/linux/resources/blockIO/throttleReadBpsDevice/0"),
    ({"unified": {"nosuch.max": "1"}}, "/linux/resources/unified/nosuch.max"),
    ({"unified": {"memory.nosuch": "1"}}, "/linux/resources/unified/memory.nosuch"),
])
def test_refused(creel, resources, pointer):
    name = creel.id("vm")
    result = creel.fails("", "create", "--bundle",
                         limits.bundle(creel, name, **resources).path, name)
    assert result.error["pointer"] == pointer
    assert not (limits.CGROUPS / name).exists()


# They bite


def test_memory_bites(creel):
    result, name = limits.run(creel, "/bin/probe", "hog", str(64 * MIB),
                              memory={"limit": 16 * MIB, "swap": 16 * MIB})
    assert result.code == 137, str(result)
    assert f"/{name} hit its memory limit of {16 * MIB} bytes" in result.err


def test_memory_of_a_parent_bites(creel):
    name = creel.id("vm")
    bundle = limits.bundle(creel, name, "/bin/probe", "hog", str(64 * MIB))
    bundle.spec["linux"]["cgroupsPath"] = f"/{name}/inner"
    bundle.write()
    parent = limits.CGROUPS / name
    parent.mkdir()
    try:
        (limits.CGROUPS / "cgroup.subtree_control").write_text("+memory")
        (parent / "memory.max").write_text(str(16 * MIB))
        (parent / "memory.swap.max").write_text("0")
        result = creel.run("run", "--bundle", bundle.path, name)
        assert result.code == 137, str(result)
        assert f"the cgroup /{name} hit its memory limit of {16 * MIB} bytes" in result.err
    finally:
        parent.rmdir()


def test_memory_of_exec_bites(creel):
    with limits.container(creel, memory={"limit": 16 * MIB, "swap": 16 * MIB}) as name:
        result = creel.run("exec", name, "/bin/probe", "hog", str(64 * MIB))
        assert result.code == 137, str(result)
        assert f"/{name} hit its memory limit of {16 * MIB} bytes" in result.err
        # an exec that is killed otherwise says nothing of memory
        result = creel.run("exec", name, "/bin/probe", "kill", "9")
        assert (result.code, result.err) == (137, "")


def test_memory_too_low_to_start(creel):
    """The init itself dies of the limit: create or start says so."""
    name = creel.id("vm")
    bundle = limits.bundle(creel, name, memory={"limit": 65536, "swap": 65536})
    result = creel.run("run", "--bundle", bundle.path, name, log=True)
    assert result.code != 0
    said = result.err + str(result.log)
    assert "memory" in said and f"/{name} hit its memory limit of 65536 bytes" in said, said


@pytest.mark.parametrize("how", ["exec", "hook"])
def test_memory_ends_the_start(creel, how):
    """The init waits to be started, and dies of the limit on its way into the program."""
    name = creel.id("vm")
    def change(spec):
        if how == "hook":
            # what the hook takes is the container's, and all of it dies together
            spec["hooks"] = {"startContainer": [{"path": "/bin/probe", "args": [
                "probe", "hog", str(64 * MIB)]}]}
            spec["linux"]["resources"]["unified"] = {"memory.oom.group": "1"}
        else:
            # execve copies the arguments
            spec["process"]["args"] += ["x" * 120000] * 16
            spec["process"]["rlimits"] = [
                {"type": "RLIMIT_STACK", "soft": 64 * MIB, "hard": 64 * MIB}]
    bundle = limits.bundle(creel, name, change=change, memory={"limit": 64 * MIB, "swap": 64 * MIB})
    creel.create(bundle, name=name)
    try:
        used = int(limits.read(name, "memory.current"))
        limit = 16 * MIB if how == "hook" else used + MIB // 2
        creel.ok("update", "--memory", str(limit), "--memory-swap", str(limit), name)
        limit = int(limits.read(name, "memory.max"))
        result = creel.fails("container init was OOM-killed", "start", name)
        assert f"the cgroup /{name} hit its memory limit of {limit} bytes" in result.err
        assert result.error["pointer"] == "/linux/resources/memory/limit"
        creel.wait_status(name, "stopped")
    finally:
        creel.ok("delete", "--force", name)


def test_memory_ends_the_wait_for_start(creel):
    """Another fills the cgroup while the init waits: start says why there is none."""
    name = creel.id("vm")
    bundle = limits.bundle(creel, name, memory={"limit": 64 * MIB, "swap": 64 * MIB},
                           unified={"memory.oom.group": "1"})
    creel.create(bundle, name=name)
    try:
        enter = f"echo $$ > {limits.CGROUPS / name}/cgroup.procs && exec "
        subprocess.run(["sh", "-c", f"{enter}{os.environ['CREEL_PROBE']} hog {96 * MIB}"],
                       check=False, timeout=60)
        creel.wait_status(name, "stopped")
        result = creel.fails("container init was OOM-killed", "start", name)
        assert f"the cgroup /{name} hit its memory limit of {64 * MIB} bytes" in result.err
    finally:
        creel.ok("delete", "--force", name)


def test_pids_bite(creel):
    result, _ = limits.run(creel, "/bin/probe", "forks", "50", pids={"limit": 10})
    assert result.code == 0, str(result)
    assert result.out.strip() == "9"


def test_cpu_bites(creel):
    result, _ = limits.run(creel, "/bin/probe", "spin", "2", cpu={"quota": 20000, "period": 100000})
    used = {name: float(seconds) for name, seconds in result.json().items()}
    assert used["cpu"] < 0.4 * used["elapsed"], used


def test_cpuset_bites(creel):
    result, _ = limits.run(creel, "/bin/probe", "sections", "affinity", cpu={"cpus": "1"})
    assert result.code == 0, str(result)
    assert result.json()["affinity"] in ([1], "1"), result.out


DISK_NODE = {"path": "/dev/disk", "type": "b", "major": MAJOR, "minor": MINOR, "fileMode": 0o600}
DENY = {"allow": False, "access": "rwm"}
READ_DISK = {"allow": True, "type": "b", "major": MAJOR, "minor": MINOR, "access": "r"}


def with_disk(spec):
    spec["linux"]["devices"] = [DISK_NODE]


def test_io_bites(creel):
    """2 MiB at 1 MiB a second, past the page cache."""
    copy = ("/bin/busybox", "dd", "if=/dev/disk", "of=/dev/null", "bs=65536", "count=32",
            "iflag=direct")
    took = []
    for blockio in ({}, throttle("ReadBps", MIB)):
        begin = time.monotonic()
        result, _ = limits.run(creel, *copy, change=with_disk, devices=[DENY, READ_DISK],
                               blockIO=blockio)
        took.append(time.monotonic() - begin)
        assert result.code == 0, str(result)
    assert took[1] > 1.5 and took[1] > took[0] + 1, took


@pytest.mark.parametrize("rules, how, allowed", [
    ([DENY], "r", False),
    ([DENY, READ_DISK], "r", True),
    ([DENY, READ_DISK], "rw", False),
    ([DENY, READ_DISK, {**READ_DISK, "allow": False}], "r", False),
])
def test_devices_bite(creel, rules, how, allowed):
    result, _ = limits.run(creel, "/bin/probe", "open", "/dev/disk", how, change=with_disk,
                           devices=rules)
    assert (result.code == 0) == allowed, str(result)

"""`update`: every option is read back from the kernel's file; all of it is set, or nothing."""

import json
import subprocess
import time

import limits
import pytest
from limits import MIB, read

MEMORY = {"limit": 64 * MIB, "swap": 128 * MIB}


@pytest.mark.parametrize("options, file, text", [
    (("--memory", "48m"), "memory.max", str(48 * MIB)),
    (("--memory", "-1"), "memory.max", "max"),
    (("--memory", "-1"), "memory.swap.max", "max"),
    (("--memory-swap", "96m"), "memory.swap.max", str(32 * MIB)),
    (("--memory", "32m", "--memory-swap", "32m"), "memory.swap.max", "0"),
    (("--memory-swap", "-1"), "memory.swap.max", "max"),
    (("--memory-reservation", "16m"), "memory.low", str(16 * MIB)),
    (("--cpu-share", "512"), "cpu.weight", "59"),
    (("--cpu-quota", "30000"), "cpu.max", "30000 50000"),
    (("--cpu-quota", "-1"), "cpu.max", "max 50000"),
    (("--cpu-period", "100000"), "cpu.max", "25000 100000"),
    (("--cpu-burst", "10000"), "cpu.max.burst", "10000"),
    (("--cpu-idle", "1"), "cpu.idle", "1"),
    (("--cpuset-cpus", "1"), "cpuset.cpus", "1"),
    (("--cpuset-mems", "0"), "cpuset.mems", "0"),
    (("--pids-limit", "33"), "pids.max", "33"),
    (("--pids-limit", "-1"), "pids.max", "max"),
    (("--blkio-weight", "500"), "io.weight", "default 4950"),
])
def test_option(creel, options, file, text):
    with limits.container(creel, memory=MEMORY, cpu={"quota": 25000, "period": 50000},
                          pids={"limit": 20}) as name:
        creel.ok("update", *options, name)
        assert read(name, file) == text
        if not options[0].startswith("--cpu-"):
            assert read(name, "cpu.max") == "25000 50000"


def test_document(creel):
    document = {"memory": {"limit": 40 * MIB}, "pids": {"limit": 12},
                "cpu": {"shares": 1024}, "unified": {"memory.high": str(30 * MIB)},
                "blockIO": {"throttleReadBpsDevice": [
                    dict(zip(("major", "minor"), limits.disk()), rate=MIB)]}}
    with limits.container(creel, memory=MEMORY) as name:
        creel.ok("update", "--resources", "-", name, data=json.dumps(document))
        assert [read(name, f) for f in ("memory.max", "pids.max", "memory.high")] == [
            str(40 * MIB), "12", str(30 * MIB)]
        assert "rbps=1048576" in read(name, "io.max")


def test_all_or_nothing(creel):
    document = {"pids": {"limit": 12}, "memory": {"limit": 40 * MIB}, "cpu": {"cpus": "77"}}
    with limits.container(creel, memory=MEMORY, pids={"limit": 20}) as name:
        result = creel.fails("cpuset.cpus", "update", "-r", "-", name, data=json.dumps(document))
        assert result.error["pointer"] == "/cpu/cpus"
        assert [read(name, f) for f in ("memory.max", "pids.max")] == [str(64 * MIB), "20"]


def test_check_before_update(creel):
    with limits.container(creel, "/bin/busybox", "sh", "-c",
                          "busybox dd if=/dev/zero of=/dev/shm/x bs=1M count=20; exec busybox sleep 1000",
                          memory=MEMORY) as name:
        full(name)
        document = {"memory": {"limit": 4 * MIB, "checkBeforeUpdate": True}}
        result = creel.fails(f"rejecting memory limit {4 * MIB} <= usage", "update", "-r", "-",
                             name, data=json.dumps(document))
        assert result.error["pointer"] == "/memory/limit"
        assert read(name, "memory.max") == str(64 * MIB)
        document["memory"]["limit"] = 60 * MIB
        creel.ok("update", "-r", "-", name, data=json.dumps(document))
        assert read(name, "memory.max") == str(60 * MIB)


def full(name, least=20 * MIB):
    """Waits until the container uses memory."""
    end = time.monotonic() + 30
    while int(read(name, "memory.current")) < least:
        assert time.monotonic() < end
        time.sleep(0.05)


def events(name):
    return dict(line.split() for line in read(name, "memory.events").splitlines())


def test_devices_stay(creel):
    major, minor = limits.disk()

    def change(spec):
        spec["linux"]["devices"] = [{"path": "/dev/disk", "type": "b", "major": major,
                                     "minor": minor, "fileMode": 0o600}]
    with limits.container(creel, change=change) as name:
        document = {"devices": [{"allow": True, "access": "rwm"}], "pids": {"limit": 50}}
        creel.ok("update", "-r", "-", name, data=json.dumps(document))
        assert creel.run("exec", name, "/bin/probe", "open", "/dev/disk", "r").code != 0


def test_stopped(creel):
    name = creel.id("vm")
    creel.ok("run", "--detach", "--bundle", limits.bundle(creel, name, "/bin/probe", "true").path,
             name)
    creel.wait_status(name, "stopped")
    creel.fails("not running", "update", "--memory", "32m", name)
    creel.ok("delete", name)


def test_no_rdt(creel):
    with limits.container(creel) as name:
        creel.fails("without intelRdt", "update", "--l3-cache-schema", "L3:0=f", name)


SHM = "busybox dd if=/dev/zero of=/dev/shm/x bs=1M count=20; exec busybox sleep 1000"


def test_safe_with_swap(creel):
    """20 MiB of /dev/shm go to swap, and nothing is killed."""
    with limits.container(creel, "/bin/busybox", "sh", "-c", SHM,
                          memory={"limit": 64 * MIB, "swap": -1}) as name:
        full(name)
        pid = creel.state(name)["pid"]
        creel.ok("update", "--memory-safe", "--memory", "8m", name, timeout=60)
        assert int(read(name, "memory.current")) <= 8 * MIB
        assert [read(name, f) for f in ("memory.max", "memory.high", "cgroup.freeze")] == [
            str(8 * MIB), "max", "0"]
        assert events(name)["oom_kill"] == "0"
        assert creel.state(name)["pid"] == pid and creel.status(name) == "running"


def test_safe_without_swap(creel):
    """What cannot be reclaimed stays, and so does the limit; the other limits too."""
    with limits.container(creel, "/bin/busybox", "sh", "-c", SHM, pids={"limit": 20},
                          memory={"limit": 64 * MIB, "swap": 64 * MIB},
                          unified={"memory.high": str(50 * MIB)}) as name:
        full(name)
        creel.fails("without killing", "update", "--memory-safe", "--memory", "8m",
                    "--pids-limit", "10", name, timeout=60)
        assert [read(name, f) for f in ("memory.max", "memory.high", "cgroup.freeze",
                                        "pids.max")] == [
            str(64 * MIB), str(50 * MIB), "0", "20"]
        assert events(name)["oom_kill"] == "0"
        assert creel.status(name) == "running"


def test_safe_while_it_allocates(creel):
    """A container that goes on filling the page cache is never killed by a lower limit."""
    script = "while :; do busybox dd if=/dev/disk of=/dev/null bs=1M count=30 2>/dev/null; done"
    major, minor = limits.disk()

    def change(spec):
        spec["linux"]["devices"] = [{"path": "/dev/disk", "type": "b", "major": major,
                                     "minor": minor, "fileMode": 0o600}]
    allow = [{"allow": False, "access": "rwm"},
             {"allow": True, "type": "b", "major": major, "minor": minor, "access": "r"}]
    with limits.container(creel, "/bin/busybox", "sh", "-c", script, change=change, devices=allow,
                          memory={"limit": 64 * MIB}) as name:
        full(name)
        for size in (32, 16, 12):
            creel.ok("update", "--memory-safe", "--memory", f"{size}m", name, timeout=60)
            assert read(name, "memory.max") == str(size * MIB)
        assert events(name)["oom_kill"] == "0"
        assert creel.status(name) == "running"


def test_safe_with_systemd(creel):
    """The unit's property and the kernel's file are the same, also when the limit is refused."""
    name = creel.id("vm")
    bundle = limits.bundle(creel, name, "/bin/busybox", "sh", "-c", SHM,
                           memory={"limit": 64 * MIB, "swap": 64 * MIB})
    bundle.spec["linux"]["cgroupsPath"] = f"system.slice:creel:{name}"
    bundle.write()
    where = f"system.slice/creel-{name}.scope"

    def check(size):
        shown = subprocess.run(["systemctl", "show", f"creel-{name}.scope", "-p", "MemoryMax"],
                               stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
        assert (read(where, "memory.max"), shown) == (str(size), f"MemoryMax={size}")
    creel.ok("--systemd-cgroup", "create", "--bundle", bundle.path, name)
    try:
        creel.ok("start", name)
        full(where)
        creel.ok("update", "--memory-safe", "--memory", "40m", name, timeout=60)
        check(40 * MIB)
        creel.fails("without killing", "update", "--memory-safe", "--memory", "8m", name,
                    timeout=60)
        check(40 * MIB)
        assert read(where, "cgroup.freeze") == "0" and events(where)["oom_kill"] == "0"
    finally:
        creel.ok("delete", "--force", name)

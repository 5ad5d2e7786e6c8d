"""The systemd cgroup driver, in the full laboratory, where systemd is process 1: each limit is read
back from the kernel's file and from the unit's property, because a reload writes what systemd
knows.  The user `creel` has a manager of its own.

    CREEL=build/creel tests/lab/full /usr/bin/python3 -m pytest tests/system/test_systemd.py
"""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time

import harness
import pytest

pytestmark = pytest.mark.skipif(os.environ.get("CREEL_LAB") != "full",
                                reason="needs the full laboratory: systemd as process 1")

CGROUPS = pathlib.Path("/sys/fs/cgroup")
AS_USER = ["setpriv", "--reuid=1000", "--regid=1000", "--init-groups", "--inh-caps=-all"]
USER_ENV = {"XDG_RUNTIME_DIR": "/run/user/1000", "HOME": "/home/creel"}
SLEEP = ("/bin/busybox", "sleep", "1000")
MANY = int(os.environ.get("CREEL_SYSTEMD_MANY", "200"))


@pytest.fixture(scope="session")
def programs(apart):
    """What a root filesystem holds: the laboratory has no compiler for the probe."""
    return {"/bin/busybox": shutil.which("busybox")}


def call(*argv, user=False, check=True):
    """Runs a tool, as root or as the user creel, among the laboratory's mounts; its output."""
    prefix = ["nsenter", "--mount=/proc/1/ns/mnt", "--"]
    if user:
        prefix += [*AS_USER, "env", *(f"{k}={v}" for k, v in USER_ENV.items())]
    return subprocess.run([*prefix, *argv], check=check, timeout=60, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout


def systemctl(*words, user=False, check=True):
    """systemctl, of the system or of the user's manager."""
    return call("systemctl", *(["--user"] if user else []), *words, user=user, check=check)


def show(unit, *names, user=False):
    """Properties of a unit, as systemctl prints them."""
    out = systemctl("show", unit, *(f"--property={name}" for name in names), user=user)
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def units(user=False):
    """All scopes, also failed and dead ones, that a test could have made."""
    out = systemctl("list-units", "--all", "--plain", "--no-legend", "--type=scope", user=user)
    return {line.split()[0] for line in out.splitlines()
            if not line.startswith(("init.scope", "session-"))}


def scopes():
    """The directories of all scopes."""
    return {path for path, _, _ in os.walk(CGROUPS)
            if path.endswith(".scope") and not path.endswith("/init.scope")}


@pytest.fixture(autouse=True)
def same_host(creel):
    """No unit and no cgroup may be left, and no system job may hang."""
    before = units(), units(user=True), scopes()
    yield
    with contextlib.suppress(AssertionError):
        harness.wait_until(lambda: (units(), units(user=True), scopes()) == before,
                           "the host is as it was", 10)
    after = units(), units(user=True), scopes()
    assert after == before
    assert "No jobs" in systemctl("list-jobs")


def create(creel, *args, change=None, path=None, options=(), name=None, **more):
    """A container by the systemd driver that sleeps; its id and its bundle."""
    bundle = creel.bundle(*(args or SLEEP), **more)
    name = name or creel.id()
    bundle.spec["linux"]["cgroupsPath"] = path if path is not None else f"system.slice:creel:{name}"
    if change:
        change(bundle.spec)
    bundle.write()
    creel.ok("--systemd-cgroup", "create", "--bundle", bundle.path, *options, name)
    return name


def unit_of(name):
    return f"creel-{name}.scope"


@contextlib.contextmanager
def container(creel, *args, started=True, **more):
    """A container while the block lasts."""
    name = create(creel, *args, **more)
    try:
        if started:
            creel.ok("start", name)
        yield name
    finally:
        creel.ok("delete", "--force", name)


def cgroup_of(pid):
    """The directory of the cgroup that PID is in."""
    line = pathlib.Path(f"/proc/{pid}/cgroup").read_text().strip()
    assert line.startswith("0::/"), line
    return CGROUPS / line[4:]


def read(directory, file):
    return (directory / file).read_text().strip()


def resources(**values):
    """A change of the configuration's limits."""
    def change(spec):
        spec["linux"]["resources"].update(values)
    return change


# Names


@pytest.mark.parametrize("path, where", [
    ("machine-foo.slice:creel:ID", "machine.slice/machine-foo.slice/creel-ID.scope"),
    ("a-b-c.slice:p:ID", "a.slice/a-b.slice/a-b-c.slice/p-ID.scope"),
    (":pre:ID", "system.slice/pre-ID.scope"),
    ("user.slice::ID", "user.slice/ID.scope"),
    ("-.slice:creel:ID", "creel-ID.scope"),
    ("", "system.slice/creel-ID.scope"),
])
def test_names(creel, path, where):
    name = creel.id("n")
    with container(creel, path=path.replace("ID", name), name=name):
        pid = creel.state(name)["pid"]
        assert cgroup_of(pid) == CGROUPS / where.replace("ID", name)
        unit = where.replace("ID", name).rsplit("/", 1)[-1]
        assert show(unit, "ActiveState", "ControlGroup") == {
            "ActiveState": "active", "ControlGroup": "/" + where.replace("ID", name)}
        assert creel.ok("ps", "--format", "json", name).json() == [pid]


def refused(creel, phrase, path=None, change=None, within=50):
    """create fails in time and leaves nothing; the error record."""
    bundle = creel.bundle(*SLEEP)
    name = creel.id()
    bundle.spec["linux"]["cgroupsPath"] = path or f"system.slice:creel:{name}"
    if change:
        change(bundle.spec)
    bundle.write()
    begin = time.monotonic()
    result = creel.fails(phrase, "--systemd-cgroup", "create", "--bundle", bundle.path, name,
                         timeout=60)
    assert time.monotonic() - begin < within
    assert os.listdir(creel.root) == []
    return result.error


@pytest.mark.parametrize("path", ["/a/b", "a:b", "system.slice:creel:x/y", "a--b.slice:creel:x",
                                  "system.slice:creel:x:y"])
def test_names_that_are_none(creel, path):
    assert refused(creel, "", path)["pointer"] == "/linux/cgroupsPath"


def test_slice_holds_no_processes(creel):
    assert refused(creel, "is a slice", "system.slice::x.slice")["pointer"] == "/linux/cgroupsPath"


def disk():
    """Number of the first disk, "254:0"."""
    return pathlib.Path("/sys/block/vda/dev").read_text().strip()


# Properties


def test_standard_properties(creel):
    with container(creel) as name:
        assert show(unit_of(name), "Description", "Slice", "Delegate", "DefaultDependencies",
                    "MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting") == {
            "Description": f"creel container {name}", "Slice": "system.slice", "Delegate": "yes",
            "DefaultDependencies": "no", "MemoryAccounting": "yes", "CPUAccounting": "yes",
            "IOAccounting": "yes", "TasksAccounting": "yes"}


def test_annotations(creel):
    def change(spec):
        spec["annotations"] = {
            "org.systemd.property.TimeoutStopSec": "uint64 17",
            "org.systemd.property.CollectMode": "'inactive-or-failed'",
            "org.systemd.property.Documentation": "['man:creel(8)', 'https://example.org']",
            "org.systemd.property.MemoryLow": "uint64 1048576",
        }
    with container(creel, change=change) as name:
        assert show(unit_of(name), "TimeoutStopUSec", "CollectMode", "Documentation",
                    "MemoryLow") == {
            "TimeoutStopUSec": "17s", "CollectMode": "inactive-or-failed", "MemoryLow": "1048576",
            "Documentation": '"man:creel(8)" https://example.org'}
        assert read(cgroup_of(creel.state(name)["pid"]), "memory.low") == "1048576"


def test_unknown_property_is_a_warning(creel):
    bundle = creel.bundle(*SLEEP)
    bundle.spec["annotations"] = {"org.systemd.property.NoSuchProperty": "true"}
    bundle.write()
    name = creel.id()
    result = creel.run("--systemd-cgroup", "create", "--bundle", bundle.path, name)
    assert result.code == 0, str(result)
    assert "does not know the property NoSuchProperty" in result.err
    creel.ok("delete", "--force", name)


def test_wrong_value_is_an_error(creel):
    def change(spec):
        spec["annotations"] = {"org.systemd.property.CollectMode": "'never-heard-of'"}
    refused(creel, "systemd refused the start of the unit", change=change)


LIMITS = [
    # resources, file, its text, property, its text
    ({"memory": {"limit": 64 << 20}}, "memory.max", "67108864", "MemoryMax", "67108864"),
    ({"memory": {"reservation": 32 << 20}}, "memory.low", "33554432", "MemoryLow", "33554432"),
    ({"memory": {"limit": 64 << 20, "swap": 96 << 20}}, "memory.swap.max", "33554432",
     "MemorySwapMax", "33554432"),
    ({"memory": {"limit": -1}}, "memory.max", "max", "MemoryMax", "infinity"),
    ({"cpu": {"shares": 1024}}, "cpu.weight", "100", "CPUWeight", "100"),
    ({"cpu": {"shares": 2}}, "cpu.weight", "1", "CPUWeight", "1"),
    ({"cpu": {"quota": 25000, "period": 100000}}, "cpu.max", "25000 100000",
     "CPUQuotaPerSecUSec", "250ms"),
    ({"cpu": {"quota": 55555, "period": 100000}}, "cpu.max", "56000 100000",
     "CPUQuotaPerSecUSec", "560ms"),
    ({"cpu": {"quota": 10000, "period": 20000}}, "cpu.max", "10000 20000",
     "CPUQuotaPeriodUSec", "20ms"),
    ({"cpu": {"quota": 30000}}, "cpu.max", "30000 100000", "CPUQuotaPerSecUSec", "300ms"),
    ({"cpu": {"idle": 1}}, "cpu.idle", "1", "CPUWeight", "idle"),
    ({"cpu": {"cpus": "0"}}, "cpuset.cpus", "0", "AllowedCPUs", "0"),
    ({"cpu": {"cpus": "0-1"}}, "cpuset.cpus", "0-1", "AllowedCPUs", "0-1"),
    ({"cpu": {"mems": "0"}}, "cpuset.mems", "0", "AllowedMemoryNodes", "0"),
    ({"pids": {"limit": 77}}, "pids.max", "77", "TasksMax", "77"),
    ({"pids": {"limit": 1}}, "pids.max", "1", "TasksMax", "1"),
    ({"pids": {"limit": -1}}, "pids.max", "max", "TasksMax", "infinity"),
    ({"blockIO": {"weight": 500}}, "io.weight", "default 4950", "IOWeight", "4950"),
    ({"unified": {"memory.high": "50331648"}}, "memory.high", "50331648", "MemoryHigh",
     "50331648"),
    ({"unified": {"memory.min": "4194304"}}, "memory.min", "4194304", "MemoryMin", "4194304"),
    ({"unified": {"cpu.max": "30000 100000"}}, "cpu.max", "30000 100000", "CPUQuotaPerSecUSec",
     "300ms"),
    ({"unified": {"cpuset.cpus": "1"}}, "cpuset.cpus", "1", "AllowedCPUs", "1"),
    ({"unified": {"cpu.idle": "1"}}, "cpu.idle", "1", "CPUWeight", "idle"),
    ({"unified": {"memory.oom.group": "1"}}, "memory.oom.group", "1", "OOMPolicy", "kill"),
    # systemd has no words for these, and leaves them alone
    ({"cpu": {"quota": 50000, "period": 100000, "burst": 1000}}, "cpu.max.burst", "1000",
     "CPUQuotaPerSecUSec", "500ms"),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}, "hugetlb.2MB.max", "4194304",
     "Delegate", "yes"),
]


def limit_id(row):
    return json.dumps(row[0], separators=(",", ":"))


def test_limits(creel):
    """All rows at once: each reload takes a second here."""
    failures, names = [], []
    for number, (limits, *_) in enumerate(LIMITS):
        names.append(create(creel, name=creel.id(f"l{number}"), change=resources(**limits)))
    directories = [cgroup_of(creel.state(name)["pid"]) for name in names]
    try:
        for when in ("after create", "after daemon-reload"):
            for name, where, row in zip(names, directories, LIMITS):
                limits, file, text, prop, shown = row
                found = read(where, file), show(unit_of(name), prop)[prop]
                if found != (text, shown):
                    failures.append(f"{limit_id(row)} {when}: {found}, not {text}, {shown}")
            systemctl("daemon-reload")
    finally:
        for name in names:
            creel.ok("delete", "--force", name)
    assert not failures, "\n".join(failures)


def test_io_limits_stay(creel):
    major, minor = map(int, disk().split(":"))
    change = resources(blockIO={"throttleReadBpsDevice": [
        {"major": major, "minor": minor, "rate": 1048576}]})
    with container(creel, change=change) as name:
        where = cgroup_of(creel.state(name)["pid"])
        wanted = f"{disk()} rbps=1048576 wbps=max riops=max wiops=max"
        assert read(where, "io.max") == wanted
        systemctl("daemon-reload")
        assert read(where, "io.max") == wanted


def test_bfq(creel):
    """systemd has one weight for two files: after a reload BFQ's must still be what was asked."""
    with harness.bfq():
        for weight, shown in ((50, "50"), (500, "4500")):
            with container(creel, change=resources(blockIO={"weight": weight})) as name:
                where = cgroup_of(creel.state(name)["pid"])
                for _ in range(2):
                    assert read(where, "io.bfq.weight") == f"default {weight}"
                    assert show(unit_of(name), "IOWeight") == {"IOWeight": shown}
                    systemctl("daemon-reload")
                creel.ok("update", "--blkio-weight", "300", name)
                systemctl("daemon-reload")
                assert read(where, "io.bfq.weight") == "default 300"
                assert show(unit_of(name), "IOWeight") == {"IOWeight": "2300"}
        major, minor = map(int, disk().split(":"))
        devices = [{"major": major, "minor": minor, "weight": 250}]
        with container(creel, change=resources(blockIO={
                "weight": 200, "weightDevice": devices})) as name:
            where = cgroup_of(creel.state(name)["pid"])
            for _ in range(2):
                assert read(where, "io.bfq.weight") == f"default 200\n{disk()} 250"
                systemctl("daemon-reload")
        with container(creel, change=resources(unified={"io.bfq.weight": "70"})) as name:
            systemctl("daemon-reload")
            assert read(cgroup_of(creel.state(name)["pid"]), "io.bfq.weight") == "default 70"


def test_update(creel):
    with container(creel, change=resources(memory={"limit": 64 << 20})) as name:
        where = cgroup_of(creel.state(name)["pid"])
        creel.ok("update", "--memory", str(48 << 20), "--pids-limit", "50", "--cpu-quota", "20000",
                 "--cpuset-cpus", "1", name)
        for _ in range(2):
            assert [read(where, f) for f in ("memory.max", "pids.max", "cpu.max", "cpuset.cpus")] \
                == [str(48 << 20), "50", "20000 100000", "1"]
            assert show(unit_of(name), "MemoryMax", "TasksMax", "CPUQuotaPerSecUSec",
                        "AllowedCPUs") == {
                "MemoryMax": str(48 << 20), "TasksMax": "50", "CPUQuotaPerSecUSec": "200ms",
                "AllowedCPUs": "1"}
            systemctl("daemon-reload")


def test_update_all_or_none(creel):
    with container(creel, change=resources(memory={"limit": 64 << 20})) as name:
        where = cgroup_of(creel.state(name)["pid"])
        creel.fails("cpuset.cpus", "update", "--memory", str(48 << 20), "--cpuset-cpus", "77", name)
        assert read(where, "memory.max") == str(64 << 20)
        assert show(unit_of(name), "MemoryMax") == {"MemoryMax": str(64 << 20)}


# Devices


def device_change(*rules):
    """Nodes for /dev/kmsg, which is allowed, and for a port, which is not."""
    def change(spec):
        spec["linux"]["devices"] = [
            {"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11, "fileMode": 0o666},
            {"path": "/dev/port", "type": "c", "major": 1, "minor": 4, "fileMode": 0o666}]
        spec["linux"]["resources"]["devices"] = [
            {"allow": False, "access": "rwm"},
            {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "rw"}, *rules]
        for kind in ("bounding", "effective", "permitted"):
            spec["process"]["capabilities"][kind] += ["CAP_SYS_RAWIO", "CAP_SYSLOG"]
    return change


def opens(creel, name, path):
    """Whether the container may open PATH."""
    return creel.run("exec", name, "/bin/busybox", "sh", "-c", f": < {path}").code == 0


@pytest.mark.parametrize("rules, policy", [
    ((), "strict"),
    # systemd has no word for a refusal
    (({"allow": False, "type": "c", "major": 4, "minor": 64, "access": "rwm"},), "auto"),
])
def test_device_rules_survive_a_reload(creel, rules, policy):
    with container(creel, change=device_change(*rules)) as name:
        for when in ("create", "reload", "update", "second reload"):
            if "reload" in when:
                systemctl("daemon-reload")
            if when == "update":
                creel.ok("update", "--pids-limit", "100", name)
            assert opens(creel, name, "/dev/null"), when
            assert opens(creel, name, "/dev/kmsg"), when
            assert not opens(creel, name, "/dev/port"), when
            assert show(unit_of(name), "DevicePolicy") == {"DevicePolicy": policy}


# Later commands, which know the driver from the state


def test_life(creel):
    name = create(creel)
    creel.ok("start", name)
    where = cgroup_of(creel.state(name)["pid"])
    assert creel.ok("exec", name, "/bin/busybox", "cat", "/proc/self/cgroup").out == "0::/\n"
    creel.ok("pause", name)
    assert creel.status(name) == "paused"
    assert read(where, "cgroup.freeze") == "1"
    creel.ok("resume", name)
    creel.ok("kill", name, "KILL")
    creel.wait_status(name, "stopped")
    creel.ok("delete", name)
    assert unit_of(name) not in units()
    assert not where.exists()


def test_run(creel):
    bundle = creel.bundle("/bin/busybox", "cat", "/proc/self/cgroup", "/proc/self/status")
    result = creel.ok("--systemd-cgroup", "run", "--bundle", bundle.path, creel.id())
    assert result.out.startswith("0::/\n")


def test_delete_after_systemctl_stop(creel):
    def change(spec):
        # The first process of a pid namespace does not hear SIGTERM.
        spec["annotations"] = {"org.systemd.property.TimeoutStopSec": "uint64 1"}
    name = create(creel, change=change)
    creel.ok("start", name)
    systemctl("stop", unit_of(name))
    creel.wait_status(name, "stopped")
    creel.ok("delete", name)


def test_delegation(creel):
    """A writable cgroup mount and a user namespace: the container's root manages its cgroup."""
    def change(spec):
        for mount in spec["mounts"]:
            if mount["destination"] == "/sys/fs/cgroup":
                mount["options"].remove("ro")
    script = ("mkdir /sys/fs/cgroup/leaf && echo $$ > /sys/fs/cgroup/leaf/cgroup.procs && "
              "echo +memory > /sys/fs/cgroup/cgroup.subtree_control && "
              "echo 8388608 > /sys/fs/cgroup/leaf/memory.max; echo made $?; exec sleep 1000")
    with container(creel, "/bin/busybox", "sh", "-c", script, change=change, userns=True) as name:
        where = cgroup_of(creel.state(name)["pid"])
        harness.wait_until(lambda: (where / "leaf/memory.max").exists()
                           or where.name == "leaf", "the container's own cgroup")
        where = where if where.name == "leaf" else where / "leaf"
        harness.wait_until(lambda: read(where, "memory.max") == "8388608", "its limit")
        systemctl("daemon-reload")
        assert read(where, "memory.max") == "8388608"
        assert where.stat().st_uid == harness.MAPPED
        # the container's own cgroups stand in the way of processes: exec follows the init
        result = creel.run("exec", name, "/bin/busybox", "cat", "/proc/self/cgroup")
        assert (result.code, result.out) == (0, "0::/leaf\n"), str(result)


def test_hooks_see_the_unit(creel):
    seen = creel.directory / "seen"
    def change(spec):
        spec["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": [
            "sh", "-c", f"cat /proc/$(jq .pid)/cgroup > {seen}"]}]}
    with container(creel, change=change) as name:
        assert seen.read_text() == f"0::/system.slice/{unit_of(name)}\n"


# Clashes


def test_unit_of_somebody_else(creel):
    name = creel.id()
    other = subprocess.Popen(["systemd-run", "--quiet", "--scope", f"--unit={unit_of(name)}",
                              "--description=of somebody else", "sleep", "1000"])
    try:
        harness.wait_until(lambda: unit_of(name) in units(), "the other's unit")
        error = refused(creel, "exists already", f"system.slice:creel:{name}")
        assert "of somebody else" in error["msg"]
        assert error["pointer"] == "/linux/cgroupsPath"
        assert other.poll() is None
        assert show(unit_of(name), "ActiveState") == {"ActiveState": "active"}
    finally:
        other.kill()
        other.wait()


def test_failed_unit_is_forgotten(creel):
    name = creel.id()
    subprocess.run(["systemd-run", "--quiet", "--scope", f"--unit={unit_of(name)}",
                    "--property=RuntimeMaxSec=1", "sleep", "1000"], check=False, timeout=60)
    harness.wait_until(lambda: show(unit_of(name), "ActiveState") == {"ActiveState": "failed"}, "the unit fails")
    with container(creel, name=name):
        assert show(unit_of(name), "ActiveState") == {"ActiveState": "active"}


def test_same_id_after_running_out_of_memory(creel):
    script = "x=a; while :; do x=$x$x; done"
    name = creel.id()
    for _ in range(5):
        create(creel, "/bin/busybox", "sh", "-c", script, name=name,
               change=resources(memory={"limit": 16 << 20, "swap": 16 << 20}))
        creel.ok("start", name)
        creel.wait_status(name, "stopped")
        creel.ok("delete", name)


# Crashes


def crashed(creel, name):
    """What `create` left when it was killed goes away with delete --force."""
    creel.ok("delete", "--force", name)
    assert creel.ids() == []


def test_killed_in_a_hook(creel):
    name = creel.id()
    bundle = creel.bundle(*SLEEP)
    mark = creel.directory / "mark"
    bundle.spec["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": [
        "sh", "-c", f"echo $$ > {mark}.new; mv {mark}.new {mark}; exec sleep 1000"]}]}
    bundle.write()
    command = creel.spawn("--systemd-cgroup", "create", "--bundle", bundle.path, name)
    harness.wait_until(mark.exists, "the hook")
    assert unit_of(name) in units()
    command.process.kill()
    command.process.wait()
    crashed(creel, name)
    harness.wait_until(lambda: unit_of(name) not in units(), "the unit's end")
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(mark.read_text()), signal.SIGKILL)


def test_killed_at_any_time(creel):
    """Also between the call and its answer."""
    bundle = creel.bundle(*SLEEP)
    dice = random.Random(6)
    for _ in range(25):
        name = creel.id()
        command = creel.spawn("--systemd-cgroup", "create", "--bundle", bundle.path, name)
        time.sleep(dice.uniform(0, 0.2))
        command.process.send_signal(signal.SIGKILL)
        command.process.wait()
        crashed(creel, name)
        harness.wait_until(lambda: unit_of(name) not in units(), "the unit's end")


# A manager or a bus that does not answer


def stopped(pid):
    @contextlib.contextmanager
    def guard():
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
    return guard()


def hide_private_socket():
    """For us and what we start; the laboratory's own mounts stay."""
    harness.mount("/dev/null", "/run/systemd/private", None, harness.MS_BIND)


def main_pid(unit):
    return int(show(unit, "MainPID")["MainPID"])


def test_without_private_socket(creel):
    """The system bus does as well."""
    hide_private_socket()
    try:
        with container(creel) as name:
            assert show(unit_of(name), "ActiveState") == {"ActiveState": "active"}
            creel.ok("update", "--pids-limit", "9", name)
            assert read(cgroup_of(creel.state(name)["pid"]), "pids.max") == "9"
    finally:
        harness.unmount("/run/systemd/private")


def test_stopped_bus_is_not_needed(creel):
    with stopped(main_pid("dbus.service")):
        begin = time.monotonic()
        name = create(creel)
        creel.ok("delete", "--force", name)
        assert time.monotonic() - begin < 9


def test_end_needs_no_answer(creel):
    """systemd ends a scope by itself when nobody is left in it: then there is nothing to ask."""
    name = create(creel)
    creel.ok("start", name)
    hide_private_socket()
    try:
        with stopped(main_pid("dbus.service")):
            creel.ok("delete", "--force", name)
    finally:
        harness.unmount("/run/systemd/private")
    assert unit_of(name) not in units()


@pytest.mark.parametrize("options, seconds", [((), 10), (("--timeout", "3s"), 3)])
def test_stopped_bus(creel, options, seconds):
    hide_private_socket()
    creel.options = list(options)
    try:
        with stopped(main_pid("dbus.service")):
            begin = time.monotonic()
            refused(creel, f"systemd did not answer in {seconds}", within=seconds + 30)
            assert time.monotonic() - begin > seconds - 0.5
    finally:
        creel.options = []
        harness.unmount("/run/systemd/private")


# The user's manager


@pytest.fixture
def user(creel):
    """creel as the user 1000, from outside of the cgroups of that user."""
    if not os.path.exists("/run/user/1000/systemd/private"):
        systemctl("start", "user@1000.service")
    creel.prefix = [*AS_USER, "env", *(f"{k}={v}" for k, v in USER_ENV.items())]
    creel.directory.chmod(0o777)
    creel.root.mkdir()
    os.chown(creel.root, 1000, 1000)
    creel.root.chmod(0o700)
    return creel


def user_spec(spec):
    spec["linux"]["resources"] = {"memory": {"limit": 64 << 20}, "pids": {"limit": 55}}


@pytest.mark.parametrize("path, where", [
    ("", "user.slice/creel-ID.scope"),
    ("app-x.slice:creel:ID", "app.slice/app-x.slice/creel-ID.scope"),
])
def test_rootless(user, path, where):
    name = user.id("u")
    with container(user, path=path.replace("ID", name), name=name, change=user_spec,
                   rootless=True):
        directory = cgroup_of(user.state(name)["pid"])
        top = CGROUPS / "user.slice/user-1000.slice/user@1000.service"
        assert directory == top / where.replace("ID", name)
        for _ in range(2):
            assert [read(directory, f) for f in ("memory.max", "pids.max")] == ["67108864", "55"]
            assert show(unit_of(name), "MemoryMax", "TasksMax", "Delegate", user=True) == {
                "MemoryMax": "67108864", "TasksMax": "55", "Delegate": "yes"}
            systemctl("daemon-reload", user=True)
        user.ok("update", "--pids-limit", "44", name)
        assert read(directory, "pids.max") == "44"
        assert show(unit_of(name), "TasksMax", user=True) == {"TasksMax": "44"}
        pid_file = user.directory / "pid"
        user.ok("exec", "--detach", "--pid-file", pid_file, name, *SLEEP)
        assert cgroup_of(pid_file.read_text()) == directory
        user.ok("pause", name)
        assert user.status(name) == "paused"
        user.ok("resume", name)
    assert unit_of(name) not in units(user=True)


def test_rootless_without_bus_address(user):
    """Neither the variable nor a bus: the manager's own socket is there."""
    user.prefix = AS_USER
    with container(user, change=user_spec, rootless=True, path=""):
        pass


def test_rootless_without_the_driver(user):
    """In a delegated scope, as the hint for who has no cgroup says: limits, the freezer, an end."""
    user.prefix += ["systemd-run", "--user", "--scope", "--quiet", "--property=Delegate=yes"]
    bundle = user.bundle(*SLEEP, rootless=True)
    user_spec(bundle.spec)
    bundle.spec["linux"].pop("cgroupsPath", None)
    name = user.id("u")
    user.ok("run", "--detach", "--bundle", bundle.write().path, name)
    try:
        directory = cgroup_of(user.state(name)["pid"])
        assert directory.is_relative_to(CGROUPS / "user.slice/user-1000.slice/user@1000.service")
        assert [read(directory, f) for f in ("memory.max", "pids.max")] == ["67108864", "55"]
        user.ok("update", "--pids-limit", "44", name)
        assert read(directory, "pids.max") == "44"
        user.ok("pause", name)
        assert user.status(name) == "paused"
        user.ok("resume", name)
        assert user.run("exec", name, "/bin/busybox", "sh", "-c", "exit 3").code == 3
    finally:
        user.ok("delete", "--force", name)
    assert not directory.exists()


def test_stopped_user_manager(user):
    pid = main_pid("user@1000.service")
    user.options = ["--timeout", "3s"]
    bundle = user.bundle(*SLEEP, rootless=True)
    name = user.id()
    with stopped(pid):
        begin = time.monotonic()
        result = user.fails("systemd did not answer in 3", "--systemd-cgroup", "create",
                            "--bundle", bundle.path, name)
        assert time.monotonic() - begin < 33, str(result)
        assert os.listdir(user.root) == []
    harness.wait_until(lambda: unit_of(name) not in units(user=True), "no unit comes late")


# Many


def test_many_at_once(creel, record_property):
    """MANY containers are made by as many processes at once, and deleted so, through a reload."""
    # systemd answers one after the other, which takes an emulated machine longer than anybody waits.
    creel.options = ["--timeout", "120s"]
    bundle = creel.bundle(*SLEEP)
    names = [creel.id("m") for _ in range(MANY)]
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()

    def all_of(*words, with_bundle=False):
        bundle_words = ["--bundle", bundle.path] if with_bundle else []
        begin = time.monotonic()
        commands = [creel.spawn(*words, *bundle_words, name) for name in names]
        results = [command.wait(300) for command in commands]
        failed = [str(result) for result in results if result.code or result.err]
        assert not failed, f"{len(failed)} failed\n" + "\n".join(failed[:5])
        return time.monotonic() - begin

    made = all_of("--systemd-cgroup", "create", with_bundle=True)
    assert {unit_of(name) for name in names} <= units()
    systemctl("daemon-reload")
    deleted = all_of("delete", "--force")
    print(f"{MANY} containers: created in {made:.1f} s, deleted in {deleted:.1f} s")
    record_property("create_seconds", made)
    record_property("delete_seconds", deleted)
    harness.wait_until(lambda: not {unit_of(name) for name in names} & units(), "all units' end")
    assert pathlib.Path("/proc/self/mountinfo").read_text() == mounts


def test_reexec_while_creating(creel):
    """systemd executes itself anew: connections break, containers do not."""
    bundle = creel.bundle(*SLEEP)
    made = []
    for _ in range(3):
        name = creel.id()
        command = creel.spawn("--systemd-cgroup", "create", "--bundle", bundle.path, name)
        systemctl("daemon-reexec", check=False)
        result = command.wait()
        if result.code == 0:
            made.append(name)
        else:
            assert result.err, str(result)
            assert name not in creel.ids()
    for name in made:
        creel.ok("delete", "--force", name)
    assert creel.ids() == []


# Last: the manager of the user loses its connection, too, and nobody comes into its scopes from outside any more.


def test_bus_that_is_killed(creel):
    """In the middle of a call.  The bus is started again by its socket, so that either the second
    connection does it, or an error comes in time."""
    hide_private_socket()
    try:
        for _ in range(3):
            harness.wait_until(lambda: main_pid("dbus.service") > 0, "the bus")
            pid = main_pid("dbus.service")
            bundle = creel.bundle(*SLEEP)
            name = creel.id()
            os.kill(pid, signal.SIGSTOP)
            command = creel.spawn("--systemd-cgroup", "create", "--bundle", bundle.path, name)
            time.sleep(1)
            begin = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            result = command.wait(60)
            assert time.monotonic() - begin < 40, str(result)
            if result.code:
                assert "systemd" in result.err, str(result)
                assert creel.ids() == []
            else:
                creel.ok("delete", "--force", name)
    finally:
        harness.unmount("/run/systemd/private")

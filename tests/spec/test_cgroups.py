"""config-linux.md, "Control groups".  What needs controllers runs in the VM."""

import pathlib

import harness
import pytest

from .words import changed, drop_namespace, refused, run_shell

DENY = {"allow": False, "access": "rwm"}


def cgroup_of(pid):
    """The directory of the cgroup2 of PID."""
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return harness.cgroup_root() / line[3:].lstrip("/")
    raise AssertionError("no cgroup2")


def own_parent():
    """The cgroup beside which containers without a path go."""
    return cgroup_of("self").parent if cgroup_of("self") != harness.cgroup_root() else (
        harness.cgroup_root())


def with_path(creel, path, **more):
    """A bundle that sleeps in the cgroup PATH."""
    return changed(creel, lambda spec: spec["linux"].update(cgroupsPath=path), "/bin/probe",
                   "sleep", **more)


def limited(creel, resources, *args):
    """A bundle with RESOURCES."""
    return changed(creel, lambda spec: spec["linux"]["resources"].update(resources),
                   *(args or ("/bin/probe", "sleep")))


def read(creel, resources, *files):
    """The contents of FILES of a container with RESOURCES."""
    with creel.running(limited(creel, resources)) as name:
        directory = cgroup_of(creel.state(name)["pid"])
        return [(directory / file).read_text().strip() for file in files]


# Path

def test_absolute(creel):
    """config-linux.md Cgroups Path: /linux/cgroupsPath: MUST: an absolute path starts at the mount
    point, and the same path always means the same cgroup."""
    name = creel.known(f"spec-{creel.directory.name}")
    for _ in range(2):
        with creel.running(with_path(creel, f"/{name}/inner")) as container:
            assert cgroup_of(creel.state(container)["pid"]) == (
                harness.cgroup_root() / name / "inner")
    harness.wait_until(lambda: not (harness.cgroup_root() / name / "inner").exists(), "removal")
    if (harness.cgroup_root() / name).exists():
        (harness.cgroup_root() / name).rmdir()


def test_relative(creel):
    """config-linux.md Cgroups Path: /linux/cgroupsPath: MAY: a relative path starts where the
    runtime says: beside the caller's own cgroup."""
    name = creel.known(f"spec-{creel.directory.name}")
    with creel.running(with_path(creel, name)) as container:
        directory = cgroup_of(creel.state(container)["pid"])
        assert directory == own_parent() / name


def test_absent(creel):
    """config-linux.md Cgroups Path: /linux/cgroupsPath: MAY: without a path the cgroup is named
    after the container."""
    with creel.running() as container:
        directory = cgroup_of(creel.state(container)["pid"])
        assert directory.parent == own_parent() and directory.name.endswith(container)


@pytest.mark.parametrize("path", ["/", "/a/../b", "/a//b", "../x", "/a/./b"])
def test_malformed(creel, path):
    """config-linux.md Cgroups Path: /linux/cgroupsPath: MUST: a path that could lead elsewhere is
    an error."""
    refused(creel, with_path(creel, path), "/linux/cgroupsPath")


def test_all_processes(creel):
    """config-linux.md Control groups: /linux/cgroupsPath: MUST: the program, its children and the
    processes of `exec` are in the cgroup."""
    bundle = creel.shell("sleep 1000 & sleep 1000")
    with creel.running(bundle) as name:
        directory = cgroup_of(creel.state(name)["pid"])
        creel.ok("exec", "--detach", name, "/bin/probe", "sleep")
        harness.wait_until(lambda: len((directory / "cgroup.procs").read_text().split()) >= 3,
                           "three processes are in the cgroup")


def test_removed(creel):
    """runtime.md Delete: /linux/cgroupsPath: MUST: the cgroup goes with the container."""
    with creel.running() as name:
        directory = cgroup_of(creel.state(name)["pid"])
        assert directory.exists()
    assert not directory.exists()


def test_not_empty(creel):
    """config-linux.md Cgroups Path: /linux/cgroupsPath: MAY: a cgroup that has processes is refused,
    and left alone."""
    name = creel.known(f"spec-{creel.directory.name}")
    with creel.running(with_path(creel, f"/{name}")) as container:
        directory = cgroup_of(creel.state(container)["pid"])
        result = refused(creel, with_path(creel, f"/{name}"), "/linux/cgroupsPath")
        assert "not empty" in result.error["msg"]
        assert directory.exists() and creel.status(container) == "running"


def test_outside_path_is_hidden(creel):
    """config-linux.md Cgroups Path: /linux/cgroupsPath: MUST: with a cgroup namespace the container
    sees its own cgroup as the root."""
    with creel.running(with_path(creel, f"/{creel.known('spec-' + creel.directory.name)}")) as name:
        lines = creel.ok("exec", name, "/bin/probe", "read", "/proc/self/cgroup").out
        assert "0::/\n" in lines


# Ownership

@pytest.mark.parametrize("options, owner", [(["rw"], 100000), (["ro"], 0)])
def test_ownership(creel, options, owner):
    """config-linux.md Cgroup ownership: /linux/cgroupsPath: SHOULD: with a cgroup namespace and a
    writable mount of it, the cgroup belongs to the container's user; with a read-only mount it does
    not."""
    def change(spec):
        spec["mounts"][-1]["options"] = options
    bundle = changed(creel, change, "/bin/probe", "sleep", userns=True)
    with creel.running(bundle) as name:
        directory = cgroup_of(creel.state(name)["pid"])
        assert directory.stat().st_uid == owner
        for file in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            assert (directory / file).stat().st_uid == owner
        # Only these: limits stay the host's.
        assert (directory / "cgroup.max.depth").stat().st_uid == 0


def test_ownership_works(creel):
    """config-linux.md Cgroup ownership: /linux/cgroupsPath: SHOULD: such a container can make
    cgroups of its own."""
    out = run_shell(creel, "mkdir /sys/fs/cgroup/inner && rmdir /sys/fs/cgroup/inner && echo made",
                    change=lambda spec: spec["mounts"][-1].update(options=["rw"]), userns=True)
    assert out == "made\n"


def test_ownership_of_user(creel):
    """config-linux.md Cgroup ownership: /linux/cgroupsPath: SHOULD: the owner is the host's id of
    the program's user."""
    def change(spec):
        spec["mounts"][-1]["options"] = ["rw"]
    bundle = changed(creel, change, "/bin/probe", "sleep", userns=True,
                     user={"uid": 5, "gid": 6})
    with creel.running(bundle) as name:
        assert cgroup_of(creel.state(name)["pid"]).stat().st_uid == 100005


def test_no_ownership_without_namespace(creel):
    """config-linux.md Cgroup ownership: /linux/cgroupsPath: SHOULD: without a cgroup namespace the
    owner does not change."""
    def change(spec):
        spec["mounts"][-1]["options"] = ["rw"]
        drop_namespace(spec, "cgroup")
    bundle = changed(creel, change, "/bin/probe", "sleep", userns=True)
    with creel.running(bundle) as name:
        assert cgroup_of(creel.state(name)["pid"]).stat().st_uid == 0


# Device rules

def opens(creel, path, mode, rules, node=None, **more):
    """Whether a container with RULES can open PATH."""
    def change(spec):
        spec["linux"]["resources"]["devices"] = rules
        if node:
            spec["linux"]["devices"] = [node]
    bundle = changed(creel, change, "/bin/probe", "open", path, mode, **more)
    result = creel.run_bundle(bundle)
    assert result.code == 0 or "errno 1" in result.err, str(result)
    return result.code == 0


FUSE = {"path": "/dev/fuse-copy", "type": "c", "major": 10, "minor": 229}
RULE = {"allow": True, "type": "c", "major": 10, "minor": 229}


@pytest.mark.parametrize("rules, readable, writable", [
    ([DENY], False, False),
    ([DENY, {**RULE, "access": "rw"}], True, True),
    ([DENY, {**RULE, "access": "r"}], True, False),
    ([DENY, {**RULE, "access": "w"}], False, True),
    ([DENY, {**RULE, "access": "m"}], False, False),
    ([DENY, {"allow": True, "type": "c", "major": 10, "access": "rwm"}], True, True),
    ([DENY, {"allow": True, "type": "c", "access": "rwm"}], True, True),
    ([DENY, {"allow": True, "type": "b", "access": "rwm"}], False, False),
    ([DENY, {"allow": True, "access": "rwm"}], True, True),
    ([DENY, {"allow": True, "type": "a", "access": "rwm"}], True, True),
    ([{"allow": True, "access": "rwm"}, {**RULE, "allow": False, "access": "rwm"}], False, False),
    ([{"allow": True, "access": "rwm"}, {**RULE, "allow": False, "access": "w"}], True, False),
    ([DENY, {**RULE, "access": "rw"}, {**RULE, "allow": False, "access": "w"}], True, False),
    ([DENY, {**RULE, "minor": 228, "access": "rw"}], False, False),
    ([DENY, {**RULE, "major": -1, "minor": -1, "access": "rwm"}], True, True),
    ([], True, True),
])
def test_device_rules(creel, rules, readable, writable):
    """config-linux.md Allowed Device list: /linux/resources/devices/*/allow,/linux/resources/devices/*/type,/linux/resources/devices/*/major,/linux/resources/devices/*/minor,/linux/resources/devices/*/access: MUST:
    rules apply in their order, later ones over earlier ones; what is left out means all."""
    assert opens(creel, FUSE["path"], "r", rules, FUSE) == readable
    assert opens(creel, FUSE["path"], "w", rules, FUSE) == writable


def test_device_rules_spare_defaults(creel):
    """config-linux.md Default Devices: /linux/resources/devices: MUST: the devices that every
    container has work under every list."""
    for name in ("null", "zero", "full", "random", "urandom"):
        assert opens(creel, f"/dev/{name}", "rw", [DENY])


def test_device_rules_mknod(creel):
    """config-linux.md Allowed Device list: /linux/resources/devices/*/access: MUST: making a node is
    an access of its own; making is allowed, opening what was made is not."""
    def change(spec):
        spec["linux"]["resources"]["devices"] = [DENY]
        for caps in spec["process"]["capabilities"].values():
            caps.append("CAP_MKNOD")
    out = run_shell(creel, "mknod /dev/made c 10 229 && echo made; head -c 1 /dev/made 2>/dev/null; "
                    "echo $?", change=change)
    assert out.split() == ["made", "1"]


def test_device_rules_of_exec(creel):
    """config-linux.md Allowed Device list: /linux/resources/devices: MUST: a process of `exec` is
    bound by them too."""
    bundle = changed(creel, lambda spec: spec["linux"].update(
        devices=[FUSE], resources={"devices": [DENY]}), "/bin/probe", "sleep")
    with creel.running(bundle) as name:
        assert creel.run("exec", name, "/bin/probe", "open", FUSE["path"], "r").code == 1


@pytest.mark.parametrize("rule, member", [
    ({"access": "rwm"}, "allow"), ({"allow": True, "access": "rwx"}, "access"),
    ({"allow": True, "type": "p"}, "type")])
def test_device_rules_malformed(creel, rule, member):
    """config-linux.md Allowed Device list: /linux/resources/devices/*/allow,/linux/resources/devices/*/access: MUST:
    `allow` is required, and other words are errors."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(
        resources={"devices": [rule]})), f"/linux/resources/devices/0/{member}")


# Resources that this kernel's hierarchy may not have

@pytest.mark.parametrize("resources, pointer", [
    ({"memory": {"limit": 1 << 26}}, "/linux/resources/memory/limit"),
    ({"pids": {"limit": 10}}, "/linux/resources/pids/limit"),
    ({"cpu": {"shares": 512}}, "/linux/resources/cpu/shares"),
    ({"unified": {"memory.high": "1000000"}}, "/linux/resources/unified/memory.high")])
def test_absent_controller(creel, resources, pointer):
    """config-linux.md Control groups: /linux/resources: MUST: a limit whose controller is not there
    is an error, not a container without the limit."""
    root = harness.cgroup_root()
    if "memory" in (root / "cgroup.controllers").read_text().split():
        pytest.skip("this host has the controllers")
    refused(creel, limited(creel, resources), pointer)


@pytest.mark.controller("hugetlb")
def test_hugetlb(creel):
    """config-linux.md Huge page limits: /linux/resources/hugepageLimits/*/pageSize,/linux/resources/hugepageLimits/*/limit: MUST:
    usage and reservations are limited."""
    values = read(creel, {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]},
                  "hugetlb.2MB.max", "hugetlb.2MB.rsvd.max")
    assert values == [str(4 << 20)] * 2


@pytest.mark.parametrize("size", ["2mb", "02MB", "MB", "2", "2MiB"])
def test_hugetlb_malformed(creel, size):
    """config-linux.md Huge page limits: /linux/resources/hugepageLimits/*/pageSize: MUST: the size
    is a number and KB, MB or GB."""
    refused(creel, limited(creel, {"hugepageLimits": [{"pageSize": size, "limit": 1}]}),
            "/linux/resources/hugepageLimits/0/pageSize")


@pytest.mark.controller("memory")
@pytest.mark.parametrize("memory, expected", [
    ({"limit": 64 << 20}, [str(64 << 20), "max", "0"]),
    ({"limit": -1}, ["max", "max", "0"]), ({"limit": 0}, ["max", "max", "0"]),
    ({"limit": 64 << 20, "swap": 96 << 20}, [str(64 << 20), str(32 << 20), "0"]),
    ({"limit": 64 << 20, "swap": 64 << 20}, [str(64 << 20), "0", "0"]),
    ({"limit": 64 << 20, "swap": -1}, [str(64 << 20), "max", "0"]),
    ({"reservation": 32 << 20}, ["max", "max", str(32 << 20)])])
def test_memory(creel, memory, expected):
    """config-linux.md Memory: /linux/resources/memory/limit,/linux/resources/memory/swap,/linux/resources/memory/reservation: MUST:
    limit, memory and swap together, and the soft limit are set."""
    values = read(creel, {"memory": memory}, "memory.max", "memory.swap.max", "memory.low")
    assert values == expected


@pytest.mark.controller("memory")
def test_memory_check(creel):
    """config-linux.md Memory: /linux/resources/memory/checkBeforeUpdate: MUST: with it a new limit
    below the usage is refused."""
    with creel.running(limited(creel, {"memory": {"limit": 64 << 20}})) as name:
        result = creel.run("update", "-r", "-", name,
                           data='{"memory":{"limit":4096,"checkBeforeUpdate":true}}')
        assert result.code != 0 and "usage" in result.err, str(result)
        directory = cgroup_of(creel.state(name)["pid"])
        assert (directory / "memory.max").read_text().strip() == str(64 << 20)


@pytest.mark.controller("memory")
def test_memory_is_enforced(creel):
    """config-linux.md Memory: /linux/resources/memory/limit: MUST: a program that takes more is
    killed."""
    bundle = limited(creel, {"memory": {"limit": 16 << 20, "swap": 16 << 20}}, "/bin/probe", "hog",
                     str(64 << 20))
    assert creel.run_bundle(bundle).code == 137


@pytest.mark.parametrize("memory, member", [
    ({"swap": 1 << 26}, "swap"), ({"limit": 1 << 26, "swap": 1 << 25}, "swap"),
    ({"limit": 1 << 26, "swappiness": 101}, "swappiness")])
def test_memory_refused(creel, memory, member):
    """config-linux.md Memory: /linux/resources/memory/swap,/linux/resources/memory/swappiness: MUST:
    numbers that contradict each other are errors."""
    refused(creel, limited(creel, {"memory": memory}), f"/linux/resources/memory/{member}")


def test_memory_of_version_one(creel):
    """config-linux.md Memory: /linux/resources/memory/kernel,/linux/resources/memory/kernelTCP,/linux/resources/memory/swappiness,/linux/resources/memory/disableOOMKiller,/linux/resources/memory/useHierarchy: MUST:
    what only version 1 had, and engines still send, is no error where it cannot hurt."""
    bundle = limited(creel, {"memory": {"kernel": -1, "kernelTCP": -1, "swappiness": 60,
                                        "disableOOMKiller": False, "useHierarchy": True}},
                     "/bin/probe", "true")
    result = creel.run_bundle(bundle)
    assert result.code == 0, str(result)


@pytest.mark.controller("cpu")
@pytest.mark.parametrize("cpu, files, expected", [
    ({"shares": 1024}, ["cpu.weight"], ["100"]), ({"shares": 2}, ["cpu.weight"], ["1"]),
    ({"shares": 262144}, ["cpu.weight"], ["10000"]), ({"shares": 512}, ["cpu.weight"], ["59"]),
    ({"quota": 50000, "period": 200000}, ["cpu.max"], ["50000 200000"]),
    ({"quota": 50000}, ["cpu.max"], ["50000 100000"]),
    ({"period": 50000}, ["cpu.max"], ["max 50000"]),
    ({"quota": -1, "period": 50000}, ["cpu.max"], ["max 50000"]),
    ({"quota": 50000, "period": 100000, "burst": 20000}, ["cpu.max.burst"], ["20000"]),
    ({"idle": 1}, ["cpu.idle"], ["1"])])
def test_cpu(creel, cpu, files, expected):
    """config-linux.md CPU: /linux/resources/cpu/shares,/linux/resources/cpu/quota,/linux/resources/cpu/period,/linux/resources/cpu/burst,/linux/resources/cpu/idle: MUST:
    each becomes its value of version 2."""
    assert read(creel, {"cpu": cpu}, *files) == expected


@pytest.mark.controller("cpuset")
def test_cpuset(creel):
    """config-linux.md CPU: /linux/resources/cpu/cpus,/linux/resources/cpu/mems: MUST: processors and
    memory nodes are restricted."""
    bundle = limited(creel, {"cpu": {"cpus": "0", "mems": "0"}}, "/bin/probe", "sections",
                     "affinity")
    assert creel.run_bundle(bundle).json()["affinity"] == [0]


@pytest.mark.parametrize("cpu, member", [
    ({"realtimeRuntime": 1000}, "realtimeRuntime"),
    ({"quota": 1000, "burst": 2000}, "burst")])
def test_cpu_refused(creel, cpu, member):
    """config-linux.md CPU: /linux/resources/cpu/realtimeRuntime,/linux/resources/cpu/realtimePeriod,/linux/resources/cpu/burst: MUST:
    what version 2 cannot do, and a burst above the quota, are errors."""
    refused(creel, limited(creel, {"cpu": cpu}), f"/linux/resources/cpu/{member}")


@pytest.mark.controller("pids")
@pytest.mark.parametrize("limit, expected", [(10, "10"), (-1, "max"), (0, "0")])
def test_pids(creel, limit, expected):
    """config-linux.md PIDs: /linux/resources/pids/limit: MUST: the number is limited; -1 is no
    limit."""
    with creel.running(limited(creel, {"pids": {"limit": limit}})) as name:
        directory = cgroup_of(creel.state(name)["pid"])
        assert (directory / "pids.max").read_text().strip() == expected


@pytest.mark.controller("pids")
def test_pids_is_enforced(creel):
    """config-linux.md PIDs: /linux/resources/pids/limit: MUST: no more processes can be made."""
    bundle = limited(creel, {"pids": {"limit": 5}}, "/bin/probe", "forks", "20")
    assert creel.run_bundle(bundle).out == "4\n"


@pytest.mark.controller("io")
@pytest.mark.parametrize("weight", [10, 500, 1000])
def test_block_weight(creel, weight):
    """config-linux.md Block IO: /linux/resources/blockIO/weight: MUST: the weight is set."""
    with creel.running(limited(creel, {"blockIO": {"weight": weight}})) as name:
        directory = cgroup_of(creel.state(name)["pid"])
        if (directory / "io.bfq.weight").exists():
            text = (directory / "io.bfq.weight").read_text().split()[-1]
            assert text == str(weight)
        elif (directory / "io.weight").exists():
            text = (directory / "io.weight").read_text().split()[-1]
            assert text == str(1 + (weight - 10) * 9999 // 990)


@pytest.mark.controller("io")
@pytest.mark.parametrize("member, word", [
    ("throttleReadBpsDevice", "rbps"), ("throttleWriteBpsDevice", "wbps"),
    ("throttleReadIOPSDevice", "riops"), ("throttleWriteIOPSDevice", "wiops")])
def test_block_throttle(creel, member, word):
    """config-linux.md Block IO: /linux/resources/blockIO/throttleReadBpsDevice,/linux/resources/blockIO/throttleWriteBpsDevice,/linux/resources/blockIO/throttleReadIOPSDevice,/linux/resources/blockIO/throttleWriteIOPSDevice: MUST:
    the rate of a device is limited."""
    numbers = [entry for entry in pathlib.Path("/sys/block").iterdir()
               if (entry / "dev").exists() and int((entry / "size").read_text()) > 0]
    if not numbers:
        pytest.skip("needs a block device")
    major, minor = (numbers[0] / "dev").read_text().strip().split(":")
    values = read(creel, {"blockIO": {member: [
        {"major": int(major), "minor": int(minor), "rate": 1048576}]}}, "io.max")
    assert f"{major}:{minor}" in values[0] and f"{word}=1048576" in values[0]


@pytest.mark.parametrize("block, member", [
    ({"weight": 9}, "weight"), ({"weight": 1001}, "weight"), ({"leafWeight": 500}, "leafWeight"),
    ({"weightDevice": [{"major": 8, "minor": 0}]}, "weightDevice/0")])
def test_block_refused(creel, block, member):
    """config-linux.md Block IO: /linux/resources/blockIO/weight,/linux/resources/blockIO/leafWeight,/linux/resources/blockIO/weightDevice: MUST:
    weights lie in their range, a device has one, and leaf weights cannot be converted."""
    result = refused_somewhere(creel, limited(creel, {"blockIO": block}))
    assert result.error["pointer"].startswith(f"/linux/resources/blockIO/{member}")


def refused_somewhere(creel, bundle):
    """`create` fails and leaves nothing."""
    name = creel.id()
    result = creel.fails("", "create", "--bundle", bundle.path, name)
    assert not (creel.root / name).exists()
    return result


def test_network_classes(creel):
    """config-linux.md Network: /linux/resources/network/classID,/linux/resources/network/priorities: MUST:
    what version 2 does not have is an error."""
    refused(creel, limited(creel, {"network": {"classID": 1}}), "/linux/resources/network/classID")
    refused(creel, limited(creel, {"network": {"priorities": [{"name": "lo", "priority": 1}]}}),
            "/linux/resources/network/priorities")


@pytest.mark.controller("rdma")
def test_rdma(creel):
    """config-linux.md RDMA: /linux/resources/rdma/*/hcaHandles,/linux/resources/rdma/*/hcaObjects: MUST:
    a device that is not there is an error at its place."""
    refused(creel, limited(creel, {"rdma": {"mlx9_9": {"hcaHandles": 2, "hcaObjects": 3}}}),
            "/linux/resources/rdma/mlx9_9")


def test_rdma_empty(creel):
    """config-linux.md RDMA: /linux/resources/rdma/*/hcaHandles,/linux/resources/rdma/*/hcaObjects: MUST:
    at least one number is required."""
    refused(creel, limited(creel, {"rdma": {"mlx5_1": {}}}), "/linux/resources/rdma/mlx5_1")


@pytest.mark.controller("hugetlb")
def test_unified(creel):
    """config-linux.md Unified: /linux/resources/unified: MUST: every file that is named is
    written, known or not."""
    values = read(creel, {"unified": {"hugetlb.2MB.max": str(6 << 20),
                                      "hugetlb.2MB.rsvd.max": str(8 << 20)}}, "hugetlb.2MB.max",
                  "hugetlb.2MB.rsvd.max")
    assert values == [str(6 << 20), str(8 << 20)]


def test_unified_of_the_runtime(creel):
    """config-linux.md Unified: /linux/resources/unified: creel: files of the cgroup itself, which
    move processes and freeze them, are the runtime's, and an error."""
    for key in ("cgroup.procs", "cgroup.freeze", "cgroup.subtree_control"):
        refused(creel, limited(creel, {"unified": {key: "1"}}), f"/linux/resources/unified/{key}")


@pytest.mark.parametrize("key", ["../../x.y", "memory", "nosuchcontroller.max", "cgroup.nosuch"])
def test_unified_refused(creel, key):
    """config-linux.md Unified: /linux/resources/unified: MUST: a file that is not there, and a name
    that is none, are errors."""
    result = refused_somewhere(creel, limited(creel, {"unified": {key: "1"}}))
    assert result.error["pointer"].startswith("/linux/resources/unified/")


def test_paths_in_userns(creel):
    """config-linux.md Cgroups Path: /linux/cgroupsPath: MUST: it works with a user namespace."""
    name = creel.known(f"spec-{creel.directory.name}")
    with creel.running(with_path(creel, f"/{name}", userns=True)) as container:
        assert cgroup_of(creel.state(container)["pid"]) == harness.cgroup_root() / name

"""P makes the network namespace while I mounts, and I joins it before the first mount that shows a network; with a stage
(here for a time namespace) I is born in it.  Both ways give the same container."""

import os

import pytest

SECTIONS = ("network", "mounts", "env", "cwd", "uid", "gid", "capabilities", "seccomp", "dumpable", "process", "cgroup")
TIME = {"type": "time"}
WAYS = pytest.mark.parametrize("staged", (False, True))


def stage(spec, staged):
    if staged:
        spec["linux"]["namespaces"].append(TIME)


def facts(creel, staged, change=None):
    """What the probe sees, without what is different in each run."""
    def both(spec):
        stage(spec, staged)
        spec["linux"]["cgroupsPath"] = "/late-network"
        spec["mounts"] = [m for m in spec["mounts"] if m["type"] != "cgroup"]
        if change:
            change(spec)
    seen = creel.probe(*SECTIONS, change=both, rootfs=creel.rootfs(0))
    for mount in seen["mounts"]:
        for name in ("id", "parent", "device", "root", "source", "peer"):
            mount.pop(name, None)
    return seen


def sysfs_first(spec):
    spec["mounts"].sort(key=lambda mount: mount["type"] != "sysfs")


def sysfs_never(spec):
    spec["mounts"] = [m for m in spec["mounts"] if m["type"] != "sysfs"]


@pytest.mark.parametrize("change", (None, sysfs_first, sysfs_never))
def test_the_container_is_the_same(creel, change):
    late, born = facts(creel, False, change), facts(creel, True, change)
    assert len(late["network"]) == 1 and late["network"] == born["network"]
    assert late == born


@WAYS
def test_sysfs_and_proc_show_the_containers_network(creel, staged):
    bundle = creel.shell("ls /sys/class/net; wc -l < /proc/net/dev; ls /proc/sys/net/ipv4/conf; readlink /proc/self/ns/net")
    stage(bundle.spec, staged)
    bundle.write()
    words = creel.run_bundle(bundle).out.split()
    # Two lines of headings; the links of sit0 and the like are made with each namespace, where the kernel has them.
    assert "lo" in words[:-1] and words[-1] != os.readlink("/proc/self/ns/net")
    links = words[:next(i for i, w in enumerate(words) if w.isdigit())]
    assert int(words[len(links)]) == 2 + len(links)
    assert set(words[len(links) + 1:-1]) <= {"all", "default", *links}


@WAYS
def test_each_hook_meets_the_network_that_it_has_to(creel, staged):
    """The runtime's hooks run in the runtime's, also those after P has been in the container's; by then I is in its own."""
    seen = creel.directory / "seen"
    script = creel.directory / "hook"
    script.write_text("#!/bin/sh\n"
                      "pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/')\n"
                      f'echo "$1 $(readlink /proc/self/ns/net) $(readlink /proc/$pid/ns/net)" >> {seen}\n')
    script.chmod(0o755)
    bundle = creel.bundle("/bin/probe", "sleep")
    bundle.spec["hooks"] = {kind: [{"path": str(script), "args": ["hook", kind]}]
                            for kind in ("createRuntime", "poststart", "poststop")}
    stage(bundle.spec, staged)
    bundle.write()
    name = creel.create(bundle)
    pid = creel.state(name)["pid"]
    own, theirs = os.readlink("/proc/self/ns/net"), os.readlink(f"/proc/{pid}/ns/net")
    creel.ok("start", name)
    creel.ok("delete", "-f", name)
    words = [line.split() for line in seen.read_text().splitlines()]
    assert [w[:2] for w in words] == [["createRuntime", own], ["poststart", own], ["poststop", own]]
    assert own != theirs and [w[2] for w in words[:2]] == [theirs, theirs]



@WAYS
def test_a_poststop_hook_gets_its_device_back(creel, staged):
    """The container's network ends with the container, not with the command that ran it."""
    seen = creel.directory / "seen"
    create, stop = creel.directory / "create", creel.directory / "stop"
    create.write_text("#!/bin/sh -e\npid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/')\n"
                      "ip link add creel0 type veth peer name creel1\nip link set creel1 netns $pid\n")
    stop.write_text("#!/bin/sh\nn=0\nwhile [ -e /proc/sys/net/ipv4/conf/creel0 ] && [ $n -lt 300 ]; do\n"
                    f"n=$((n + 1)); sleep 0.1; done\n[ $n -lt 300 ] && echo gone > {seen}\n")
    bundle = creel.shell("cat /proc/net/dev")
    bundle.spec["hooks"] = {kind: [{"path": str(script), "timeout": 60, "env": [f"PATH={os.environ['PATH']}"]}]
                            for kind, script in (("createRuntime", create), ("poststop", stop))}
    for script in (create, stop):
        script.chmod(0o755)
    stage(bundle.spec, staged)
    bundle.write()
    creel.prefix = ["unshare", "--net", *creel.prefix]
    result = creel.run_bundle(bundle)
    assert result.code == 0 and "creel1" in result.out, str(result)
    assert seen.read_text() == "gone\n"

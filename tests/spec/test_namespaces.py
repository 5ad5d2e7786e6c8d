"""config-linux.md, "Namespaces", "User namespace mappings" and "Network devices"' place to go."""

import itertools
import os
import pathlib

import pytest

from .words import (NAMESPACES, add_mount, changed, drop_namespace, holder, ids, inode, map_ids,
                    mount_at, refused, set_namespace)

NEW = [kind for kind in NAMESPACES if kind != "mount"]
JOINED = ["pid", "network", "ipc", "uts", "cgroup", "time", "user", "mount"]


def bare(spec, *kinds):
    """Leaves in SPEC only what runs with the namespaces KINDS alone, all of them new."""
    spec["linux"] = {"namespaces": []}
    spec.pop("hostname", None)
    spec["mounts"] = []
    spec["root"]["readonly"] = False
    for kind in kinds:
        if kind == "user":
            map_ids(spec, (0, 100000, 65536))
        else:
            set_namespace(spec, kind)
    if "mount" in kinds:
        if "pid" in kinds or "user" not in kinds:
            add_mount(spec, "/proc", "proc", "proc")
        else:
            add_mount(spec, "/proc", "none", "/proc", ["rbind"])
        spec["root"]["readonly"] = True


def bare_bundle(creel, *kinds, args=("/bin/probe", "sleep")):
    """A bundle of bare(), with a root for its user namespace."""
    bundle = creel.bundle(*args, userns="user" in kinds)
    bare(bundle.spec, *kinds)
    return bundle.write()


def compare(creel, name, kinds):
    """Of a running container, KINDS differ from ours, and all others are ours."""
    pid = creel.state(name)["pid"]
    for kind in NAMESPACES:
        same = inode(pid, kind) == inode("self", kind)
        assert same == (kind not in kinds), f"{kind}: {'same' if same else 'differs'}"


@pytest.mark.parametrize("kind", NAMESPACES)
def test_new(creel, kind):
    """config-linux.md Namespaces: /linux/namespaces/*/type: MUST: an entry without a path makes a
    new namespace of its type, and types that are not listed are inherited."""
    kinds = {kind} if kind != "time" else {kind, "mount"}
    with creel.running(bare_bundle(creel, *kinds)) as name:
        compare(creel, name, kinds)


@pytest.mark.parametrize("first, second", itertools.combinations(NAMESPACES, 2))
def test_new_pairs(creel, first, second):
    """config-linux.md Namespaces: /linux/namespaces: MUST: every two types can be new together."""
    with creel.running(bare_bundle(creel, first, second)) as name:
        compare(creel, name, {first, second})


def test_all_new(creel):
    """config-linux.md Namespaces: /linux/namespaces: MUST: all eight can be new."""
    with creel.running(bare_bundle(creel, *NAMESPACES)) as name:
        compare(creel, name, set(NAMESPACES))


def test_none(creel):
    """config-linux.md Namespaces: /linux/namespaces: MUST: without any the container shares all of
    the runtime's, and has a root of its own."""
    bundle = bare_bundle(creel, args=("/bin/busybox", "ls", "/"))
    result = creel.run_bundle(bundle)
    assert result.code == 0 and set(result.out.split()) == set(os.listdir(bundle.rootfs))
    with creel.running(bare_bundle(creel)) as name:
        compare(creel, name, set())
        # A program of the container's, and in its root: never one of the host's.
        assert creel.ok("exec", name, "/bin/busybox", "ls", "/").out == result.out


def join(spec, kind, path):
    """Makes SPEC join a namespace, and takes out what that does not allow."""
    set_namespace(spec, kind, path)
    if kind == "uts":
        spec.pop("hostname")


@pytest.mark.parametrize("kind", JOINED)
def test_joined(creel, kind):
    """config-linux.md Namespaces: /linux/namespaces/*/path: MUST: an entry with a path joins that
    namespace."""
    with holder(kind) as pid:
        bundle = creel.bundle("/bin/probe", "sleep")
        if kind == "mount":
            bare(bundle.spec)
        elif kind == "user":
            bare(bundle.spec, "mount", "pid")
        join(bundle.spec, kind, f"/proc/{pid}/ns/{NAMESPACES[kind]}"
             ) if kind != "mount" else set_namespace(bundle.spec, kind, f"/proc/{pid}/ns/mnt")
        if kind == "user":
            bundle.spec.pop("hostname", None)
        with creel.running(bundle.write()) as name:
            init = creel.state(name)["pid"]
            assert inode(init, kind) == inode(pid, kind)
            seen = creel.ok("exec", name, "/bin/probe", "sections", "uid").json()
            assert seen["uid"]["effective"] == 0


PAIRS = [pair for pair in itertools.combinations(["network", "ipc", "uts", "pid", "cgroup", "time"],
                                                 2)]


@pytest.mark.parametrize("first, second", PAIRS)
def test_joined_pairs(creel, first, second):
    """config-linux.md Namespaces: /linux/namespaces/*/path: MUST: two namespaces of a process can be
    joined together."""
    with holder(first, second) as pid:
        bundle = creel.bundle("/bin/probe", "sleep")
        bundle.spec.pop("hostname")
        for kind in (first, second):
            set_namespace(bundle.spec, kind, f"/proc/{pid}/ns/{NAMESPACES[kind]}")
        with creel.running(bundle.write()) as name:
            init = creel.state(name)["pid"]
            assert [inode(init, k) for k in (first, second)] == [
                inode(pid, k) for k in (first, second)]


@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "pid"])
def test_joined_with_user(creel, kind):
    """config-linux.md Namespaces: /linux/namespaces/*/path: MUST: a user namespace and one that it
    owns can be joined together, as pods do."""
    with holder("user", kind) as pid:
        bundle = creel.bundle("/bin/probe", "sleep")
        bare(bundle.spec, "mount", "pid")
        set_namespace(bundle.spec, "user", f"/proc/{pid}/ns/user")
        set_namespace(bundle.spec, kind, f"/proc/{pid}/ns/{NAMESPACES[kind]}")
        with creel.running(bundle.write()) as name:
            init = creel.state(name)["pid"]
            assert [inode(init, k) for k in ("user", kind)] == [
                inode(pid, k) for k in ("user", kind)]
            assert creel.ok("exec", name, "/bin/probe", "sections", "namespaces").json()


@pytest.mark.parametrize("kind", ["network", "ipc", "uts"])
def test_joined_with_new_user(creel, kind):
    """config-linux.md Namespaces: /linux/namespaces/*/path: MUST: a namespace of the host's user
    namespace is joined by a container with a new user namespace."""
    with holder(kind) as pid:
        bundle = creel.bundle("/bin/probe", "sleep", userns=True)
        bundle.spec.pop("hostname")
        if kind == "network":      # sysfs belongs to the owner of the network
            bundle.spec["mounts"] = [m for m in bundle.spec["mounts"] if m["type"] != "sysfs"
                                     and m["type"] != "cgroup"]
        if kind == "ipc":          # and so do the queues
            bundle.spec["mounts"] = [m for m in bundle.spec["mounts"] if m["type"] != "mqueue"]
        set_namespace(bundle.spec, kind, f"/proc/{pid}/ns/{NAMESPACES[kind]}")
        with creel.running(bundle.write()) as name:
            assert inode(creel.state(name)["pid"], kind) == inode(pid, kind)


@pytest.mark.parametrize("maps", [None, [(0, 0, 1)], [(0, 100000, 65536)]])
def test_joined_user_with_maps(creel, maps):
    """config-linux.md User namespace mappings: /linux/uidMappings,/linux/gidMappings: MUST: beside
    the path of a user namespace the maps are not used, since podman writes dummies."""
    with creel.running(creel.bundle("/bin/probe", "sleep", userns=True)) as owner:
        pid = creel.state(owner)["pid"]
        bundle = creel.bundle("/bin/probe", "sleep", userns=True, user={"uid": 7, "gid": 8})
        bare(bundle.spec, "mount", "pid", "ipc")
        set_namespace(bundle.spec, "user", f"/proc/{pid}/ns/user")
        if maps:
            bundle.spec["linux"].update(uidMappings=ids(*maps), gidMappings=ids(*maps))
        name = creel.id()
        bundle.write()
        result = creel.run("create", "--bundle", bundle.path, name)
        assert result.code == 0, str(result)
        creel.ok("start", name)
        status = pathlib.Path(f"/proc/{creel.state(name)['pid']}/status").read_text()
        assert "Uid:\t100007\t" in status
        report = creel.run("exec", name, "/bin/probe", "sections", "uid,gid")
        assert report.code == 0, str(report)
        assert report.json()["uid"]["effective"] == 7
        creel.ok("delete", "--force", name)


def test_maps(creel):
    """config-linux.md User namespace mappings: /linux/uidMappings/*/containerID,/linux/uidMappings/*/hostID,/linux/uidMappings/*/size,/linux/gidMappings/*/containerID: MUST:
    the maps of the namespace are the listed ones, in order."""
    bundle = creel.bundle("/bin/probe", "sleep", userns=True)
    bundle.spec["linux"]["uidMappings"] = ids((0, 100000, 1000), (5000, 300000, 10),
                                              (1000, 200000, 1))
    bundle.spec["linux"]["gidMappings"] = ids((0, 100000, 500))
    with creel.running(bundle.write()) as name:
        pid = creel.state(name)["pid"]
        lines = pathlib.Path(f"/proc/{pid}/uid_map").read_text().split("\n")
        assert sorted(tuple(map(int, line.split())) for line in lines if line) == [
            (0, 100000, 1000), (1000, 200000, 1), (5000, 300000, 10)]
        assert pathlib.Path(f"/proc/{pid}/gid_map").read_text().split() == ["0", "100000", "500"]


def test_many_maps(creel):
    """config-linux.md User namespace mappings: /linux/uidMappings: MUST: as many lines as the kernel
    takes can be given, and more are an error."""
    bundle = creel.bundle("/bin/probe", "true", userns=True)
    bundle.spec["mounts"][2]["options"].remove("gid=5")
    for count in (340, 341):
        # The kernel takes less than a page of text, so the numbers are short.
        lines = [(0, 100000, 1)] + [(n, 1000 + 2 * n, 1) for n in range(1, count)]
        for member in ("uidMappings", "gidMappings"):
            bundle.spec["linux"][member] = ids(*lines)
        bundle.write()
        if count == 340:
            result = creel.run_bundle(bundle)
            assert result.code == 0, str(result)
        else:
            refused(creel, bundle, "/linux/uidMappings", "341")


@pytest.mark.parametrize("member", ["containerID", "hostID", "size"])
def test_maps_incomplete(creel, member):
    """config-linux.md User namespace mappings: /linux/uidMappings/*/containerID,/linux/uidMappings/*/hostID,/linux/uidMappings/*/size: MUST:
    all three numbers are required."""
    refused(creel, changed(creel, lambda spec: spec["linux"]["uidMappings"][0].pop(member),
                           userns=True), f"/linux/uidMappings/0/{member}")


def test_user_without_maps(creel):
    """config-linux.md User namespace mappings: /linux/uidMappings,/linux/gidMappings: MUST: a new
    user namespace needs both."""
    for member in ("uidMappings", "gidMappings"):
        refused(creel, changed(creel, lambda spec, member=member: spec["linux"].pop(member),
                               userns=True), f"/linux/{member}")


def test_maps_without_user(creel):
    """config-linux.md User namespace mappings: /linux/uidMappings: MUST: maps without a user
    namespace are an error."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(
        uidMappings=ids((0, 100000, 10)))), "/linux/uidMappings")


@pytest.mark.parametrize("kind", NAMESPACES)
def test_duplicate(creel, kind):
    """config-linux.md Namespaces: /linux/namespaces/*/type: MUST: a type that is listed twice is an
    error."""
    def change(spec):
        drop_namespace(spec, kind)
        spec["linux"]["namespaces"] = [{"type": kind}, {"type": kind}]
    refused(creel, changed(creel, change), "/linux/namespaces/1/type")


@pytest.mark.parametrize("kind", NAMESPACES)
def test_wrong_type(creel, kind):
    """config-linux.md Namespaces: /linux/namespaces/*/path: MUST: a path to a namespace of another
    type is an error."""
    other = "ipc" if kind != "ipc" else "uts"
    with holder(other) as pid:
        bundle = changed(creel, lambda spec: set_namespace(
            spec, kind, f"/proc/{pid}/ns/{NAMESPACES[other]}"))
        index = len(bundle.spec["linux"]["namespaces"]) - 1
        refused(creel, bundle, f"/linux/namespaces/{index}/path")


@pytest.mark.parametrize("path", ["/nonexistent/ns", "/etc/passwd", "/proc/self/status"])
def test_no_namespace(creel, path):
    """config-linux.md Namespaces: /linux/namespaces/*/path: MUST: a path that leads to no namespace
    is an error."""
    bundle = changed(creel, lambda spec: set_namespace(spec, "ipc", path))
    index = len(bundle.spec["linux"]["namespaces"]) - 1
    refused(creel, bundle, f"/linux/namespaces/{index}/path")


def test_relative_path(creel):
    """config-linux.md Namespaces: /linux/namespaces/*/path: MUST: the path is absolute."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(
        namespaces=[{"type": "ipc", "path": "proc/self/ns/ipc"}])), "/linux/namespaces/0/path")


def test_unknown_type(creel):
    """config-linux.md Namespaces: /linux/namespaces/*/type: MUST: an unknown type is an error."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(
        namespaces=[{"type": "dream"}])), "/linux/namespaces/0/type")


def test_network_is_up(creel):
    """config-linux.md Namespaces: /linux/namespaces: creel: in a new network namespace the loopback
    device is up."""
    network = creel.probe("network")["network"]
    assert [device["name"] for device in network] == ["lo"]
    assert "UP" in network[0]["flags"] and "127.0.0.1" in network[0]["addresses"]


def test_network_inherited(creel):
    """config-linux.md Namespaces: /linux/namespaces: MUST: without the type the container sees the
    host's devices."""
    report = creel.probe("namespaces", change=lambda spec: drop_namespace(spec, "network"))
    assert report["namespaces"]["net"] == os.stat("/proc/self/ns/net").st_ino


def test_names(creel):
    """config.md Hostname: /hostname,/domainname: MUST: the UTS namespace has these names."""
    report = creel.probe("hostname", "domainname", change=lambda spec: spec.update(
        hostname="the-host", domainname="the.domain"))
    assert report == {"hostname": "the-host", "domainname": "the.domain"}


def test_names_in_userns(creel):
    """config.md Hostname: /hostname,/domainname: MUST: in a user namespace as well."""
    report = creel.probe("hostname", "domainname", userns=True, change=lambda spec: spec.update(
        hostname="the-host", domainname="the.domain"))
    assert report == {"hostname": "the-host", "domainname": "the.domain"}


@pytest.mark.parametrize("member", ["hostname", "domainname"])
def test_names_without_namespace(creel, member):
    """config.md Hostname: /hostname,/domainname: MUST: without a UTS namespace of its own a name is
    an error, for it would be the host's."""
    def change(spec):
        drop_namespace(spec, "uts")
        spec.pop("hostname")
        spec[member] = "name"
    refused(creel, changed(creel, change), f"/{member}", "without a private UTS namespace")


def test_name_in_joined_namespace(creel):
    """config.md Hostname: /hostname: MAY: in a joined UTS namespace the name is set."""
    with holder("uts") as pid:
        report = creel.probe("hostname", change=lambda spec: set_namespace(
            spec, "uts", f"/proc/{pid}/ns/uts"))
        assert report["hostname"] == "creel"


def test_cgroup_namespace_root(creel):
    """config-linux.md Namespaces: /linux/namespaces: MUST: in a new cgroup namespace the container's
    cgroup is the root."""
    report = creel.probe("cgroup", "mounts")
    assert {"hierarchy": 0, "controllers": "", "path": "/"} in report["cgroup"]
    assert mount_at(report, "/sys/fs/cgroup")["root"] == "/"


def test_mounts_need_namespace(creel):
    """config-linux.md Namespaces: /mounts: MUST: mounts without a mount namespace would change the
    host, and are an error."""
    refused(creel, changed(creel, lambda spec: drop_namespace(spec, "mount")), "/mounts")

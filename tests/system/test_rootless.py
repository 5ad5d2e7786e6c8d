"""Containers of an ordinary user: one id, a range of ids by newuidmap, and inside of a user
namespace that somebody else has made."""

import json
import os
import pathlib
import pwd
import re

import harness
import pytest
from harness import USER, mount, require_program, unmount


@pytest.fixture
def user(creel):
    """creel as it is called by the user, who owns the state and the bundles."""
    creel.prefix = [require_program("setpriv"), "--reuid", str(USER), "--regid", str(USER),
                    "--clear-groups", "--inh-caps=-all"]
    creel.root = creel.directory / "user-state"
    creel.root.mkdir(mode=0o700)
    os.chown(creel.root, USER, USER)
    os.chown(creel.directory, USER, USER)
    for name in ("/proc/sys/kernel/unprivileged_userns_clone",
                 "/proc/sys/user/max_user_namespaces"):
        if os.path.exists(name) and pathlib.Path(name).read_text().strip() == "0":
            pytest.skip(f"{name} is 0")
    return creel


def sections(creel, bundle, *names):
    """The report of a probe of BUNDLE."""
    bundle.spec["process"]["args"] = ["/bin/probe", "sections", ",".join(names)]
    result = creel.run_bundle(bundle.write())
    assert result.code == 0, str(result)
    assert only_warned(result.err), str(result)
    return result.json()


def only_warned(text):
    """An ordinary user without a cgroup of its own is told so, once."""
    return re.fullmatch(r"(creel: warning: running without a cgroup: [^\n]*\n)?", text)


def create(creel, bundle, **more):
    """The id of a container that waits for start."""
    name = creel.id()
    result = creel.run("create", "--bundle", bundle.path, name, **more)
    assert result.code == 0 and only_warned(result.err), str(result)
    return name


def test_a_single_id(user):
    report = sections(user, user.bundle("/bin/probe", rootless=True), "uid", "gid", "namespaces",
                      "mounts", "hostname", "capabilities", "groups")
    assert set(report["uid"].values()) == {0}
    assert set(report["gid"].values()) == {0}
    assert report["hostname"] == "creel"


def test_files_belong_to_the_user(user):
    bundle = user.shell("id -u > /tmp/file", rootless=True)
    bundle.spec["root"]["readonly"] = False
    result = user.run_bundle(bundle.write())
    assert result.code == 0, str(result)
    assert (bundle.rootfs / "tmp/file").read_text() == "0\n"
    assert (bundle.rootfs / "tmp/file").stat().st_uid == USER


def test_the_whole_life(user):
    bundle = user.bundle("/bin/probe", "sleep", rootless=True)
    name = create(user, bundle)
    assert user.status(name) == "created"
    user.ok("start", name)
    assert user.status(name) == "running"
    assert user.run("exec", name, "/bin/probe", "exit", "3").code == 3
    assert user.ok("list", "--format", "json").json()[0]["id"] == name
    user.ok("kill", name, "KILL")
    user.wait_status(name, "stopped")
    user.ok("delete", name)


def test_a_cgroup_may_be_demanded(user):
    bundle = user.bundle("/bin/probe", "true", rootless=True)
    result = user.run_bundle(bundle)
    assert result.code == 0, str(result)
    if not result.err:
        pytest.skip("this host lets any user make cgroups")
    user.options = ["--rootless=false"]
    user.fails("cannot make the cgroup", "run", "--bundle", bundle.path, user.id())


def test_spec_rootless_runs(user):
    directory = user.directory / "made"
    directory.mkdir()
    os.chown(directory, USER, USER)
    user.ok("spec", "--rootless", "--bundle", directory)
    config = directory / "config.json"
    spec = json.loads(config.read_text())
    assert spec["linux"]["uidMappings"] == [{"containerID": 0, "hostID": USER, "size": 1}]
    spec["process"]["terminal"] = False
    spec["process"]["args"] = ["/bin/probe", "exit", "8"]
    config.write_text(json.dumps(spec))
    user.rootfs(USER).rename(directory / "rootfs")
    result = user.run("run", "--bundle", directory, user.id())
    assert result.code == 8, str(result)


def test_default_state_root(user):
    runtime_dir = user.directory / "xdg"
    runtime_dir.mkdir(mode=0o700)
    os.chown(runtime_dir, USER, USER)
    bundle = user.bundle("/bin/probe", "sleep", rootless=True)
    env = {"XDG_RUNTIME_DIR": str(runtime_dir)}
    name = create(user, bundle, root=False, env=env)
    found = [path.parent.name for path in runtime_dir.glob("creel/*/state.json")]
    user.ok("delete", name, root=False, env=env)
    assert found == [name]


def test_terminal(user):
    bundle = user.bundle("/bin/probe", "tty", rootless=True, terminal=True)
    bundle.spec["mounts"] = [m for m in bundle.spec["mounts"]]
    bundle.write()
    result = user.run_bundle(bundle)
    assert result.code == 0, str(result)
    assert json.loads(result.out)["isatty"] == [True, True, True]


def test_ids_that_are_not_mapped(user):
    bundle = user.bundle("/bin/probe", rootless=True, user={"uid": 5, "gid": 5})
    record = user.fails("", "create", "--bundle", bundle.path, user.id()).error
    assert record["pointer"].startswith("/process/user"), record
    bundle = user.bundle("/bin/probe", rootless=True, user={"uid": 0, "gid": 0,
                                                            "additionalGids": [5]})
    record = user.fails("", "create", "--bundle", bundle.path, user.id()).error
    assert record["pointer"].startswith("/process/user"), record


def test_maps_of_others_are_refused(user):
    bundle = user.bundle("/bin/probe", rootless=True)
    bundle.spec["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}]
    record = user.fails("", "create", "--bundle", bundle.write().path, user.id()).error
    assert "uid" in record["msg"].lower()
    assert user.ids() == []


@pytest.fixture
def ranges(user):
    """Subordinate ids of the user, in files that only this mount namespace sees."""
    require_program("newuidmap")
    if not os.stat(require_program("newuidmap")).st_mode & 0o4000:
        pytest.skip("newuidmap has no set-user-id bit here")
    try:
        name = pwd.getpwuid(USER).pw_name
    except KeyError:
        pytest.skip(f"uid {USER} has no name in /etc/passwd")
    mounted = []
    for file in ("subuid", "subgid"):
        own = user.directory / file
        own.write_text(f"{name}:100000:65536\n")
        own.chmod(0o644)
        if not os.path.exists(f"/etc/{file}"):
            pytest.skip(f"there is no /etc/{file} to replace")
        mount(own, f"/etc/{file}", None, harness.MS_BIND)
        mounted.append(f"/etc/{file}")
    yield user
    for path in mounted:
        unmount(path)


def test_a_range_of_ids(ranges):
    rootfs = ranges.rootfs(USER)
    bundle = ranges.bundle("/bin/probe", rootless=True, rootfs=rootfs,
                           user={"uid": 7, "gid": 8, "additionalGids": [9]})
    for name in ("uidMappings", "gidMappings"):
        bundle.spec["linux"][name] = [{"containerID": 0, "hostID": USER, "size": 1},
                                      {"containerID": 1, "hostID": 100000, "size": 65536}]
    report = sections(ranges, bundle, "uid", "gid", "groups")
    assert set(report["uid"].values()) == {7}
    assert set(report["gid"].values()) == {8}
    assert 9 in report["groups"]


def test_more_ids_than_the_user_has(ranges):
    bundle = ranges.bundle("/bin/probe", rootless=True)
    bundle.spec["linux"]["uidMappings"] = [{"containerID": 0, "hostID": USER, "size": 1},
                                           {"containerID": 1, "hostID": 100000, "size": 70000}]
    record = ranges.fails("", "create", "--bundle", bundle.write().path, ranges.id()).error
    assert record["pointer"].startswith("/linux/uidMappings"), record


@pytest.fixture
def nested(creel):
    """creel as root of a user namespace: no right in the initial one."""
    require_program("unshare")
    creel.prefix = [require_program("setpriv"), "--reuid", str(USER), "--regid", str(USER),
                    "--clear-groups", "unshare", "--user", "--map-root-user", "--mount"]
    creel.root = creel.directory / "user-state"
    creel.root.mkdir(mode=0o700)
    os.chown(creel.root, USER, USER)
    os.chown(creel.directory, USER, USER)
    return creel


def in_namespace(spec):
    """What one id and no right in the initial namespace allow."""
    for name in ("uidMappings", "gidMappings"):
        spec["linux"].pop(name, None)
    spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "user"]


def test_root_of_a_user_namespace_without_a_new_one(nested):
    bundle = nested.bundle("/bin/probe", rootless=True)
    in_namespace(bundle.spec)
    report = sections(nested, bundle, "uid", "capabilities")
    assert set(report["uid"].values()) == {0}


def test_a_user_namespace_in_a_user_namespace(nested):
    bundle = nested.bundle("/bin/probe", rootless=True)
    for name in ("uidMappings", "gidMappings"):
        bundle.spec["linux"][name] = [{"containerID": 0, "hostID": 0, "size": 1}]
    report = sections(nested, bundle, "uid", "gid")
    assert set(report["uid"].values()) == {0}


# User namespaces of root

def test_a_user_namespace_of_root(creel):
    report = creel.probe("uid", "gid", "mounts", "dev", "hostname", userns=True)
    assert set(report["uid"].values()) == {0}
    devices = {node["name"]: node for node in report["dev"]}
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        assert devices[name]["type"] == "char", name
    assert devices["null"]["mode"] == "0666"


def test_files_belong_to_the_mapped_root(creel):
    bundle = creel.shell("id -u > /tmp/file; echo > /dev/null", userns=True)
    bundle.spec["root"]["readonly"] = False
    result = creel.run_bundle(bundle.write())
    assert result.code == 0, str(result)
    assert (bundle.rootfs / "tmp/file").stat().st_uid == harness.MAPPED


def test_other_users_of_a_user_namespace(creel):
    report = creel.probe("uid", "gid", "groups", userns=True,
                         user={"uid": 1000, "gid": 1001, "additionalGids": [5, 65535]})
    assert set(report["uid"].values()) == {1000}
    assert {5, 65535} <= set(report["groups"])


@pytest.mark.parametrize("user,pointer", [
    ({"uid": 70000, "gid": 0}, "/process/user/uid"),
    ({"uid": 0, "gid": 70000}, "/process/user/gid"),
    ({"uid": 0, "gid": 0, "additionalGids": [70000]}, "/process/user/additionalGids")])
def test_users_that_are_not_mapped(creel, user, pointer):
    bundle = creel.bundle("/bin/probe", userns=True, user=user)
    record = creel.fails("mapped", "create", "--bundle", bundle.path, creel.id()).error
    assert record["pointer"].startswith(pointer), record


def test_joining_a_user_namespace(creel):
    with creel.running(creel.bundle("/bin/probe", "sleep", userns=True)) as first:
        pid = creel.state(first)["pid"]
        bundle = creel.bundle("/bin/probe", userns=True)
        namespaces = bundle.spec["linux"]["namespaces"]
        for namespace in namespaces:
            kind = {"network": "net"}.get(namespace["type"], namespace["type"])
            if kind in ("net", "ipc", "user", "uts"):
                namespace["path"] = f"/proc/{pid}/ns/{kind}"
        for name in ("uidMappings", "gidMappings"):
            del bundle.spec["linux"][name]
        report = sections(creel, bundle, "uid", "namespaces")
        assert set(report["uid"].values()) == {0}
        for kind in ("net", "ipc", "user", "uts"):
            assert report["namespaces"][kind] == os.stat(f"/proc/{pid}/ns/{kind}").st_ino
        assert report["namespaces"]["pid"] != os.stat(f"/proc/{pid}/ns/pid").st_ino

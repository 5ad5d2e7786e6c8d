"""Containers without root, row by row: what works without subordinate ids, without a cgroup, in a
delegated one, and inside of containers; what is missing is said once, and what cannot work names the
file or the sysctl to change.

The rows with a systemd of the user's own are in test_systemd.py, which needs a virtual machine.
"""

import json
import os
import pathlib

import harness
import pytest
from harness import USER, mount, require_controller, require_program, unmount
from test_rootless import in_namespace, nested, user  # noqa: F401

HOST_TREES = ("/usr", "/lib", "/lib64", "/bin", "/sbin")
WITHOUT_CGROUP = "running without a cgroup"


def shell(script):
    """A shell that does SCRIPT, and then what comes behind."""
    return ["sh", "-c", f'{script} && exec "$@"', "sh"]


def maps(spec, *ranges):
    """Both mappings: (inside, outside, size)."""
    for name in ("uidMappings", "gidMappings"):
        spec["linux"][name] = [{"containerID": inside, "hostID": outside, "size": size}
                               for inside, outside, size in ranges]


def warned_once(result):
    """Success, with the one sentence about the cgroup."""
    assert result.code == 0, str(result)
    assert result.err.count("warning") == result.err.count(WITHOUT_CGROUP) <= 1, str(result)


def refused(creel, bundle, *phrases):
    """create fails, its message and hint hold PHRASES, and nothing is left."""
    name = creel.id()
    result = creel.run("create", "--bundle", bundle.write().path, name)
    assert result.code == 1, str(result)
    for phrase in phrases:
        assert phrase in result.err, str(result)
    assert creel.ids() == []
    return result


# Ids


@pytest.fixture
def no_ranges(user):  # noqa: F811
    """Nobody has subordinate ids."""
    for file in ("/etc/subuid", "/etc/subgid"):
        if not os.path.exists(file):
            pytest.skip(f"there is no {file} to replace")
        mount("/dev/null", file, None, harness.MS_BIND)
    yield user
    for file in ("/etc/subuid", "/etc/subgid"):
        unmount(file)


def test_spec_without_ranges(no_ranges):
    """`spec --rootless` maps one id, which needs no permission."""
    path = no_ranges.directory / "bundle-spec"
    path.mkdir()
    os.chown(path, USER, USER)
    no_ranges.ok("spec", "--rootless", "--bundle", path)
    spec = json.loads((path / "config.json").read_text())
    spec["process"].update(args=["/bin/probe", "sections", "uid"], terminal=False)
    bundle = no_ranges.bundle("/bin/probe", spec=spec, rootless=True)
    result = no_ranges.run_bundle(bundle)
    warned_once(result)
    assert set(result.json()["uid"].values()) == {0}


def test_range_without_ranges(no_ranges):
    require_program("newuidmap")
    bundle = no_ranges.bundle("/bin/probe", "true", rootless=True)
    maps(bundle.spec, (0, USER, 1), (1, 100000, 65536))
    refused(no_ranges, bundle, "/etc/subuid", "/linux/uidMappings")


def test_range_of_somebody_else(user):  # noqa: F811
    """The line is there, but it is another's."""
    require_program("newuidmap")
    for file in ("subuid", "subgid"):
        own = user.directory / file
        own.write_text("somebody:100000:65536\n")
        own.chmod(0o644)
        mount(own, f"/etc/{file}", None, harness.MS_BIND)
    try:
        bundle = user.bundle("/bin/probe", "true", rootless=True)
        maps(bundle.spec, (0, USER, 1), (1, 100000, 65536))
        refused(user, bundle, "/etc/subuid", "/linux/uidMappings")
    finally:
        for file in ("subuid", "subgid"):
            unmount(f"/etc/{file}")


def test_without_newuidmap(user):  # noqa: F811
    """Neither in PATH nor where it always is."""
    helper = require_program("newuidmap")
    mount("/dev/null", os.path.realpath(helper), None, harness.MS_BIND)
    try:
        bundle = user.bundle("/bin/probe", "true", rootless=True)
        maps(bundle.spec, (0, USER, 1), (1, 100000, 65536))
        refused(user, bundle, "newuidmap")
    finally:
        unmount(os.path.realpath(helper))


def test_without_a_user_namespace(user):  # noqa: F811
    bundle = user.bundle("/bin/probe", "true", rootless=True)
    in_namespace(bundle.spec)
    refused(user, bundle, "user namespace", "creel spec --rootless")


# Limits of the host


@pytest.mark.parametrize("kind", ["user", "net", "mnt", "pid", "ipc", "uts"])
def test_no_more_namespaces(nested, kind):  # noqa: F811
    """user.max_*_namespaces is of a user namespace, so that it can be tried."""
    bundle = nested.bundle("/bin/probe", "true", rootless=True)
    if kind == "user":
        maps(bundle.spec, (0, 0, 1))
    else:
        in_namespace(bundle.spec)
    if kind == "net":
        bundle.spec["linux"]["namespaces"].append({"type": "network"})
    nested.prefix = [*nested.prefix, *shell(f"echo 0 > /proc/sys/user/max_{kind}_namespaces")]
    refused(nested, bundle, f"user.max_{kind}_namespaces is 0")


def test_covered_proc(nested):  # noqa: F811
    """The kernel gives no new /proc to who sees one with covered parts."""
    bundle = nested.bundle("/bin/probe", "true", rootless=True)
    maps(bundle.spec, (0, 0, 1))
    nested.prefix = [*nested.prefix, *shell("mount --bind /dev/null /proc/version")]
    refused(nested, bundle, "cannot mount proc", "/proc/version")


def test_sysfs_without_a_network_namespace(user):  # noqa: F811
    bundle = user.bundle("/bin/probe", "true", rootless=True)
    bundle.spec["mounts"] = [m for m in bundle.spec["mounts"] if m["destination"] != "/sys"]
    bundle.spec["mounts"].append({"destination": "/sys", "type": "sysfs", "source": "sysfs",
                                  "options": ["ro"]})
    refused(user, bundle, "network namespace", "rbind")


@pytest.mark.parametrize("sysctl", ["apparmor_restrict_unprivileged_userns",
                                    "unprivileged_userns_clone"])
def test_sysctl_forbids_user_namespaces(user, sysctl):  # noqa: F811
    """On kernels that have it, as it is on Ubuntu and was on Debian."""
    file = pathlib.Path("/proc/sys/kernel") / sysctl
    if not file.exists() or os.environ.get("CREEL_LAB") != "full":
        pytest.skip(f"needs the full laboratory and kernel.{sysctl}")
    before = file.read_text()
    file.write_text("1" if sysctl.startswith("apparmor") else "0")
    try:
        result = user.run("run", "--bundle", user.bundle("/bin/probe", "true", rootless=True).path,
                          user.id())
        assert result.code == 0 or sysctl in result.err, str(result)
        if not sysctl.startswith("apparmor"):
            assert result.code == 1, str(result)
    finally:
        file.write_text(before)


# Cgroups


def test_what_is_missing_is_said_once(user):  # noqa: F811
    """Without a cgroup: a warning with the reason at create, and silence afterwards."""
    bundle = user.bundle("/bin/probe", "sleep", rootless=True)
    name = user.id()
    result = user.run("create", "--bundle", bundle.path, name)
    warned_once(result)
    if WITHOUT_CGROUP in result.err:
        assert "ermission denied" in result.err or "ead-only" in result.err, str(result)
        assert "cannot be paused, and has neither limits" in result.err
    user.ok("start", name)
    assert user.run("exec", name, "/bin/probe", "exit", "3").code == 3
    if WITHOUT_CGROUP in result.err:
        assert "no cgroup" in user.fails("", "pause", name).err
    user.ok("kill", name, "KILL")
    user.wait_status(name, "stopped")
    user.ok("delete", name)


@pytest.mark.parametrize("limits", [
    {"memory": {"limit": 1 << 26}}, {"pids": {"limit": 55}}, {"cpu": {"shares": 512}},
    {"unified": {"memory.high": "5000000"}},
    {"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}])
def test_limit_that_was_asked_for_is_no_wish(user, limits):  # noqa: F811
    bundle = user.bundle("/bin/probe", "true", rootless=True)
    bundle.spec["linux"]["resources"] = limits
    refused(user, bundle, "cgroup", "--systemd-cgroup")


@pytest.fixture
def delegated(user):  # noqa: F811
    """The user stands in a leaf of a cgroup that is the user's own."""
    require_controller("hugetlb")
    top = harness.cgroup_root()
    base = top / f"creel-delegated-{os.getpid()}"
    (base / "session").mkdir(parents=True)
    control = top / "cgroup.subtree_control"
    had = "hugetlb" in control.read_text()
    control.write_text("+hugetlb")
    for path in (base, base / "session"):
        os.chown(path, USER, USER)
        for file in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            os.chown(path / file, USER, USER)
    user.prefix = [*shell(f"echo $$ > {base}/session/cgroup.procs"), *user.prefix]
    user.base = base
    yield user
    for path, _, _ in os.walk(base, topdown=False):
        (pathlib.Path(path) / "cgroup.kill").write_text("1")
        harness.wait_until(lambda path=path: "populated 0" in (
            pathlib.Path(path) / "cgroup.events").read_text(), "its end")
        os.rmdir(path)
    if not had:
        control.write_text("-hugetlb")


def test_delegated_cgroup(delegated):
    """A sibling of the user's own, with limits, and everything that needs a cgroup."""
    bundle = delegated.bundle("/bin/probe", "sleep", rootless=True)
    bundle.spec["linux"]["resources"] = {
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}
    name = delegated.create(bundle.write())
    try:
        delegated.ok("start", name)
        pid = delegated.state(name)["pid"]
        line = next(line for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
                    if line.startswith("0::"))
        where = harness.cgroup_root() / line[4:]
        assert where.parent == delegated.base
        assert (where / "hugetlb.2MB.max").read_text().strip() == str(4 << 20)
        assert delegated.run("exec", name, "/bin/probe", "exit", "3").code == 3
        delegated.ok("pause", name)
        assert delegated.status(name) == "paused"
        delegated.ok("resume", name)
        delegated.ok("update", "--resources", "-", name, data=json.dumps(
            {"hugepageLimits": [{"pageSize": "2MB", "limit": 2 << 20}]}))
        assert (where / "hugetlb.2MB.max").read_text().strip() == str(2 << 20)
        assert delegated.ok("ps", "--format", "json", name).json() == [pid]
    finally:
        delegated.ok("delete", "--force", name)
    assert not where.exists()


def test_delegated_cgroup_lacks_a_controller(delegated):
    if "memory" in (harness.cgroup_root() / "cgroup.controllers").read_text().split():
        pytest.skip("this host has all of them")
    bundle = delegated.bundle("/bin/probe", "true", rootless=True)
    bundle.spec["linux"]["resources"] = {"memory": {"limit": 1 << 26}}
    refused(delegated, bundle, "memory", "/linux/resources/memory/limit")


# Inside of a container


def outer(creel, *, userns=False, covered=False, cgroup="ro"):
    """A bundle that has creel in it, and in it a bundle for that, whose result it prints."""
    bundle = creel.bundle("/bin/busybox", "true", userns=userns)
    spec = bundle.spec
    inside = bundle.rootfs / "inner"
    for directory in ("rootfs/bin", "rootfs/proc", "rootfs/dev", "rootfs/sys"):
        (inside / directory).mkdir(parents=True)
    os.link(bundle.rootfs / "bin/probe", inside / "rootfs/bin/probe")
    spec["root"]["readonly"] = False
    for path in HOST_TREES:
        if pathlib.Path(path).is_dir() and path != "/bin":
            (bundle.rootfs / path.lstrip("/")).mkdir(exist_ok=True)
            spec["mounts"].append({"destination": path, "source": path, "type": "bind",
                                   "options": ["rbind", "ro"]})
    spec["mounts"].append({"destination": "/creel", "source": str(creel.binary), "type": "bind",
                           "options": ["bind", "ro"]})
    if not covered:
        spec["linux"]["maskedPaths"] = spec["linux"]["readonlyPaths"] = []
    if cgroup == "rw":
        for entry in spec["mounts"]:
            if entry["destination"] == "/sys/fs/cgroup":
                entry["options"].remove("ro")
    spec["process"]["noNewPrivileges"] = False
    names = [f"CAP_{name}" for name in (
        "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "NET_BIND_SERVICE", "NET_ADMIN", "NET_RAW", "SYS_CHROOT", "SYS_ADMIN", "MKNOD",
        "AUDIT_WRITE", "SETFCAP", "SYS_PTRACE")]
    spec["process"]["capabilities"] = {kind: names
                                       for kind in ("bounding", "effective", "permitted")}
    if userns:
        for path in [inside, *inside.rglob("*")]:
            os.chown(path, harness.MAPPED, harness.MAPPED, follow_symlinks=False)
    return bundle


def inner(bundle, creel, *, userns, words=("run", "--bundle", "/inner", "inner"), change=None):
    """Runs creel in BUNDLE on a document of its own; its result."""
    document = creel.bundle("/bin/probe", "sections", "uid,process,hostname").spec
    document["root"] = {"path": "rootfs", "readonly": True}
    document["linux"].pop("resources")
    document["linux"]["maskedPaths"] = document["linux"]["readonlyPaths"] = []
    document["mounts"] = [m for m in document["mounts"]
                          if m["destination"] in ("/proc", "/dev", "/dev/shm")]
    if userns:
        document["linux"]["namespaces"].append({"type": "user"})
        maps(document, (0, 0, 1))
    if change:
        change(document)
    (bundle.rootfs / "inner/config.json").write_text(json.dumps(document))
    bundle.spec["process"]["args"] = [
        "/bin/busybox", "sh", "-c",
        "mkdir -p /run/creel; exec /creel --root /run/creel " + " ".join(words)]
    return creel.run_bundle(bundle.write())


@pytest.mark.parametrize("outer_userns", [False, True])
@pytest.mark.parametrize("inner_userns", [False, True])
@pytest.mark.parametrize("cgroup", ["ro", "rw"])
def test_creel_in_creel(creel, outer_userns, inner_userns, cgroup):
    bundle = outer(creel, userns=outer_userns, cgroup=cgroup)
    result = inner(bundle, creel, userns=inner_userns)
    warned_once(result)
    report = result.json()
    assert set(report["uid"].values()) == {0}
    assert report["process"]["pid"] == 1
    assert report["hostname"] == "creel"


def test_limits_inside(creel):
    """Where the outer container has its processes there can be no limits; in another cgroup, there
    can.  hugetlb is what every host here has."""
    require_controller("hugetlb")

    def change(spec):
        spec["linux"]["resources"] = {"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}
    bundle = outer(creel, userns=True, cgroup="rw")
    bundle.spec["linux"]["resources"]["hugepageLimits"] = [{"pageSize": "2MB", "limit": 1 << 22}]
    result = inner(bundle, creel, userns=True, change=change)
    assert result.code == 1, str(result)
    assert "holds processes" in result.err and "move these away" in result.err, str(result)
    script = ("mkdir -p /run/creel /sys/fs/cgroup/init; "
              "echo 1 > /sys/fs/cgroup/init/cgroup.procs; "
              "exec /creel --root /run/creel run --bundle /inner inner")
    bundle.spec["process"]["args"] = ["/bin/busybox", "sh", "-c", script]
    result = creel.run_bundle(bundle.write())
    assert (result.code, result.err) == (0, ""), str(result)


def test_creel_in_creel_in_creel(creel):
    """The innermost of three; the one in the middle has a user namespace, too."""
    bundle = outer(creel, userns=True, cgroup="rw")
    middle = bundle.rootfs / "inner"
    for name in ("usr", "lib", "lib64", "run"):
        (middle / "rootfs" / name).mkdir(exist_ok=True)
    (middle / "rootfs/creel").touch()
    innermost = middle / "rootfs/inner"
    for directory in ("rootfs/bin", "rootfs/proc", "rootfs/dev"):
        (innermost / directory).mkdir(parents=True)
    os.link(middle / "rootfs/bin/probe", innermost / "rootfs/bin/probe")
    document = creel.bundle("/bin/probe", "sections", "uid,process").spec
    document["root"] = {"path": "rootfs"}
    document["linux"].pop("resources")
    document["linux"]["maskedPaths"] = document["linux"]["readonlyPaths"] = []
    document["mounts"] = [m for m in document["mounts"] if m["destination"] in ("/proc", "/dev")]
    (innermost / "config.json").write_text(json.dumps(document))
    for path in [middle, *middle.rglob("*")]:
        os.chown(path, harness.MAPPED, harness.MAPPED, follow_symlinks=False)

    def change(spec):
        spec["root"]["readonly"] = False
        spec["process"]["args"] = ["/creel", "--root", "/run/state", "run", "--bundle", "/inner",
                                   "innermost"]
        spec["process"]["capabilities"] = bundle.spec["process"]["capabilities"]
        spec["process"]["noNewPrivileges"] = False
        spec["mounts"] += [{"destination": path, "source": path, "type": "bind",
                            "options": ["rbind", "ro"]} for path in ("/usr", "/lib", "/lib64",
                                                                     "/creel")]
    result = inner(bundle, creel, userns=True, change=change)
    assert result.code == 0, str(result)
    assert set(result.json()["uid"].values()) == {0}
    assert result.json()["process"]["pid"] == 1


def test_masked_proc_of_the_outer_container(creel):
    """What engines do to every container; the inner one is told what is in its way."""
    bundle = outer(creel, userns=True, covered=True, cgroup="rw")
    result = inner(bundle, creel, userns=True)
    assert result.code == 1, str(result)
    assert "cannot mount proc" in result.err and "/proc" in result.err.split("hint:")[1], \
        str(result)


def test_life_inside(creel):
    """create, start, exec, state and delete by commands of their own."""
    bundle = outer(creel, userns=True, cgroup="rw")
    script = ("/creel --root /run/s create --bundle /inner i 2>/run/warned && "
              "/creel --root /run/s start i && /creel --root /run/s exec i /bin/probe exit 5; "
              "echo exec $?; /creel --root /run/s state i | grep -c running; "
              "/creel --root /run/s kill i KILL; "
              "/creel --root /run/s delete --force i; echo delete $?; "
              "/creel --root /run/s list --quiet")

    def change(spec):
        spec["process"]["args"] = ["/bin/probe", "sleep"]
    inner(bundle, creel, userns=True, words=("list",), change=change)   # writes the document
    bundle.spec["process"]["args"] = ["/bin/busybox", "sh", "-c", script]
    result = creel.run_bundle(bundle.write())
    assert result.out == "exec 5\n1\ndelete 0\n", str(result)

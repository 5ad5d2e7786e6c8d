"""features.md and features-linux.md: what is listed has to be accepted."""

import json
import os

import pytest

from .words import changed, holder, ids, set_namespace

SKIP = {"remount", "idmap", "ridmap", "tmpcopyup"}


@pytest.fixture
def features(creel):
    """The document."""
    return creel.ok("features").json()


def works(creel, change, *args):
    """A container with CHANGE runs."""
    result = creel.run_bundle(changed(creel, change, *args))
    assert result.code == 0, str(result)


def test_alone(creel):
    """features.md: features: MUST: the document is all that is printed, without an id, a state root
    or privileges."""
    result = creel.ok("features", root=False)
    assert json.loads(result.out)
    creel.prefix = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    os.chmod(creel.directory, 0o777)
    assert creel.ok("--root", "/proc/none", "features", root=False).json() == json.loads(result.out)


def test_versions(features):
    """features.md: features/ociVersionMin,features/ociVersionMax: MUST: both are there, and the
    maximum is not below the minimum."""
    low, high = (tuple(map(int, features[key].split(".")))
                 for key in ("ociVersionMin", "ociVersionMax"))
    assert (1, 0, 0) <= low <= high


def test_version_max_works(creel, features):
    """features.md: features/ociVersionMin,features/ociVersionMax: MUST: configurations of both
    versions are accepted."""
    for key in ("ociVersionMin", "ociVersionMax"):
        works(creel, lambda spec, key=key: spec.update(ociVersion=features[key]))


def test_hooks(creel, features):
    """features.md: features/hooks: MUST: every listed hook is accepted."""
    assert set(features["hooks"]) == {"prestart", "createRuntime", "createContainer",
                                      "startContainer", "poststart", "poststop"}
    works(creel, lambda spec: spec.update(hooks={
        kind: [{"path": "/bin/busybox", "args": ["true"]}] for kind in features["hooks"]}))


def test_mount_options(creel, features):
    """features.md: features/mountOptions: MUST: every listed option is accepted; `rro`, which engines
    look for, is among them."""
    assert {"rro", "ro", "idmap", "ridmap", "tmpcopyup"} <= set(features["mountOptions"])
    source = creel.directory / "source"
    source.mkdir()

    def change(spec):
        for number, option in enumerate(features["mountOptions"]):
            if option in SKIP:
                continue
            spec["mounts"].append({"destination": f"/mnt/{number}", "type": "bind",
                                   "source": str(source), "options": ["rbind", option]})
        maps = ids((0, 1000, 10))
        for option in ("idmap", "ridmap"):
            spec["mounts"].append({"destination": f"/mnt/{option}", "type": "bind",
                                   "source": str(source), "options": ["rbind", option],
                                   "uidMappings": maps, "gidMappings": maps})
        spec["mounts"].append({"destination": "/mnt/copy", "type": "tmpfs", "source": "tmpfs",
                               "options": ["tmpcopyup"]})
        spec["mounts"].append({"destination": "/mnt/copy", "type": "none", "source": "none",
                               "options": ["remount", "ro"]})
    works(creel, change)


def test_namespaces(creel, features):
    """features-linux.md: features/linux/namespaces: MUST: every listed namespace is accepted, new and
    by path."""
    kinds = features["linux"]["namespaces"]
    assert sorted(kinds) == sorted(["pid", "network", "mount", "ipc", "uts", "user", "cgroup",
                                    "time"])
    works(creel, lambda spec: set_namespace(spec, "time"))
    with holder("network", "ipc", "uts") as pid:
        def change(spec):
            for kind, link in (("network", "net"), ("ipc", "ipc"), ("uts", "uts")):
                set_namespace(spec, kind, f"/proc/{pid}/ns/{link}")
        works(creel, change)


def test_capabilities(creel, features):
    """features-linux.md: features/linux/capabilities: MUST: every listed capability is known."""
    names = features["linux"]["capabilities"]
    assert len(names) == 41
    result = creel.run_bundle(changed(creel, lambda spec: spec["process"].update(
        capabilities={"bounding": names})))
    assert result.code == 0
    assert not [name for name in names if name in result.err and name != "CAP_SYS_RESOURCE"]


def test_seccomp(creel, features):
    """features-linux.md: features/linux/seccomp/actions,features/linux/seccomp/operators,features/linux/seccomp/archs,features/linux/seccomp/knownFlags,features/linux/seccomp/supportedFlags: MUST:
    everything that is listed is accepted."""
    seccomp = features["linux"]["seccomp"]
    assert seccomp["enabled"] is True
    assert set(seccomp["supportedFlags"]) <= set(seccomp["knownFlags"])
    rules = [{"names": ["kexec_load"], "action": action} for action in seccomp["actions"]
             if action != "SCMP_ACT_NOTIFY"]
    rules += [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO", "args": [
        {"index": 0, "value": 1, "valueTwo": 1, "op": op}]} for op in seccomp["operators"]]
    works(creel, lambda spec: spec["linux"].update(seccomp={
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": seccomp["archs"],
        "flags": seccomp["supportedFlags"], "syscalls": rules}))


def test_cgroup(features):
    """features-linux.md: features/linux/cgroup: MUST: version 2 is there, version 1 is not."""
    cgroup = features["linux"]["cgroup"]
    assert cgroup["v2"] is True and cgroup["v1"] is False
    assert isinstance(cgroup["systemd"], bool) and isinstance(cgroup["systemdUser"], bool)


def test_switches(features):
    """features-linux.md: features/linux/apparmor,features/linux/selinux,features/linux/intelRdt,features/linux/mountExtensions/idmap,features/linux/netDevices: MUST:
    what creel can do is said to be there."""
    linux = features["linux"]
    for name in ("apparmor", "selinux", "intelRdt", "netDevices"):
        assert linux[name]["enabled"] is True
    assert linux["mountExtensions"]["idmap"]["enabled"] is True
    assert linux["intelRdt"]["schemata"] and linux["intelRdt"]["monitoring"]


def test_memory_policy(creel, features):
    """features-linux.md: features/linux/memoryPolicy/modes,features/linux/memoryPolicy/flags: MUST: every
    listed mode and flag is known."""
    policy = features["linux"]["memoryPolicy"]
    for mode in policy["modes"]:
        nodes = "" if mode in ("MPOL_DEFAULT", "MPOL_LOCAL") else "0"
        result = creel.run_bundle(changed(creel, lambda spec, mode=mode, nodes=nodes: spec[
            "linux"].update(memoryPolicy={"mode": mode, "nodes": nodes})))
        assert result.code == 0 or "memory polic" in result.err, str(result)
    assert len(policy["flags"]) == 3


def test_annotations(features):
    """features.md: features/annotations,features/potentiallyUnsafeConfigAnnotations: MAY: versions are
    told, and the annotations that change what creel does are named for engines to filter."""
    assert features["annotations"]["run.creel.version"]
    assert "org.systemd.property." in features["potentiallyUnsafeConfigAnnotations"]

"""Every configuration that an engine really wrote, adapted to this host, and nothing else changed.

Where this host cannot grant something (a controller, a limit above ours), the document as it is
has to be refused with the member's pointer, and a second test whose name says "stripped" runs it
without that.
"""

import json

import bundles
import harness
import pytest

CONFIGS = bundles.find_configs()
FILES = sorted(path.name for path in CONFIGS.glob("*.json")
               if not path.name.endswith("process.json")) if CONFIGS else []
SECTIONS = ["uid", "gid", "env", "cwd", "capabilities", "noNewPrivs", "seccomp", "rlimits",
            "hostname", "namespaces", "mounts", "fds", "oomScoreAdj"]




@pytest.fixture(params=FILES)
def config(request, configs):
    """One document, as the engine wrote it."""
    return json.loads((configs / request.param).read_text())


def prepare(creel, config, strip):
    """(bundle, what was taken away, the holder of namespaces)."""
    owner = 0
    for mapping in (config["linux"].get("uidMappings") or [])[:1]:
        owner = mapping["hostID"]
    rootfs = creel.rootfs(owner)
    adapted = bundles.adapt(config, rootfs, creel.directory / "stand-ins", strip=strip)
    # Of a host's paths this one is shared by tests that run at the same time.
    if adapted.spec["linux"].get("cgroupsPath"):
        adapted.spec["linux"]["cgroupsPath"] = \
            f"/{creel.directory.name}{adapted.spec['linux']['cgroupsPath']}"
    adapted.spec["process"]["args"] = ["/bin/probe", "sections", ",".join(SECTIONS)]
    bundle = creel.bundle(spec=adapted.spec, rootfs=rootfs)
    return bundle, adapted


def check(report, spec):
    """The report agrees with what the document says."""
    process = spec["process"]
    assert report["uid"]["effective"] == process["user"]["uid"]
    assert report["cwd"] == process["cwd"]
    wanted = {e.partition("=")[0]: e for e in process["env"]}
    assert set(wanted.values()) <= set(report["env"])
    assert report["noNewPrivs"] is bool(process.get("noNewPrivileges"))
    if spec.get("hostname"):
        assert report["hostname"] == spec["hostname"]
    assert report["seccomp"]["mode"] == (2 if spec["linux"].get("seccomp") else 0)
    bounding = 0
    for name in process["capabilities"].get("bounding") or []:
        bounding |= 1 << bundles.CAPABILITY_NUMBERS[name.removeprefix("CAP_")]
    assert int(report["capabilities"]["bounding"], 16) == bounding
    for limit in process.get("rlimits") or []:
        seen = report["rlimits"][limit["type"]]
        assert seen == {"soft": str(limit["soft"]), "hard": str(limit["hard"])}
    assert [fd["fd"] for fd in report["fds"]] == [0, 1, 2]
    if process.get("oomScoreAdj") is not None:
        assert report["oomScoreAdj"] == process["oomScoreAdj"]
    check_mounts(report, spec)


def check_mounts(report, spec):
    """All mounts are there, with their options; the last on a destination is the visible one."""
    seen = {mount["target"]: mount for mount in report["mounts"]}
    for mount in spec["mounts"]:
        target = mount["destination"].rstrip("/") or "/"
        assert target in seen, f"{target} is not mounted"
        options = mount.get("options") or []
        flags = seen[target]["options"]
        if "ro" in options and not target.startswith(("/proc", "/sys")):
            assert "ro" in flags, (target, flags)
        for flag in ("nosuid", "noexec", "nodev"):
            if flag in options:
                assert flag in flags, (target, flags)
    root = seen["/"]
    assert ("ro" in root["options"]) is bool(spec["root"].get("readonly"))


def run(creel, bundle):
    """Runs it as the engine would: on a terminal when the document wants one."""
    name = creel.id()
    if not bundle.spec["process"].get("terminal"):
        result = creel.run("run", "--bundle", bundle.path, name, log=True)
        text = result.out
    else:
        with harness.ConsoleSocket(creel.directory / "console") as console:
            result = creel.run("create", "--bundle", bundle.path, "--console-socket",
                               console.path, name, log=True)
            if result.code:
                return result, None
            master = console.receive()
        creel.ok("start", name)
        text = harness.read_all(master).decode()
        harness.os.close(master)
        creel.wait_status(name, "stopped")
        creel.ok("delete", name)
    return result, json.loads(text) if result.code == 0 else None


def test_as_it_is(creel, config):
    bundle, adapted = prepare(creel, config, strip=False)
    with adapted:
        _, stripped = prepare(creel, config, strip=True)
        with stripped:
            denied = stripped.stripped
        result, report = run(creel, bundle)
    if not denied:
        assert result.code == 0, str(result)
        check(report, bundle.spec)
    elif result.code == 0:
        check(report, bundle.spec)
    else:
        assert result.code == 1, str(result)
        pointer = result.error.get("pointer", "")
        assert pointer.startswith(("/process/rlimits", "/process/oomScoreAdj",
                                   "/linux/resources")), f"{result.error}; denied: {denied}"


def test_stripped_of_what_this_host_cannot_grant(creel, config, record_property):
    bundle, adapted = prepare(creel, config, strip=True)
    with adapted:
        if not adapted.stripped:
            pytest.skip("this host grants everything: test_as_it_is has run it")
        for sentence in adapted.stripped:
            record_property("stripped", sentence)
        result, report = run(creel, bundle)
        assert result.code == 0, f"{result}\nstripped: {adapted.stripped}"
        check(report, bundle.spec)


def test_exit_codes_pass_through(creel, config):
    bundle, adapted = prepare(creel, config, strip=True)
    with adapted:
        bundle.spec["process"]["args"] = ["/bin/probe", "exit", "42"]
        bundle.spec["process"]["terminal"] = False
        result = creel.run_bundle(bundle.write())
    assert result.code == 42, str(result)

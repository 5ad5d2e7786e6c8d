"""`creel check`: everything that create would refuse, at once and with its place; nothing else; and
nothing is made."""

import json
import os
import pathlib
import re
import stat

import bundles
import harness
import pytest
from test_configs import FILES, prepare
from test_errors import member_line

SEVERITIES = {"error", "warning", "note"}


def check(creel, bundle, *options, code=None, **more):
    """The parsed report about a bundle; its form is checked by the way."""
    result = creel.run(*more.pop("before", ()), "check", "--bundle", bundle.path, "--format",
                       "json", *options, **more)
    assert result.err == "", str(result)
    report = result.json()
    counts = {severity: 0 for severity in SEVERITIES}
    for finding in report["findings"]:
        counts[finding["severity"]] += 1
        assert finding["message"] and not finding["message"].endswith("."), finding
        if finding["severity"] == "error":
            assert re.fullmatch(r"CRL-\d{4}", finding["code"]), finding
        if "pointer" in finding:
            assert finding["line"] > 0 and finding["column"] > 0, finding
            assert finding["file"] == "config.json"
    assert (report["errors"], report["warnings"], report["notes"]) == \
        (counts["error"], counts["warning"], counts["note"])
    wanted = 2 if counts["error"] else 1 if counts["warning"] else 0
    assert result.code == wanted, str(result)
    if code is not None:
        assert result.code == code, str(result)
    return report


def found(report, severity, pointer, phrase=""):
    """The one finding about POINTER with SEVERITY."""
    rows = [finding for finding in report["findings"]
            if finding.get("pointer", "") == pointer and finding["severity"] == severity]
    assert len(rows) == 1, (pointer, severity, report["findings"])
    assert phrase in rows[0]["message"] + rows[0].get("hint", "") + rows[0].get("reason", ""), rows
    return rows[0]


def errors(report):
    return [finding for finding in report["findings"] if finding["severity"] == "error"]


def changed(creel, change, **more):
    """A bundle whose SPEC was altered by CHANGE."""
    bundle = creel.bundle("/bin/probe", "true", **more)
    change(bundle.spec)
    return bundle.write()


def one_error(creel, change, pointer, phrase, code, **more):
    """A document with one thing wrong: check says so, and create agrees that it is refused."""
    bundle = changed(creel, change, **more)
    report = check(creel, bundle, code=2)
    finding = found(report, "error", pointer, phrase)
    assert errors(report) == [finding], report
    assert finding["code"] == f"CRL-{code}", finding
    result = creel.run_bundle(bundle, log=True)
    assert result.code != 0, str(result)
    return finding, result.error


# Of the document


def test_nothing_found(creel):
    bundle = creel.bundle("/bin/probe", "true")
    assert check(creel, bundle, code=0)["findings"] == []
    result = creel.ok("check", "--bundle", bundle.path)
    assert result.out == f"{bundle.path}/config.json: nothing found\n"
    result = creel.ok("check", cwd=bundle.path)
    assert result.out == "config.json: nothing found\n"


def test_all_errors_at_once(creel):
    def change(spec):
        spec["process"]["cwd"] = "relative"
        spec["process"]["user"]["uid"] = "0"
        spec["process"]["capabilites"] = {}
        spec["process"]["rlimits"].append({"type": "RLIMIT_NOFILES", "soft": 1, "hard": 1})
        spec["mounts"].append({"destination": "/data", "type": "bind", "options": ["rbind"]})
        spec["mounts"].append({"destination": "/proc/x", "type": "tmpfs"})
        spec["linux"]["sysctl"] = {"vm.swappiness": "10", "kernel.hostname": "x"}
        spec["linux"]["resources"]["network"] = {"classID": 5}
    bundle = changed(creel, change)
    report = check(creel, bundle, code=2)
    n = len(bundle.spec["mounts"])
    for pointer in ("/process/cwd", "/process/user/uid", "/process/rlimits/1/type",
                    f"/mounts/{n - 2}/source", f"/mounts/{n - 1}/destination",
                    "/linux/sysctl/vm.swappiness", "/linux/sysctl/kernel.hostname",
                    "/linux/resources/network/classID"):
        finding = found(report, "error", pointer)
        # Of a member that is missing the object is named.
        place = pointer.removesuffix("/source")
        if place == pointer:
            assert finding["line"] == member_line(bundle, place), finding
    assert found(report, "warning", "/process/capabilites")["hint"] == \
        'did you mean "capabilities"?'
    assert report["errors"] == 8
    lines = [finding["line"] for finding in report["findings"]]
    assert lines == sorted(lines)


def test_text_is_what_editors_understand(creel):
    bundle = changed(creel, lambda spec: spec["mounts"].append(
        {"destination": "/data", "type": "bind", "source": "/nosuch", "options": ["rbind"]}))
    n = len(bundle.spec["mounts"]) - 1
    line = member_line(bundle, f"/mounts/{n}/source")
    result = creel.run("check", cwd=bundle.path)
    assert result.code == 2 and result.err == ""
    head, hint, last = result.out.splitlines()
    assert re.fullmatch(
        rf"config\.json:{line}:\d+: error: /mounts/{n}/source: cannot open the source /nosuch of "
        rf"the mount at /data: No such file or directory \[CRL-5101\]", head), head
    assert hint == "    hint: the source of a bind mount is looked up on the host"
    assert last == "config.json: 1 error, 0 warnings, 0 notes"


@pytest.mark.parametrize("text,phrase", [
    ("{ \"ociVersion\": \"1.0.2\", }", "name in double quotes"),
    ("", "ends too early"), ("[]", "expected an object, found an array"),
], ids=["comma", "empty", "array"])
def test_no_document(creel, text, phrase):
    bundle = creel.bundle("/bin/probe", "true").write_text(text)
    result = creel.run("check", "--bundle", bundle.path)
    assert result.code == 2 and result.err == "", str(result)
    first, *_, last = result.out.splitlines()
    assert re.search(r"config\.json(:\d+:\d+)?: error: ", first) and phrase in first, str(result)
    assert last.endswith(": 1 error, 0 warnings, 0 notes"), str(result)


def test_no_bundle(creel):
    result = creel.run("check", "--bundle", creel.directory / "nosuch", log=True)
    assert result.code == 2 and result.out == ""
    assert "cannot find the bundle" in result.error["msg"]
    bundle = creel.bundle("/bin/probe", "true")
    (bundle.path / "config.json").unlink()
    result = creel.run("check", "--bundle", bundle.path, log=True)
    assert result.code == 2 and result.out == ""
    assert "not found in the bundle" in result.error["msg"]


def test_command_line(creel):
    creel.fails("--host", "check", "--host", "--bundle", "/", code=2)
    creel.fails("nosuch", "check", "--nosuch")


def test_suspicious_members(creel):
    def change(spec):
        spec["Hostname"] = "web"
        spec["linux"]["resources"]["memory"] = {"swappiness": 10, "kernel": 1}
        spec["process"]["capabilities"]["bounding"].append("CAP_NET_ADMINS")
        spec["mounts"].append({"destination": "/dev/shm", "type": "tmpfs"})
        spec["linux"]["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["opne", "mkdir"], "action": "SCMP_ACT_ERRNO"}]}
    report = check(creel, changed(creel, change), code=1)
    assert found(report, "warning", "/Hostname")["hint"] == 'did you mean "hostname"?'
    found(report, "warning", "/linux/resources/memory/swappiness", "cgroup version 2")
    found(report, "warning", "/linux/resources/memory/kernel", "cgroup version 2")
    assert found(report, "warning", "/process/capabilities/bounding/3")["hint"] == \
        'did you mean "CAP_NET_ADMIN"?'
    found(report, "warning", "/mounts/3/destination", "mounted again by /mounts/7")
    opne = found(report, "warning", "/linux/seccomp/syscalls/0/names/0", "so the call is permitted")
    assert opne["hint"] == 'did you mean "open"?'


# Of the host


def missing_source(spec):
    spec["mounts"].append({"destination": "/data", "type": "bind", "source": "/nosuch/x",
                           "options": ["rbind"]})


def wrong_option(spec):
    spec["mounts"].append({"destination": "/t", "type": "tmpfs", "options": ["size=1m", "nosuch"]})


def wrong_type(spec):
    spec["mounts"].append({"destination": "/t", "type": "nosuchfs"})


def unmapped_source(spec):
    spec["mounts"].append({"destination": "/t", "type": "bind", "source": "/sys",
                           "options": ["bind", "idmap"],
                           "uidMappings": [{"containerID": 0, "hostID": 5, "size": 1}],
                           "gidMappings": [{"containerID": 0, "hostID": 5, "size": 1}]})


def put(*path):
    """Puts the last of PATH where the others lead."""
    def change(spec):
        at = spec
        for part in path[:-2]:
            at = at.setdefault(part, {}) if isinstance(at, dict) else at[part]
        at[path[-2]] = path[-1]
    return change


def join(kind, path):
    def change(spec):
        spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != kind]
        spec["linux"]["namespaces"].append({"type": kind, "path": path})
    return change


def listener(spec):
    spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/nosuch/agent",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}


NOFILE = int(pathlib.Path("/proc/sys/fs/nr_open").read_text()) + 1

HOST = [
    ("source", missing_source, "/mounts/7/source", "/nosuch/x", 5101),
    ("option", wrong_option, "/mounts/7/options/1", "nosuch", 5105),
    ("filesystem", wrong_type, "/mounts/7/type", "nosuchfs", 3012),
    ("idmap", unmapped_source, "/mounts/7", "ids of /sys", 3007),
    ("program", put("process", "args", ["/bin/nosuch"]), "/process/args/0", "/bin/nosuch", 5002),
    ("PATH", put("process", "args", ["nosuch"]), "/process/args/0", "not found in $PATH", 5001),
    ("directory", put("process", "args", ["/bin"]), "/process/args/0", "is a directory", 5004),
    ("mode", put("process", "args", ["/etc/passwd"]), "/process/args/0", "not executable", 5003),
    ("namespace", join("uts", "/proc/1/ns/nosuch"), "/linux/namespaces/5/path", "uts", 5302),
    ("kind", join("uts", "/proc/1/ns/net"), "/linux/namespaces/5/path", "", 5302),
    ("listener", listener, "/linux/seccomp/listenerPath", "/nosuch/agent", 5000),
    ("device", put("linux", "netDevices", {"nosuch0": {}}), "/linux/netDevices/nosuch0",
     "nosuch0", 5305),
    ("sysctl", put("linux", "sysctl", {"net.ipv4.nosuch": "1"}), "/linux/sysctl/net.ipv4.nosuch",
     "no such sysctl", 5403),
    ("nofile", put("process", "rlimits", [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": NOFILE}]),
     "/process/rlimits/0/hard", "fs.nr_open", 5401),
    ("hook", put("hooks", {"createRuntime": [{"path": "/nosuch/hook"}]}),
     "/hooks/createRuntime/0/path", "/nosuch/hook", 5503),
    ("hook inside", put("hooks", {"startContainer": [{"path": "/nosuch/hook"}]}),
     "/hooks/startContainer/0/path", "in the container", 5503),
    ("label", put("process", "apparmorProfile", "nosuch"), "/process/apparmorProfile", "", None),
    ("pages", put("linux", "resources", {"hugepageLimits": [{"pageSize": "3MB", "limit": 0}]}),
     "/linux/resources/hugepageLimits/0", "", None),
    ("disk", put("linux", "resources", {"blockIO": {"throttleReadBpsDevice": [
        {"major": 250, "minor": 77, "rate": 1}]}}),
     "/linux/resources/blockIO/throttleReadBpsDevice/0", "", None),
]


@pytest.mark.parametrize("name,change,pointer,phrase,code", HOST, ids=[row[0] for row in HOST])
def test_what_this_host_refuses(creel, name, change, pointer, phrase, code):
    bundle = changed(creel, change)
    report = check(creel, bundle, code=2)
    finding = found(report, "error", pointer, phrase)
    assert errors(report) == [finding], report
    if code:
        assert finding["code"] == f"CRL-{code}", finding
    result = creel.run_bundle(bundle, log=True)
    assert result.code != 0, str(result)


def test_misspelt_mount_option(creel):
    bundle = changed(creel, lambda spec: spec["mounts"].append(
        {"destination": "/t", "type": "tmpfs", "options": ["nosiud", "size=1m"]}))
    finding = found(check(creel, bundle, code=2), "error", "/mounts/7/options/0", "nosiud")
    assert finding["hint"] == 'did you mean "nosuid"?'


def test_rootfs(creel):
    bundle = creel.bundle("/bin/probe", "true")
    bundle.rootfs = creel.directory / "nosuch"
    report = check(creel, bundle.write(), code=2)
    assert errors(report) == [found(report, "error", "/root/path", "nosuch")]


def test_programs_that_the_kernel_refuses(creel):
    rootfs = creel.rootfs()
    elf = bytearray((rootfs / "bin/probe").read_bytes())
    elf[18:20] = (243).to_bytes(2, "little")    # RISC-V
    files = {
        "crlf": (b"#!/bin/sh\r\n", 5006, "Windows line ends"),
        "script": (b"#!/bin/nosuch -x\n", 5005, "/bin/nosuch"),
        "text": (b"echo hello\n", 5009, "neither a program nor a script"),
        "nothing": (b"", 5009, "empty"),
        "riscv": (bytes(elf), 5008, "another machine"),
        "dynamic": (dynamic_program(), 5007, "/lib/nosuch-loader.so"),
    }
    for name, (content, code, phrase) in files.items():
        (rootfs / "bin" / name).write_bytes(content)
        (rootfs / "bin" / name).chmod(0o755)
        bundle = creel.bundle(f"/bin/{name}", rootfs=rootfs)
        report = check(creel, bundle, code=2)
        assert found(report, "error", "/process/args/0", phrase)["code"] == f"CRL-{code}", name
        assert creel.run_bundle(bundle).code != 0, name
    (rootfs / "bin/good").write_text("#!/bin/sh -e\n")
    (rootfs / "bin/good").chmod(0o755)
    check(creel, creel.bundle("/bin/good", rootfs=rootfs), code=0)
    check(creel, creel.bundle("good", rootfs=rootfs), code=0)


def dynamic_program():
    """The head of an ELF program of this machine that names a loader."""
    name = b"/lib/nosuch-loader.so\0"
    head = bytearray(pathlib.Path("/proc/self/exe").read_bytes()[:64])
    head[32:40] = (64).to_bytes(8, "little")
    head[54:56] = (56).to_bytes(2, "little")
    head[56:58] = (1).to_bytes(2, "little")
    segment = bytearray(56)
    segment[0:4] = (3).to_bytes(4, "little")
    segment[8:16] = (120).to_bytes(8, "little")
    segment[32:40] = len(name).to_bytes(8, "little")
    return bytes(head + segment + name)


def test_a_program_that_a_mount_brings(creel):
    """In the source it is found; where a hook or a link may bring it, it is a warning only."""
    tools = creel.directory / "tools"
    tools.mkdir()
    (tools / "hello").write_text("#!/bin/sh\n")
    (tools / "hello").chmod(0o755)
    bundle = creel.bundle("/opt/hello")
    bundle.spec["mounts"].append({"destination": "/opt", "type": "bind", "source": str(tools),
                                  "options": ["rbind"]})
    check(creel, bundle.write(), code=0)
    bundle.spec["process"]["args"] = ["/elsewhere/hello"]
    report = check(creel, bundle.write(), code=1)
    found(report, "warning", "/process/args/0", "not in the root filesystem")


def test_file_on_directory(creel):
    def change(spec):
        spec["mounts"].append({"destination": "/etc/passwd", "type": "bind", "source": "/tmp",
                               "options": ["rbind"]})
    finding, error = one_error(creel, change, "/mounts/7", "the directory /tmp on the file", 5102)
    assert error["pointer"].startswith("/mounts/7") and finding["line"]


def test_limits_above_ours(creel):
    """The hard limit of whoever calls; and of somebody who may raise it nothing is said."""
    bundle = changed(creel, put("process", "rlimits",
                                [{"type": "RLIMIT_CORE", "soft": 0, "hard": 4096}]))
    creel.prefix = ["prlimit", "--core=100:100"]
    can_raise = bundles._bounding_set() >> bundles.CAPABILITY_NUMBERS["SYS_RESOURCE"] & 1
    report = check(creel, bundle, code=0 if can_raise else 2)
    if not can_raise:
        finding = found(report, "error", "/process/rlimits/0/hard", "our own hard limit is 100")
        assert finding["code"] == "CRL-5401"
    assert (creel.run_bundle(bundle).code == 0) is bool(can_raise)


def test_capabilities_that_we_lack(creel):
    bundle = changed(creel, lambda spec: None)
    creel.prefix = ["setpriv", "--bounding-set=-kill"]
    report = check(creel, bundle, code=1)
    found(report, "warning", "/process/capabilities/bounding/1", "not in our own bounding set")
    assert report["warnings"] == 1


def test_controllers(creel):
    """A limit whose controller is not there: check and create name the same member."""
    root = harness.cgroup_root()
    have = (root / "cgroup.controllers").read_text().split() if root else []
    limits = {"memory": {"memory": {"limit": 100 << 20}}, "pids": {"pids": {"limit": 100}},
              "cpu": {"cpu": {"shares": 512}}, "cpuset": {"cpu": {"cpus": "0"}}}
    for controller, resources in limits.items():
        bundle = changed(creel, put("linux", "resources", resources))
        report = check(creel, bundle)
        result = creel.run_bundle(bundle, log=True)
        if controller in have:
            assert report["errors"] == 0 and result.code == 0, (controller, report)
            continue
        finding, = errors(report)
        assert finding["code"] == "CRL-3001", finding
        assert result.code == 1 and result.error["pointer"] == finding["pointer"]


def test_cgroup_in_use(creel):
    path = f"/creel-test-{creel.directory.name}"
    with creel.running(creel.bundle("/bin/probe", "sleep", spec=in_cgroup(path))):
        report = check(creel, creel.bundle("/bin/probe", "true", spec=in_cgroup(path)), code=2)
        found(report, "error", "/linux/cgroupsPath", "holds processes already")


def in_cgroup(path):
    spec = bundles.default_spec()
    spec["linux"]["cgroupsPath"] = path
    return spec


def test_path_for_systemd(creel):
    bundle = creel.bundle("/bin/probe", "true", spec=in_cgroup("system.slice:creel:x"))
    report = check(creel, bundle, code=1)
    found(report, "warning", "/linux/cgroupsPath", "--systemd-cgroup")
    if not os.path.exists("/run/systemd/system"):
        report = check(creel, bundle, before=["--systemd-cgroup"], code=2)
        assert errors(report)


# Without privileges


def user_bundle(creel, **more):
    bundle = creel.bundle("/bin/probe", "true", rootless=True, **more)
    for path in (bundle.path, bundle.path / "config.json"):
        os.chown(path, harness.USER, harness.USER)
    return bundle


def test_rootless_user(creel):
    """The user himself, and root who asks for him, are told the same."""
    bundle = user_bundle(creel)
    other = changed(creel, lambda spec: None)
    mapped = user_bundle(creel)
    for name in ("uidMappings", "gidMappings"):
        mapped.spec["linux"][name].append({"containerID": 1, "hostID": 3000000000, "size": 5})
    mapped.write()
    for owned in (mapped.path, mapped.path / "config.json", other.path):
        os.chown(owned, harness.USER, harness.USER)
    for prefix, options in (([], ["--rootless"]), (["setpriv", "--reuid", str(harness.USER),
                                                    "--regid", str(harness.USER),
                                                    "--clear-groups", "--inh-caps=-all"], [])):
        creel.prefix = prefix
        assert errors(check(creel, bundle, *options)) == []
        report = check(creel, other, *options, code=2)
        found(report, "error", "/linux/namespaces", "requires user namespaces")
        report = check(creel, mapped, *options, code=2)
        found(report, "error", "/linux/uidMappings/1", "3000000000 to 3000000004")
        found(report, "error", "/linux/gidMappings/1", "3000000000 to 3000000004")
    creel.prefix = []


def test_rootless_ranges(creel):
    """What /etc/subuid gives may be mapped."""
    tables = [pathlib.Path("/etc/subuid"), pathlib.Path("/etc/subgid")]
    if not all(table.exists() for table in tables):
        pytest.skip("needs /etc/subuid and /etc/subgid")
    harness.require_program("newuidmap")
    bundle = user_bundle(creel)
    for member in ("uidMappings", "gidMappings"):
        bundle.spec["linux"][member].append({"containerID": 1, "hostID": 700000, "size": 1000})
    bundle.write()
    for path in (bundle.path, bundle.path / "config.json"):
        os.chown(path, harness.USER, harness.USER)
    ours = creel.directory / "subids"
    for text, pointers in (("0:600000:500000\n", ["/linux/uidMappings/1", "/linux/gidMappings/1"]),
                           (f"{harness.USER}:700000:1000\n", []),
                           (f"{harness.USER}:700000:999\n",
                            ["/linux/uidMappings/1", "/linux/gidMappings/1"])):
        ours.write_text(text)
        for table in tables:
            harness.mount(ours, table, None, harness.MS_BIND)
        try:
            report = check(creel, bundle, "--rootless")
        finally:
            for table in tables:
                harness.unmount(table)
        assert [finding["pointer"] for finding in errors(report)] == pointers, report


def test_what_only_the_container_may_enter(creel):
    """A directory of an id that is mapped: the user may not look, and the container may."""
    bundle = user_bundle(creel)
    bundle.rootfs.chmod(0o700)
    secret = creel.directory / "secret"
    (secret / "below").mkdir(parents=True)
    secret.chmod(0o700)
    bundle.spec["mounts"].append({"destination": "/mnt", "type": "bind", "options": ["rbind"],
                                  "source": str(secret / "below")})
    bundle.write()
    for path in (bundle.path, bundle.path / "config.json"):
        os.chown(path, harness.USER, harness.USER)
    os.chown(bundle.rootfs, 100000, 100000)
    creel.prefix = ["setpriv", "--reuid", str(harness.USER), "--regid", str(harness.USER),
                    "--clear-groups", "--inh-caps=-all"]
    check_report = check(creel, bundle, code=0)
    assert [finding["severity"] for finding in check_report["findings"]] in ([], ["note"])


def test_forbidden_user_namespaces(creel):
    """In a user namespace where no more may be made, the sysctl is named."""
    bundle = creel.bundle("/bin/probe", "true", userns=True)
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    creel.prefix = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "-"]
    report = check(creel, bundle, code=2)
    found(report, "error", "/linux/namespaces", "max_user_namespaces")
    found(report, "error", "/linux/uidMappings/0", "not mapped in our own user namespace")


def test_group_range_of_ping(creel):
    def change(spec):
        spec["linux"]["sysctl"] = {"net.ipv4.ping_group_range": "0 2147483647"}
    report = check(creel, changed(creel, change, userns=True), code=2)
    found(report, "error", "/linux/sysctl/net.ipv4.ping_group_range", "2147483647 is not mapped")
    check(creel, changed(creel, change), code=0)


# The host


def test_host(creel):
    result = creel.run("check", "--host", "--format", "json")
    rows = result.json()
    assert result.err == ""
    names = {(row["group"], row["name"]): row for row in rows}
    assert names["kernel", "version"]["value"] == os.uname().release
    for row in rows:
        assert row["status"] in ("works", "limited", "absent", "fails"), row
        assert bool(row.get("advice")) is (row["status"] != "works"), row
    assert names["cgroups", "cgroup2"]["value"] == str(harness.cgroup_root())
    assert "mount" in names["namespaces", "kinds"]["value"]
    states = {row["status"] for row in rows}
    assert result.code == (2 if "fails" in states else 1 if "limited" in states else 0)
    text = creel.run("check", "--host")
    assert text.code == result.code and text.err == ""
    for row in rows:
        assert row["name"] in text.out and row["value"] in text.out, row


def test_host_of_a_user(creel):
    creel.prefix = ["setpriv", "--reuid", str(harness.USER), "--regid", str(harness.USER),
                    "--clear-groups", "--inh-caps=-all"]
    result = creel.run("check", "--host", "--format", "json", root=False)
    names = {row["name"] for row in result.json()}
    assert {"newuidmap", "/etc/subuid", "/etc/subgid"} <= names
    assert result.code in (0, 1), str(result)


# What must hold


@pytest.mark.parametrize("name", FILES)
def test_real_configurations(creel, configs, name):
    """No error for a document that this host runs; else the one that create gives is among them."""
    config = json.loads((configs / name).read_text())
    bundle, adapted = prepare(creel, config, strip=False)
    with adapted:
        before = ["--rootless", "auto"]
        bundle.spec["process"]["terminal"] = False
        bundle.spec["process"]["args"] = ["/bin/probe", "true"]
        report = check(creel, bundle.write(), before=before)
        result = creel.run_bundle(bundle, log=True)
        if result.code == 0:
            assert errors(report) == []
            return
        pointer = result.error["pointer"]
        assert any(finding["pointer"].startswith(pointer) or pointer.startswith(finding["pointer"])
                   for finding in errors(report) if "pointer" in finding), (result.error, report)


@pytest.mark.parametrize("name", FILES)
def test_real_configurations_stripped(creel, configs, name):
    """Of what this host cannot grant nothing is left: no error at all."""
    config = json.loads((configs / name).read_text())
    bundle, adapted = prepare(creel, config, strip=True)
    with adapted:
        bundle.spec["process"]["terminal"] = False
        bundle.spec["process"]["args"] = ["/bin/probe", "true"]
        report = check(creel, bundle.write())
        assert errors(report) == []
        assert creel.run_bundle(bundle).code == 0


def everything(directory):
    """Every file below DIRECTORY with what a change would show."""
    seen = {}
    for top, names, files in os.walk(directory):
        for name in [*names, *files]:
            path = os.path.join(top, name)
            status = os.lstat(path)
            seen[path] = (status.st_mode, status.st_mtime_ns, status.st_ctime_ns, status.st_size,
                          os.readlink(path) if stat.S_ISLNK(status.st_mode) else None)
    return seen


def namespaces_and_cgroups(name):
    """NAME is in the paths of our documents' cgroups; others may come and go meanwhile."""
    cgroups = {path for path, _, _ in os.walk(harness.cgroup_root() or "/nosuch")
               if "creel-ID" in path or name in path}
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    return cgroups, mounts, {name: os.readlink(f"/proc/self/ns/{name}")
                             for name in os.listdir("/proc/self/ns")}


def test_nothing_is_made(creel, configs):
    """Not a file, a cgroup, a mount, a process; in bundles with all that is tried."""
    bundle = creel.bundle("/bin/probe", "true", userns=True)
    bundle.spec["mounts"].append({
        "destination": "/t", "type": "bind", "source": str(creel.directory),
        "options": ["bind", "idmap"]})
    bundle.spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmax": "65536"}
    bundle.spec["process"]["oomScoreAdj"] = 500
    bundle.spec["process"]["cwd"] = "/made/by/create"
    bundle.write()
    values = [pathlib.Path(path) for path in
              ("/proc/self/oom_score_adj", "/proc/sys/net/ipv4/ip_forward",
               "/proc/sys/kernel/shmmax")]
    values = {path: path.read_text() for path in values}
    docker, adapted = prepare(creel, json.loads((configs / "docker-default.json").read_text()),
                              strip=True)
    with adapted:
        watched = [bundle.path, bundle.rootfs, docker.path, docker.rootfs]
        ours = creel.directory.name
        before = [everything(path) for path in watched], namespaces_and_cgroups(ours)
        check(creel, bundle)
        check(creel, docker)
        check(creel, bundle, "--rootless")
        creel.run("check", "--host")
        after = [everything(path) for path in watched], namespaces_and_cgroups(ours)
        assert after == before
    assert not creel.root.exists()
    assert {path: path.read_text() for path in values} == values

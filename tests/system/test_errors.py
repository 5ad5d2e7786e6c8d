"""Documents and command lines that have to be refused: nothing is made, exit code 1, one error
that names the member and its line, and the phrases that engines look for."""

import json
import os

import pytest


def changed(creel, change):
    """A bundle whose SPEC was altered by CHANGE."""
    bundle = creel.bundle("/bin/probe", "true")
    change(bundle.spec)
    return bundle.write()


def member_line(bundle, pointer):
    """The line of the member POINTER in what bundles.make_bundle() wrote: one value a line."""
    text = (bundle.path / "config.json").read_text()
    marked = json.loads(text)
    at = marked
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for part in parts[:-1]:
        at = at[int(part) if isinstance(at, list) else part]
    last = int(parts[-1]) if isinstance(at, list) else parts[-1]
    at[last] = "\u2603 mark"
    for number, line in enumerate(json.dumps(marked, indent="\t", ensure_ascii=False)
                                  .splitlines(), 1):
        if "\u2603 mark" in line:
            return number
    raise AssertionError(f"{pointer} is not there")


def test_root_is_no_object(creel):
    bundle = creel.bundle("/bin/probe", "true")
    text = json.dumps({**bundle.spec, "root": "rootfs"}, indent="\t")
    refused(creel, bundle.write_text(text), "/root")


def refused(creel, bundle, pointer=None, phrase="", line=None):
    """create and run refuse the bundle, before anything is made."""
    for command in ("create", "run"):
        result = creel.fails(phrase, command, "--bundle", bundle.path, creel.id())
        assert not creel.root.exists() or os.listdir(creel.root) == []
        record = result.error
        if pointer is not None:
            assert record.get("pointer") == pointer, record
            assert pointer in record["msg"] or pointer == "", record
        if line:
            assert record.get("line") == line, record
            assert f"config.json:{line}" in record["msg"], record
            assert f"config.json:{line}" in result.err, result.err
    return record


def put(*path):
    """Puts the last of PATH where the others lead."""
    def change(spec):
        at = spec
        for part in path[:-2]:
            at = at[part]
        at[path[-2]] = path[-1]
    return change


WRONG = [
    # pointer, change
    ("/process/user/uid", put("process", "user", "uid", "1000")),
    ("/process/user/uid", put("process", "user", "uid", -1)),
    ("/process/user/uid", put("process", "user", "uid", 4294967295)),
    ("/process/user/uid", put("process", "user", "uid", 4294967296)),
    ("/process/user/uid", put("process", "user", "uid", 1.5)),
    ("/process/args", put("process", "args", "sh")),
    ("/process/args/0", put("process", "args", 0, 1)),
    ("/process/env", put("process", "env", {"A": "B"})),
    ("/process/cwd", put("process", "cwd", ["/"])),
    ("/process/terminal", put("process", "terminal", 0)),
    ("/process/noNewPrivileges", put("process", "noNewPrivileges", "false")),
    ("/process/rlimits/0/type", put("process", "rlimits", 0, "type", "RLIMIT_NONE")),
    ("/process/rlimits/0/hard", put("process", "rlimits", 0, "hard", "1024")),
    ("/root/readonly", put("root", "readonly", "true")),
    ("/mounts", put("mounts", {})),
    ("/mounts/0/options", put("mounts", 0, "options", "ro")),
    ("/mounts/1/destination", put("mounts", 1, "destination", None)),
    ("/linux/namespaces/0/type", put("linux", "namespaces", 0, "type", "wrong")),
    ("/linux/namespaces/0/path", put("linux", "namespaces", 0, "path", "relative/pid")),
    ("/linux/rootfsPropagation", put("linux", "rootfsPropagation", "sideways")),
    ("/linux/seccomp/defaultAction", put("linux", "seccomp", {"defaultAction": "SCMP_ACT_NONE"})),
    ("/hooks/prestart/0/path", put("hooks", {"prestart": [{"path": "bin/true"}]})),
    ("/hooks/prestart/0/timeout",
     put("hooks", {"prestart": [{"path": "/bin/true", "timeout": 0}]})),
    ("/process/cwd", put("process", "cwd", "tmp")),
    ("/linux/sysctl/net.core.somaxconn", put("linux", "sysctl", {"net.core.somaxconn": 5})),
    ("/annotations/key", put("annotations", {"key": 1})),
    ("/hostname", put("hostname", 5)),
    ("/ociVersion", put("ociVersion", "2.0.0")),
    ("/ociVersion", put("ociVersion", "one")),
    ("/linux/devices/0/type", put("linux", "devices", [{"type": "x", "path": "/dev/x",
                                                        "major": 1, "minor": 3}])),
    ("/linux/maskedPaths/0", put("linux", "maskedPaths", ["relative"])),
    ("/linux/uidMappings/0/size", put("linux", "uidMappings", [
        {"containerID": 0, "hostID": 0, "size": "1"}])),
]


@pytest.mark.parametrize("pointer,change", WRONG,
                         ids=[f"{i}{p.replace('/', '-')}" for i, (p, _) in enumerate(WRONG)])
def test_wrong_values(creel, pointer, change):
    bundle = changed(creel, change)
    refused(creel, bundle, pointer, line=member_line(bundle, pointer))


MISSING = ["/ociVersion", "/root", "/root/path", "/process/args", "/process/cwd",
           "/process/user/uid", "/mounts/0/destination", "/linux/namespaces/0/type",
           "/process/rlimits/0/soft"]


@pytest.mark.parametrize("pointer", MISSING)
def test_missing_required_members(creel, pointer):
    def change(spec):
        at = spec
        *path, last = pointer.split("/")[1:]
        for part in path:
            at = at[int(part) if isinstance(at, list) else part]
        del at[last]
    bundle = creel.bundle("/bin/probe", "true")
    change(bundle.spec)
    bundle.write_text(json.dumps(bundle.spec, indent="\t") if pointer.startswith("/root")
                      else (bundle.write().path / "config.json").read_text())
    record = refused(creel, bundle)
    assert record.get("pointer") in (pointer, pointer.rsplit("/", 1)[0]), record
    assert pointer.rsplit("/", 1)[1] in record["msg"]
    assert record["line"] > 0


def test_a_missing_process_user_or_member(creel):
    bundle = changed(creel, lambda spec: spec["process"].pop("user"))
    record = refused(creel, bundle)
    assert "user" in record["msg"]


def test_no_process(creel):
    refused(creel, changed(creel, lambda spec: spec.pop("process")), phrase="process")


# The text itself

def text_of(creel):
    return (creel.bundle("/bin/probe", "true").path / "config.json").read_text()


def textual(creel, text):
    """A bundle with TEXT as its document."""
    return creel.bundle("/bin/probe", "true").write_text(text)


def test_duplicate_member(creel):
    text = text_of(creel).replace('\t"hostname"', '\t"hostname": "twice",\n\t"hostname"', 1)
    line = text.split('"hostname": "creel"')[0].count("\n") + 1
    refused(creel, textual(creel, text), "/hostname", line=line)


def test_duplicate_member_deep_inside(creel):
    text = text_of(creel).replace('"uid": 0', '"uid": 0, "uid": 1000', 1)
    refused(creel, textual(creel, text), "/process/user/uid")


def test_duplicate_member_in_a_part_that_nobody_knows(creel):
    text = text_of(creel).replace('{', '{"x": {"a": 1, "a": 2},', 1)
    refused(creel, textual(creel, text), "/x/a")


def test_escaped_nul(creel):
    text = text_of(creel).replace('"/bin/probe"', '"/bin/probe\\u0000/x"', 1)
    refused(creel, textual(creel, text), "/process/args/0")


def test_raw_nul(creel):
    text = text_of(creel).encode()
    refused(creel, textual(creel, text.replace(b"/bin/probe", b"/bin/pro\0be", 1)))
    refused(creel, textual(creel, text + b"\0"))


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80",
                                 b"\xf4\x90\x80\x80", b"\xe2\x82"])
def test_invalid_utf8(creel, bad):
    text = text_of(creel).encode().replace(b"creel", b"cr" + bad + b"l", 1)
    line = text.split(bad)[0].count(b"\n") + 1
    record = refused(creel, textual(creel, text))
    assert record.get("line") == line, record


def test_lone_surrogate(creel):
    text = text_of(creel).replace('"creel"', '"\\ud800"', 1)
    refused(creel, textual(creel, text))


@pytest.mark.parametrize("opening,closing", [('{"a":', "}"), ("[", "]")])
def test_nesting(creel, opening, closing):
    deep = opening * 40 + "1" + closing * 40
    record = refused(creel, textual(creel, text_of(creel).replace("{", '{"x": %s,' % deep, 1)))
    assert record["line"] == 1


def test_far_too_deep(creel):
    refused(creel, textual(creel, "[" * 1000000))


GARBAGE = {
    "zeros": lambda n: b"\0" * n, "random": os.urandom, "open": lambda n: b"[" * n,
    "spaces": lambda n: b" " * n, "string": lambda n: b'"' + b"a" * n,
    "numbers": lambda n: b"[" + b"1," * (n // 2)}


@pytest.mark.parametrize("name", GARBAGE)
def test_ten_megabytes_of_garbage(creel, name):
    refused(creel, textual(creel, GARBAGE[name](10000000)))


@pytest.mark.parametrize("text", ["", "null", "[]", "1", '"text"', "{", "{}", "}", "{]", "{,}",
                                  "nul", "\ufeff{}", "{} {}", "{'a': 1}", '{"a": 01}',
                                  '{"a": 1,}', '{"a": /* no */ 1}'])
def test_broken_text(creel, text):
    refused(creel, textual(creel, text))


def test_something_after_the_document(creel):
    refused(creel, textual(creel, text_of(creel) + "\n{}"))


@pytest.mark.parametrize("value", ["18446744073709551616", "1e400", "-9223372036854775809",
                                   "9" * 400])
def test_huge_numbers(creel, value):
    text = text_of(creel).replace('"hard": 1024', f'"hard": {value}', 1)
    refused(creel, textual(creel, text), "/process/rlimits/0/hard")


# Combinations

def test_namespace_listed_twice(creel):
    bundle = changed(creel, lambda s: s["linux"]["namespaces"].append({"type": "uts"}))
    index = len(bundle.spec["linux"]["namespaces"]) - 1
    record = refused(creel, bundle)
    assert record["pointer"] in (f"/linux/namespaces/{index}", f"/linux/namespaces/{index}/type")
    assert "uts" in record["msg"]
    assert record["line"] > 0


def without(kind):
    """Takes a namespace away."""
    def change(spec):
        spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"]
                                       if n["type"] != kind]
    return change


def both(*changes):
    """All changes."""
    return lambda spec: [change(spec) for change in changes]


@pytest.mark.parametrize("kind,name", [
    ("network", "net.ipv4.ip_forward"), ("ipc", "kernel.shmmax"), ("ipc", "fs.mqueue.msg_max"),
    ("uts", "kernel.domainname")])
def test_sysctl_without_its_namespace(creel, kind, name):
    bundle = changed(creel, both(without(kind), put("linux", "sysctl", {name: "1"}),
                                 lambda s: s.pop("hostname")))
    refused(creel, bundle, f"/linux/sysctl/{name}",
            line=member_line(bundle, f"/linux/sysctl/{name}"))


@pytest.mark.parametrize("name", ["kernel.panic", "vm.swappiness", "net.../x", "kernel/../vm/x",
                                  "fs.file-max", "", "/"])
def test_sysctl_that_no_namespace_has(creel, name):
    refused(creel, changed(creel, put("linux", "sysctl", {name: "1"})))


def test_hostname_without_uts_namespace(creel):
    bundle = changed(creel, without("uts"))
    refused(creel, bundle, "/hostname", "without a private UTS namespace")


def test_domainname_without_uts_namespace(creel):
    bundle = changed(creel, both(without("uts"), lambda s: s.pop("hostname"),
                                 put("domainname", "x")))
    refused(creel, bundle, "/domainname", "without a private UTS namespace")


def test_masked_paths_without_mount_namespace(creel):
    refused(creel, changed(creel, without("mount")))


def test_mappings_without_user_namespace(creel):
    bundle = changed(creel, put("linux", "uidMappings", [
        {"containerID": 0, "hostID": 100000, "size": 65536}]))
    refused(creel, bundle)


def test_user_namespace_without_mappings(creel):
    bundle = changed(creel, lambda s: s["linux"]["namespaces"].append({"type": "user"}))
    refused(creel, bundle)


def test_duplicate_rlimit(creel):
    limit = {"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}
    refused(creel, changed(creel, lambda s: s["process"]["rlimits"].append(limit)))


def test_soft_above_hard(creel):
    refused(creel, changed(creel, put("process", "rlimits", 0, "soft", 2048)))


def test_mount_mappings_come_in_pairs(creel):
    mapping = [{"containerID": 0, "hostID": 1000, "size": 1}]
    bundle = changed(creel, lambda s: s["mounts"].append(
        {"destination": "/mnt", "source": "/tmp", "type": "bind", "options": ["bind"],
         "uidMappings": mapping}))
    refused(creel, bundle)


def test_time_offsets_without_time_namespace(creel):
    refused(creel, changed(creel, put("linux", "timeOffsets", {"boottime": {"secs": 1}})))


@pytest.mark.parametrize("entry", ["NOEQUALS", "=value"])
def test_broken_environment(creel, entry):
    bundle = changed(creel, lambda s: s["process"]["env"].append(entry))
    refused(creel, bundle, f"/process/env/{len(bundle.spec['process']['env']) - 1}",
            "invalid environment variable")


def test_missing_rootfs(creel):
    bundle = creel.bundle("/bin/probe", "true")
    bundle.rootfs.rename(bundle.rootfs.with_name("elsewhere"))
    refused(creel, bundle)


def test_rootfs_is_a_file(creel):
    bundle = creel.bundle("/bin/probe", "true", rootfs="/etc/passwd")
    refused(creel, bundle)


def test_missing_bundle(creel):
    creel.fails("no such file or directory", "create", "--bundle", creel.directory / "none",
                creel.id())


def test_bundle_without_document(creel):
    bundle = creel.bundle("/bin/probe", "true")
    (bundle.path / "config.json").unlink()
    creel.fails("JSON specification file config.json not found", "create", "--bundle",
                bundle.path, creel.id())


def test_document_is_a_directory_or_fifo(creel):
    bundle = creel.bundle("/bin/probe", "true")
    config = bundle.path / "config.json"
    config.unlink()
    config.mkdir()
    refused(creel, bundle)
    config.rmdir()
    os.mkfifo(config)
    refused(creel, bundle)


# Command lines

@pytest.mark.parametrize("name", ["a/b", "..", ".", "../x", "/x", "a b", "", "a\nb", ".hidden",
                                  "\u00e9", "x" * 1025, "a\x1b[31m"],
                         ids=range(12))
def test_bad_ids(creel, name):
    bundle = creel.bundle("/bin/probe", "true")
    phrase = "container id cannot be empty" if not name else "invalid container ID format"
    for words in (("create", "--bundle", bundle.path), ("run", "--bundle", bundle.path),
                  ("state",), ("start",), ("delete",), ("delete", "--force"), ("kill",),
                  ("exec",)):
        extra = ["true"] if words == ("exec",) else []
        result = creel.run(*words, "--", name, *extra, log=True)
        assert result.code == (255 if extra else 1), str(result)
        assert phrase in result.error["msg"], result.error
        assert "\x1b" not in result.err
    assert not creel.root.exists() or os.listdir(creel.root) == []


@pytest.mark.parametrize("words", [("create",), ("run",), ("start",), ("state",), ("delete",),
                                   ("kill",), ("exec",), ("pause",), ("resume",), ("ps",)])
def test_missing_id(creel, words):
    result = creel.run(*words, log=True)
    assert result.code == 1, str(result)
    assert "requires" in result.error["msg"], result.error


def test_too_many_arguments(creel):
    for command in ("start", "state", "delete", "pause", "resume", "create"):
        result = creel.run(command, "a", "b", log=True)
        assert result.code == 1
        assert "argument" in result.error["msg"]


def test_terminal_without_console_socket(creel):
    bundle = creel.bundle("/bin/probe", "true", terminal=True)
    creel.fails("without setting console socket", "create", "--bundle", bundle.path, creel.id())
    creel.fails("without setting console socket", "run", "-d", "--bundle", bundle.path, creel.id())


def test_console_socket_without_terminal(creel):
    bundle = creel.bundle("/bin/probe", "true")
    creel.fails("console socket", "create", "--console-socket", "/x", "--bundle", bundle.path,
                creel.id())


def test_console_socket_that_nobody_listens_on(creel):
    bundle = creel.bundle("/bin/probe", "true", terminal=True)
    creel.fails("console socket", "create", "--console-socket", creel.directory / "none",
                "--bundle", bundle.path, creel.id())


def test_state_root_of_others(creel):
    creel.root.mkdir()
    creel.root.chmod(0o777)
    bundle = creel.bundle("/bin/probe", "true")
    creel.fails("state root", "create", "--bundle", bundle.path, creel.id())
    creel.root.rmdir()
    target = creel.directory / "target"
    target.mkdir(mode=0o700)
    creel.root.symlink_to(target)
    creel.fails("state root", "create", "--bundle", bundle.path, creel.id())
    creel.root.unlink()


# Errors that only the kernel or the file system can find: everything is undone

def test_bind_of_a_file_over_a_directory(creel):
    bundle = changed(creel, lambda s: s["mounts"].append(
        {"destination": "/mnt", "source": "/etc/passwd", "type": "bind", "options": ["bind"]}))
    refused(creel, bundle, phrase="not a directory")


def test_missing_bind_source(creel):
    bundle = changed(creel, lambda s: s["mounts"].append(
        {"destination": "/mnt", "source": "/no/such/source", "type": "bind",
         "options": ["bind"]}))
    index = len(bundle.spec["mounts"]) - 1
    record = refused(creel, bundle, phrase="no such file or directory")
    assert record["pointer"].startswith(f"/mounts/{index}"), record


def test_unknown_filesystem(creel):
    bundle = changed(creel, lambda s: s["mounts"].append(
        {"destination": "/mnt", "source": "x", "type": "nosuchfs"}))
    record = refused(creel, bundle)
    assert record["pointer"].startswith("/mounts/7"), record


def test_mount_option_that_the_filesystem_refuses(creel):
    bundle = changed(creel, lambda s: s["mounts"].append(
        {"destination": "/mnt", "source": "x", "type": "tmpfs", "options": ["nonsense=1"]}))
    record = refused(creel, bundle)
    assert record["pointer"].startswith("/mounts/7"), record


def test_data_options_of_bind_mounts(creel):
    bundle = changed(creel, lambda s: s["mounts"].append(
        {"destination": "/mnt", "source": "/tmp", "type": "bind", "options": ["bind", "size=1"]}))
    refused(creel, bundle,
            phrase="bind mounts cannot have any filesystem-specific options applied")


def test_mount_inside_proc(creel):
    bundle = changed(creel, lambda s: s["mounts"].append(
        {"destination": "/proc/sys", "source": "/tmp", "type": "bind", "options": ["bind"]}))
    refused(creel, bundle, phrase="inside /proc")


def test_namespace_path_of_another_kind(creel):
    bundle = changed(creel, put("linux", "namespaces", 1, "path", "/proc/self/ns/ipc"))
    record = refused(creel, bundle)
    assert record["pointer"].startswith("/linux/namespaces/1"), record


def test_namespace_path_that_is_missing(creel):
    bundle = changed(creel, put("linux", "namespaces", 1, "path", "/proc/self/ns/none"))
    record = refused(creel, bundle, phrase="no such file or directory")
    assert record["pointer"].startswith("/linux/namespaces/1"), record


def test_sysctl_that_the_kernel_refuses(creel):
    bundle = changed(creel, put("linux", "sysctl", {"net.ipv4.ip_forward": "nonsense"}))
    record = refused(creel, bundle)
    assert record["pointer"] == "/linux/sysctl/net.ipv4.ip_forward", record


def test_sysctl_that_does_not_exist(creel):
    bundle = changed(creel, put("linux", "sysctl", {"net.ipv4.nothing": "1"}))
    record = refused(creel, bundle, phrase="no such file or directory")
    assert record["pointer"] == "/linux/sysctl/net.ipv4.nothing", record


def test_limit_without_controller(creel):
    have = set()
    from harness import cgroup_root
    root = cgroup_root()
    if root:
        have = set((root / "cgroup.controllers").read_text().split())
    if "memory" in have:
        pytest.skip("this host has the memory controller")
    bundle = changed(creel, put("linux", "resources", "memory", {"limit": 67108864}))
    record = refused(creel, bundle, phrase="memory")
    assert record["pointer"] == "/linux/resources/memory/limit", record


def test_device_path_taken_by_something_else(creel):
    bundle = changed(creel, put("linux", "devices", [
        {"type": "c", "path": "/bin/probe", "major": 1, "minor": 3}]))
    record = refused(creel, bundle)
    assert record["pointer"].startswith("/linux/devices/0"), record


def test_seccomp_that_refuses_everything(creel):
    """Not even the failure of execve can be reported then, but it is not success either."""
    bundle = changed(creel, put("linux", "seccomp", {"defaultAction": "SCMP_ACT_ERRNO"}))
    for no_new_privileges in (True, False):
        bundle.spec["process"]["noNewPrivileges"] = no_new_privileges
        result = creel.run_bundle(bundle.write(), log=True)
        assert result.code != 0
        assert result.err, "silent failure"
        assert creel.ids() == []

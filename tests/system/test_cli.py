"""The command line itself: forms of options, help, version, features, and the two log formats."""

import itertools
import json
import os
import re
import subprocess

import pytest

COMMANDS = ["create", "delete", "exec", "features", "kill", "list", "pause", "ps", "resume", "run",
            "spec", "start", "state", "update"]
RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"


@pytest.fixture
def bundle(creel):
    return creel.bundle("/bin/probe", "true")


def test_forms_of_options(creel, bundle):
    path = str(bundle.path)
    for words in (["--bundle", path], ["--bundle=" + path], ["-bundle", path],
                  ["-bundle=" + path], ["-b", path], ["--no-pivot", "--bundle", path],
                  ["--no-pivot=false", "-b=" + path], ["-no-pivot", "-b", path],
                  ["--bundle", "/none", "--bundle", path]):
        result = creel.run("run", *words, creel.id())
        assert result.code == 0, str(result)


def test_options_behind_the_id(creel, bundle):
    result = creel.run("run", creel.id(), "--bundle", bundle.path)
    assert result.code == 0, str(result)
    name = creel.id()
    creel.ok("create", name, "--bundle", bundle.path)
    creel.ok("delete", name, "--force")


def test_two_dashes_end_options(creel, bundle):
    name = creel.known("-x")
    creel.ok("run", "--bundle", bundle.path, "--", name)


def test_repeated_globals(creel, bundle):
    creel.options = ["--root", "/nonexistent/other", "--root", str(creel.root),
                     "--log-format", "json", "--log-format=text"]
    name = creel.id()
    creel.ok("create", "--bundle", bundle.path, name)
    assert (creel.root / name).is_dir()
    creel.ok("delete", name)
    creel.options = []


def test_globals_with_one_dash(creel):
    result = creel.run("-root", creel.root, "-log-format=json", "list", "-q", root=False)
    assert (result.code, result.err) == (0, "")


def test_systemd_cgroup_can_be_switched_off(creel, bundle):
    assert creel.run("--systemd-cgroup=false", "run", "--bundle", bundle.path,
                     creel.id()).code == 0


def test_single_dash_no_subreaper(creel, bundle):
    creel.ok("run", "-no-subreaper", "--bundle", bundle.path, creel.id())


def test_a_relative_root(creel, bundle):
    name = creel.id()
    creel.ok("--root", "state", "create", "--bundle", bundle.path, name, root=False)
    assert creel.ids() == [name]
    creel.ok("--root=./state/", "delete", name, root=False)


@pytest.mark.parametrize("words,phrase,hint", [
    (["--nosuch"], "flag provided but not defined: -nosuch", None),
    (["--rot", "x", "list"], "flag provided but not defined: -rot", "--root"),
    (["run", "--bundel", "x", "y"], "flag provided but not defined: -bundel", "--bundle"),
    (["run", "-z", "y"], "flag provided but not defined: -z", None),
    (["crate", "x"], "crate", "create"),
    (["sttate", "x"], "sttate", "state"),
    (["xyzzy"], "xyzzy", "creel --help"),
])
def test_unknown_words(creel, words, phrase, hint):
    result = creel.run(*words)
    assert result.code == 1
    assert phrase in result.err, str(result)
    if hint:
        assert hint in result.err.split("hint:")[1]


@pytest.mark.parametrize("words", [["run", "--bundle"], ["--root"], ["--log"], ["kill", "-b"],
                                   ["exec", "--user"], ["create", "--pid-file"]])
def test_missing_value(creel, words):
    result = creel.run(*words, root=False)
    assert result.code == 1, str(result)
    if words != ["kill", "-b"]:
        assert "flag needs an argument" in result.err or "requires an argument" in result.err


def test_value_of_the_wrong_kind(creel, bundle):
    for words in (["--preserve-fds", "x"], ["--preserve-fds", "-1"], ["--no-pivot=perhaps"],
                  ["--preserve-fds", "99999999999"]):
        result = creel.run("run", "--bundle", bundle.path, *words, creel.id())
        assert result.code == 1, str(result)
        assert result.err


def test_wrong_global_values(creel):
    for words in (["--log-format", "xml"], ["--log-level", "loud"], ["--cgroup-manager", "x"],
                  ["--rootless", "x"], ["--root", ""], ["--root", "/"]):
        result = creel.run(*words, "list")
        assert result.code == 1, str(result)
        assert result.err
    assert "invalid log-format" in creel.run("--log-format", "xml", "list").err or \
        "log-format" in creel.run("--log-format", "xml", "list").err


# Help and version

@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_commands(creel, command):
    for words in ([command, "--help"], [command, "-h"], ["help", command], [command, "-help"]):
        result = creel.run(*words, root=False)
        assert (result.code, result.err) == (0, ""), str(result)
        assert f"creel {command}" in result.out
        assert "--help" in creel.run("--help", root=False).out
        assert len(max(result.out.splitlines(), key=len)) <= 100


def test_help(creel):
    for words in (["--help"], ["-h"], ["help"], ["-help"], []):
        result = creel.run(*words, root=False)
        assert (result.code, result.err) == (0, ""), str(result)
        for command in COMMANDS:
            assert re.search(rf"^ +{command}\b", result.out, re.M), command


def test_help_names_every_option(creel):
    for command, options in {"create": ["bundle", "config", "console-socket", "pidfd-socket",
                                        "pid-file", "no-pivot", "no-new-keyring", "preserve-fds"],
                             "run": ["detach", "keep", "bundle", "no-subreaper"],
                             "exec": ["process", "cwd", "env", "tty", "user", "additional-gids",
                                      "process-label", "apparmor", "no-new-privs", "cap", "cgroup",
                                      "ignore-paused", "detach", "pid-file"],
                             "kill": ["all"], "delete": ["force"], "list": ["format", "quiet"],
                             "ps": ["format"], "spec": ["bundle", "rootless"]}.items():
        text = creel.run(command, "--help", root=False).out
        for option in options:
            assert f"--{option}" in text, (command, option)


def test_version(creel):
    for word in ("--version", "-v", "-version", "-V"):
        result = creel.run(word, root=False)
        assert (result.code, result.err) == (0, "")
        lines = result.out.splitlines()
        assert re.fullmatch(r"creel version \d+\.\d+\.\d+\S*", lines[0])
        assert "version" not in "\n".join(lines[1:])
        assert any(re.fullmatch(r"spec: 1\.\d+\.\d+.*", line) for line in lines)
        assert any(line.startswith("commit: ") for line in lines)


# Features

def test_features(creel):
    result = creel.ok("features", root=False)
    features = result.json()
    assert features["ociVersionMin"] == "1.0.0"
    assert re.fullmatch(r"1\.\d+\.\d+.*", features["ociVersionMax"])
    assert sorted(features["hooks"]) == sorted([
        "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"])
    assert {"ro", "rw", "bind", "rbind", "rprivate", "rro", "nosuid", "tmpcopyup"} <= \
        set(features["mountOptions"])
    linux = features["linux"]
    assert sorted(linux["namespaces"]) == ["cgroup", "ipc", "mount", "network", "pid", "time",
                                           "user", "uts"]
    assert len(linux["capabilities"]) == 41
    assert linux["cgroup"]["v1"] is False
    assert linux["cgroup"]["v2"] is True
    assert linux["seccomp"]["enabled"] is True
    assert "SCMP_ACT_ERRNO" in linux["seccomp"]["actions"]
    assert "SCMP_ARCH_X86_64" in linux["seccomp"]["archs"]
    assert isinstance(features.get("potentiallyUnsafeConfigAnnotations"), list)


def test_features_are_true(creel):
    """What is listed is accepted: each mount option on a tmpfs or a bind mount."""
    features = creel.ok("features", root=False).json()
    special = {"idmap", "ridmap", "remount", "acl", "noacl", "mand", "nomand"}
    for option in features["mountOptions"]:
        if option in special:
            continue
        bundle = creel.bundle("/bin/probe", "true")
        bundle.spec["mounts"].append(
            {"destination": "/mnt", "source": "/tmp", "type": "bind",
             "options": ["bind", option]} if option not in ("tmpcopyup",) else
            {"destination": "/mnt", "source": "tmpfs", "type": "tmpfs", "options": [option]})
        result = creel.run_bundle(bundle.write())
        assert result.code == 0, f"{option}: {result}"


def unprivileged(creel):
    creel.prefix = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"]


@pytest.mark.parametrize("words", [["features"], ["--version"], ["--help"], ["create", "--help"]])
def test_need_no_root_and_no_rights(creel, words):
    for root in ("/proc/nothing/here", "/etc/passwd", "/nonexistent", "relative"):
        result = creel.run("--root", root, *words, root=False, cwd="/proc")
        assert (result.code, result.err) == (0, ""), str(result)
        assert result.out
    os.chmod(creel.directory, 0o777)
    unprivileged(creel)
    result = creel.run("--root", "/root/none", *words, root=False)
    assert (result.code, result.err) == (0, ""), str(result)


def test_features_with_an_empty_environment(creel):
    done = subprocess.run([creel.binary, "features"], env={}, capture_output=True, timeout=60,
                          check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)


# Standard streams

@pytest.mark.parametrize("closed", [c for n in range(4) for c in
                                    itertools.combinations((0, 1, 2), n)])
def test_closed_standard_streams(creel, closed):
    def close():
        for fd in closed:
            os.close(fd)
    bundle = creel.bundle("/bin/probe", "sections", "fds")
    name = creel.id()
    for words in (["--version"], ["features"], ["create", "--bundle", bundle.path, name],
                  ["state", name], ["list"], ["start", name]):
        result = creel.run(*words, preexec_fn=close)
        assert result.code == 0, str(result)
        if words[0] in ("--version", "features", "state", "list") and 1 not in closed:
            assert result.out, words
    creel.wait_status(name, "stopped")
    assert creel.run("delete", name, preexec_fn=close).code == 0
    assert creel.run("state", name, preexec_fn=close).code == 1


def test_full_device(creel):
    with open("/dev/full", "wb") as full:
        for words in (["--version"], ["features"], ["list"], ["--help"]):
            result = creel.run(*words, stdout=full)
            assert result.code == 1, f"{words}: a lost answer is no success"
            assert result.err


def test_broken_pipe(creel):
    reader, writer = os.pipe()
    os.close(reader)
    result = creel.run("features", stdout=writer)
    os.close(writer)
    assert result.code != 0
    assert len(result.err.splitlines()) <= 2


# Logs

def test_json_log(creel):
    for _ in range(2):
        result = creel.run("state", "nothing", log=True)
        text = result._log.read_text()
        assert text.count("\n") == 1 and text.endswith("}\n")
        record = json.loads(text)
        assert list(record)[:3] == ["level", "msg", "time"]
        assert record["level"] == "error"
        assert re.fullmatch(RFC3339, record["time"])
        assert "does not exist" in record["msg"]
        assert record["msg"] in result.err or "does not exist" in result.err


def test_text_log(creel):
    log = creel.directory / "log"
    result = creel.run("--log", log, "state", "nothing")
    assert result.code == 1
    line = log.read_text()
    assert re.fullmatch(rf'time="{RFC3339}" level=error msg="[^\n]*does not exist[^\n]*"\n', line)
    creel.run("--log", log, "state", "nothing")
    assert log.read_text().count("\n") == 2, "appended"
    assert log.stat().st_mode & 0o777 == 0o644


def test_error_on_stderr(creel):
    result = creel.run("state", "nothing")
    assert re.match(r"creel: container does not exist[^\n]*\n", result.err)
    assert result.out == ""


def test_json_on_stderr(creel):
    result = creel.run("--log-format", "json", "state", "nothing")
    assert json.loads(result.err)["level"] == "error"


def test_debug_log(creel):
    bundle = creel.bundle("/bin/probe", "true")
    log = creel.directory / "debug"
    result = creel.run("--debug", "--log", log, "--log-format", "json", "run", "--bundle",
                       bundle.path, creel.id())
    assert (result.code, result.err) == (0, "")
    for line in log.read_text().splitlines():
        assert json.loads(line)["level"] in ("debug", "info", "warning")


def test_log_that_cannot_be_opened(creel):
    result = creel.run("--log", "/nonexistent/log", "list")
    assert result.code == 1
    assert "/nonexistent/log" in result.err


def test_one_record_although_everything_is_wrong(creel):
    bundle = creel.bundle("/bin/probe", "true")
    bundle.spec["process"]["cwd"] = 1
    bundle.spec["hostname"] = 1
    creel.fails("", "create", "--bundle", bundle.write().path, creel.id())


def test_messages_have_no_colour_in_files(creel):
    assert "\x1b" not in creel.run("state", "nothing").err


def test_default_root(creel):
    """Only XDG_RUNTIME_DIR of a user decides, and an empty one equals none."""
    runtime_dir = creel.directory / "xdg"
    runtime_dir.mkdir()
    for value in (str(runtime_dir), ""):
        result = creel.run("list", "-q", root=False, env={"XDG_RUNTIME_DIR": value})
        assert result.code == 0, str(result)
    assert not list(runtime_dir.iterdir()), "list makes nothing, and root uses /run/creel"


def test_argument_order_of_conmon_rs(creel, bundle):
    """--root and --systemd-cgroup come twice; the last wins."""
    creel.ok("--root", str(creel.root), "--log", str(creel.directory / "l"), "--root",
             str(creel.root), "run", "--bundle", bundle.path, creel.id())


@pytest.mark.parametrize("script", ["bash", "zsh", "fish"])
def test_completion(creel, script):
    result = creel.run("completion", script, root=False)
    assert (result.code, result.err) == (0, ""), str(result)
    for command in COMMANDS:
        assert command in result.out

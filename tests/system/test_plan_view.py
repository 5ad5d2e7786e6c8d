"""`creel plan` in its three forms: for people, by steps, and as JSON."""

import os
import re

import pytest
from terminals import Terminal, read_all

HEADINGS = ["Container", "Process", "Namespaces", "Mounts", "Devices and links", "Protected paths",
            "Cgroup", "Seccomp", "Hooks"]


@pytest.fixture
def bundle(creel):
    """A bundle that has something to say under each heading."""
    bundle = creel.bundle("/bin/probe", "true", "two words", env=["PATH=/bin", "ODD=a\x1b[31mb\nc"])
    spec = bundle.spec
    spec["hooks"] = {"poststop": [{"path": "/bin/true", "timeout": 5}]}
    spec["mounts"].append({"destination": "/data", "type": "bind", "source": "/tmp",
                           "options": ["rbind", "ro", "nosuid"]})
    spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}]
    spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["chown", "fchown"], "action": "SCMP_ACT_ERRNO"}]}
    spec["linux"]["maskedPaths"] = ["/proc/kcore"]
    return bundle.write()


def sections(text):
    """The lines under each heading."""
    found, lines = {}, None
    for line in text.splitlines():
        if line and not line.startswith(" "):
            lines = found.setdefault(line, [])
        elif line:
            lines.append(line)
    return found


def on_terminal(creel, *words, **env):
    """What a command writes to a terminal."""
    with Terminal() as terminal:
        options = terminal.options()
        with creel.spawn(*words, env=env, **options) as command:
            os.close(terminal.slave)
            text = read_all(terminal.master).decode()
            assert command.wait().code == 0, text
    return text.replace("\r\n", "\n")


def test_the_view_has_its_groups_in_order(creel, bundle):
    found = sections(creel.ok("plan", "--bundle", bundle.path).out)
    assert list(found) == HEADINGS


def test_each_line_names_its_place(creel, bundle):
    found = sections(creel.ok("plan", "--bundle", bundle.path).out)
    number = len(bundle.spec["mounts"]) - 1
    assert any(re.fullmatch(rf"  /data +bind +/tmp +ro,nosuid,.*recursive.* +/mounts/{number}", line)
               for line in found["Mounts"]), found["Mounts"]
    assert any(re.fullmatch(r"  limits +RLIMIT_NOFILE soft 64, hard 128 +/process/rlimits/0", line)
               for line in found["Process"]), found["Process"]
    assert any(line.endswith("/linux/maskedPaths/0") for line in found["Protected paths"])
    assert found["Hooks"] == ["  poststop  /bin/true  5 s at most  /hooks/poststop/0"]


def test_columns_line_up(creel, bundle):
    for name, lines in sections(creel.ok("plan", "--bundle", bundle.path).out).items():
        starts = {line.rindex("  /") for line in lines
                  if re.search(r"  /(process|linux|mounts|hooks|root|hostname)", line)
                  and len(line) < 100}
        assert len(starts) <= 1, (name, lines)


def test_values_cannot_move_the_cursor(creel, bundle):
    text = creel.ok("plan", "--bundle", bundle.path).out
    assert "\x1b" not in text
    assert r"ODD=a\x1b[31mb\nc" in text
    assert "/bin/probe true 'two words'" in text


def test_colour_on_a_terminal_only(creel, bundle):
    plain = creel.ok("plan", "--bundle", bundle.path).out
    painted = on_terminal(creel, "plan", "--bundle", bundle.path)
    assert "\x1b[1mProcess\x1b[0m" in painted
    assert re.sub(r"\x1b\[\dm", "", painted) == plain


def test_no_color(creel, bundle):
    plain = creel.ok("plan", "--bundle", bundle.path).out
    assert on_terminal(creel, "plan", "--bundle", bundle.path, NO_COLOR="1") == plain


def test_steps_in_their_order(creel, bundle):
    lines = creel.ok("plan", "--bundle", bundle.path, "--format", "steps").out.splitlines()
    verbs = [line.split()[0] for line in lines]
    order = [verbs.index(verb) for verb in ("create", "bind", "pivot", "filter", "exec", "hook")]
    assert order == sorted(order), lines
    assert lines[-1] == "hook /bin/true  [/hooks/poststop/0]"


def test_json_is_complete(creel, bundle):
    plan = creel.ok("plan", "--bundle", bundle.path, "--format", "json", "--id", "web").json()
    assert plan["id"] == "web"
    assert plan["bundle"] == str(bundle.path)
    assert plan["process"]["args"] == bundle.spec["process"]["args"]
    assert plan["process"]["env"][:2] == bundle.spec["process"]["env"]
    assert [mount["target"] for mount in plan["mounts"]][:len(bundle.spec["mounts"])] \
        == [mount["destination"] for mount in bundle.spec["mounts"]]
    data = next(mount for mount in plan["mounts"] if mount["target"] == "/data")
    assert (data["kind"], data["source"]) == ("bind", "/tmp")
    assert set(data["set"]) == {"ro", "nosuid"}
    assert plan["seccomp"]["profile"] == bundle.spec["linux"]["seccomp"]
    assert plan["seccomp"]["instructions"] > 5
    assert {item["type"] for item in plan["namespaces"]["create"]} \
        == {item["type"] for item in bundle.spec["linux"]["namespaces"]}
    assert plan["hooks"]["poststop"][0]["timeout"] == 5


def test_every_place_in_json_exists(creel, bundle):
    plan = creel.ok("plan", "--bundle", bundle.path, "--format", "json").json()
    places = []

    def walk(value):
        if isinstance(value, dict):
            places.extend(value[key] for key in ("where",) if key in value)
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                walk(item)

    walk(plan)
    assert len(places) > 10
    for place in places:
        at = bundle.spec
        for key in place.strip("/").split("/"):
            at = at[int(key)] if isinstance(at, list) else at[key]


def test_a_profile_that_cannot_be_compiled_is_an_error(creel, bundle):
    bundle.spec["linux"]["seccomp"]["syscalls"][0]["args"] = [
        {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]
    bundle.write()
    create = creel.run("create", "--bundle", bundle.path, creel.id(), log=True)
    plan = creel.run("plan", "--bundle", bundle.path, log=True)
    assert plan.code == create.code
    if plan.code:
        assert plan.error["pointer"] == create.error["pointer"]
    else:
        creel.ok("delete", "--force", create.argv[-1])


def test_real_configurations(creel, configs):
    """What engines write is planned in all three forms."""
    for path in sorted(configs.glob("*.json")):
        if "process" in path.name:
            continue
        directory = creel.directory / path.stem
        directory.mkdir()
        (directory / "config.json").write_bytes(path.read_bytes())
        results = {form: creel.run("plan", "--bundle", directory, "--format", form)
                   for form in ("table", "steps", "json")}
        codes = {result.code for result in results.values()}
        assert len(codes) == 1, results
        if codes == {0}:
            assert results["json"].json()["process"]["args"]

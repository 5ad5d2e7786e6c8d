"""The files of share/ that no engine of the laboratory can be run with say the same as those that one is run with."""

import json
import pathlib
import re

SHARE = pathlib.Path(__file__).resolve().parent.parent.parent / "share"
BINARY = "/usr/bin/creel"


def lines(name):
    """A file without its comments."""
    return [line for line in (SHARE / name).read_text().splitlines() if line and not line.startswith("#")]


def value(name, key):
    """What KEY is set to, in TOML or YAML."""
    found = re.search(rf"^\s*{key}\s*[=:]\s*\"?([^\"\n]*)\"?$", (SHARE / name).read_text(), re.M)
    assert found, f"{name} has no {key}"
    return found[1]


def test_containerd_2_differs_in_names_only():
    old = "\n".join(lines("containerd/config-v2.toml"))
    new = old.replace("version = 2", "version = 3").replace("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime")
    assert new != old
    assert new.splitlines() == lines("containerd/config-v3.toml")


def test_every_file_names_one_binary():
    docker = json.loads((SHARE / "docker/daemon.json").read_text())
    assert docker["runtimes"][docker["default-runtime"]]["path"] == BINARY
    assert value("containerd/config-v2.toml", "BinaryName") == BINARY
    assert value("crio/10-creel.conf", "runtime_path") == BINARY
    assert f'creel = ["{BINARY}"]' in lines("containers/creel.conf")


def test_the_class_asks_for_the_handler_that_is_configured():
    handler = value("kubernetes/runtimeclass.yaml", "handler")
    assert handler == value("containerd/config-v2.toml", "default_runtime_name")
    assert f"[crio.runtime.runtimes.{handler}]" in lines("crio/10-creel.conf")


def test_the_documentation_names_every_file():
    page = (SHARE.parent / "docs/engines.md").read_text()
    for path in SHARE.glob("*/*"):
        name = str(path.relative_to(SHARE))
        if not name.startswith(("licences/", "apparmor/")):
            assert f"`{name}`" in page, name

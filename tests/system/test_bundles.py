"""The bundles that a newcomer tries first do what their README says."""

import json
import pathlib
import shutil

import pytest

BUNDLES = pathlib.Path(__file__).resolve().parents[2] / "bundles"


def test_every_bundle_has_a_readme():
    for config in BUNDLES.glob("*/config.json"):
        text = (config.parent / "README.md").read_text()
        assert text.startswith(f"# {config.parent.name}\n\n") and text.count("\n") >= 3


@pytest.mark.parametrize("name,expected", [
    ("hello", "process 1 of hello"),
    ("hooks", "the program"),
    ("seccomp", '"errno":13'),
    ("userns", '"uid":{"real":0'),
    ("idmapped", '"uid":1000'),
    ("devices", '"own"'),
])
def test_bundle(creel, name, expected):
    spec = json.loads((BUNDLES / name / "config.json").read_text())
    rootfs = creel.rootfs(owner=100000 if name == "userns" else 0)
    for place in ("dev", "mnt", "proc", "sys"):
        (pathlib.Path(rootfs) / place).mkdir(exist_ok=True)
    shutil.copy(pathlib.Path(rootfs) / "bin" / "probe", pathlib.Path(rootfs) / "probe")
    bundle = creel.bundle(spec=spec, rootfs=rootfs)
    (bundle.path / "data").mkdir(exist_ok=True)
    assert expected in creel.run_bundle(bundle).out

"""config-linux.md, "IntelRdt".  No virtual machine has resctrl; what creel does to a resctrl tree is
proven on a false one by tests/unit/test_rdt.c, and here what a host without it has to do."""

import pathlib

import pytest

from .words import changed, refused


def mounted():
    """Whether this host has resctrl."""
    return " resctrl " in pathlib.Path("/proc/self/mounts").read_text()


@pytest.mark.parametrize("rdt", [
    {}, {"closID": "group"}, {"schemata": ["MB:0=50"]}, {"enableMonitoring": True},
    {"l3CacheSchema": "L3:0=f"}, {"memBwSchema": "MB:0=50"}])
def test_not_mounted(creel, rdt):
    """config-linux.md IntelRdt: /linux/intelRdt,/linux/intelRdt/closID,/linux/intelRdt/schemata,/linux/intelRdt/enableMonitoring,/linux/intelRdt/l3CacheSchema,/linux/intelRdt/memBwSchema: MUST:
    without a mounted resctrl the object is an error."""
    if mounted():
        pytest.skip("this host has resctrl")
    result = refused(creel, changed(creel, lambda spec: spec["linux"].update(intelRdt=rdt)),
                     "/linux/intelRdt")
    assert "resctrl" in result.error["msg"]


@pytest.mark.parametrize("rdt, member", [
    ({"closID": ".."}, "closID"), ({"closID": "a/b"}, "closID"), ({"closID": ""}, "closID"),
    ({"memBwSchema": "L3:0=f"}, "memBwSchema"), ({"l3CacheSchema": "L3:0=f\nMB:0=1"},
                                                 "l3CacheSchema"),
    ({"schemata": ["MB:0=1\nL3:0=f"]}, "schemata/0")])
def test_malformed(creel, rdt, member):
    """config-linux.md IntelRdt: /linux/intelRdt/closID,/linux/intelRdt/schemata,/linux/intelRdt/memBwSchema: MUST:
    a name that leads elsewhere and lines that are no schema are errors."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(intelRdt=rdt)),
            f"/linux/intelRdt/{member}")


def test_legacy(creel):
    """config-linux.md IntelRdt: /linux/intelRdt: MUST: without the object resctrl is not touched."""
    assert creel.run_bundle(creel.bundle("/bin/probe", "true")).code == 0

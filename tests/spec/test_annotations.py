"""config.md, "Annotations", and those that creel honours."""

import pytest

import harness

from .words import changed, refused


def test_in_state(creel):
    """config.md Annotations: /annotations: MUST: they appear in the state as they were written, with
    empty values and odd keys."""
    annotations = {"org.example.a": "1", "empty": "", "with space": "ü\n\"", "a/b~c": "x"}
    bundle = changed(creel, lambda spec: spec.update(annotations=annotations), "/bin/probe", "sleep")
    with creel.running(bundle) as name:
        assert creel.state(name)["annotations"] == annotations


def test_reserved(creel):
    """config.md Annotations: /annotations: MUST: reserved and unknown keys are no error."""
    bundle = changed(creel, lambda spec: spec.update(annotations={
        "org.opencontainers.image.os": "linux", "org.opencontainers.image.stopSignal": "TERM",
        "org.opencontainers.image.architecture": "x", "org.opencontainers.image.created": "never",
        "org.opencontainers.runc.version": "99", "com.example.unknown": "x"}))
    result = creel.run_bundle(bundle)
    assert result.code == 0 and result.err == ""


@pytest.mark.parametrize("annotations", [{"": "x"}, {"a": 5}, {"a": ["x"]}, ["a"]])
def test_malformed(creel, annotations):
    """config.md Annotations: /annotations: MUST: keys are strings that are not empty, values are
    strings."""
    result = creel.fails("", "create", "--bundle", changed(creel, lambda spec: spec.update(
        annotations=annotations)).path, creel.id())
    assert result.error["pointer"].startswith("/annotations")


def test_keep_original_groups(creel):
    """config.md Annotations: annotations/run.oci.keep_original_groups: creel: the caller's groups stay
    when it is 1."""
    creel.prefix = [harness.require_program("setpriv"), "--groups", "4242"]
    report = creel.probe("groups", change=lambda spec: spec.update(
        annotations={"run.oci.keep_original_groups": "1"}))
    assert 4242 in report["groups"]


def test_mount_context_type(creel):
    """config.md Annotations: annotations/run.oci.mount_context_type: creel: one of four words."""
    refused(creel, changed(creel, lambda spec: spec.update(
        annotations={"run.oci.mount_context_type": "wrong"})),
        "/annotations/run.oci.mount_context_type")

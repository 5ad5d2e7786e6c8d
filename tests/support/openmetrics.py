"""A strict reader of the OpenMetrics text format 1.0: whatever its grammar does not allow is an error.

It covers what `creel stats` writes: counters, gauges and info, without timestamps and exemplars.
"""

import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? (\S+)")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
SUFFIXES = {"counter": {"_total", "_created"}, "gauge": {""}, "info": {"_info"}, "unknown": {""}}


class Family:
    """One metric family: its metadata, and {labels: value}."""

    def __init__(self, name):
        self.name, self.type, self.unit, self.help = name, None, None, None
        self.samples = {}


def number(text):
    """The value of a sample."""
    if text in ("+Inf", "-Inf", "NaN"):
        return float(text)
    assert NUMBER.fullmatch(text), f"{text!r} is no number"
    return float(text)


def metadata(line, families, current):
    """Reads a line with # TYPE, # UNIT or # HELP; returns the family it belongs to."""
    match = re.fullmatch(rf"# (TYPE|UNIT|HELP) ({NAME}) (.*)", line)
    assert match, f"{line!r} is no metadata"
    kind, name, text = match.groups()
    if current is None or current.name != name:
        assert name not in families, f"{name} is interleaved with others"
        current = families[name] = Family(name)
    assert not current.samples, f"{line!r} stands behind samples of its family"
    assert getattr(current, kind.lower()) is None, f"{line!r} is there twice"
    if kind == "TYPE":
        assert text in SUFFIXES, f"{text!r} is no type"
    if kind == "UNIT":
        assert text and name.endswith("_" + text), f"{name} does not end with its unit {text}"
    if kind == "HELP":
        assert not re.search(r'\\(?![n\\"])', text), f"{text!r} has a wrong escape"
    setattr(current, kind.lower(), text)
    return current


def sample(line, current):
    """Reads a sample into CURRENT, the family that it must belong to."""
    match = SAMPLE.fullmatch(line)
    assert match, f"{line!r} is no sample"
    name, labels, value = match.groups()
    names = re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="', labels or "")
    assert len(names) == len(set(names)), f"{line!r} has a label twice"
    assert current, f"{line!r} has no family"
    suffix = name.removeprefix(current.name)
    assert name.startswith(current.name) and suffix in SUFFIXES[current.type or "unknown"], \
        f"{line!r} does not belong to the {current.type} {current.name}"
    value = number(value)
    if current.type == "counter":
        assert 0 <= value < math.inf, f"{line!r}: a counter is a number from 0"
    if current.type == "info":
        assert value == 1, f"{line!r}: an info is 1"
    key = labels or ""
    assert key not in current.samples, f"{line!r} is there twice"
    current.samples[key] = value


def parse(text):
    """{name: Family} of a whole exposition."""
    assert text.endswith("# EOF\n"), "it does not end with # EOF"
    assert "\r" not in text and "\t" not in text
    families, current, names = {}, None, {}
    for line in text.removesuffix("# EOF\n").splitlines():
        assert line and line != "# EOF", "an empty line, or an early end"
        if line.startswith("#"):
            current = metadata(line, families, current)
        else:
            sample(line, current)
    for family in families.values():
        assert family.type, f"{family.name} has no type"
        for suffix in SUFFIXES[family.type]:
            assert names.setdefault(family.name + suffix, family.name) == family.name, \
                f"{family.name}{suffix} belongs to two families"
    return families

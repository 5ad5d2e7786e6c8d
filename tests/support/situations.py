"""What every test about a message asserts: the code, the member, its line, and the essential words."""

import json


def member_line(bundle, pointer):
    """The line of the member POINTER in what bundles.make_bundle() wrote: one value a line.  That of what it would
    belong to when it is not there."""
    text = (bundle.path / "config.json").read_text()
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    while parts:
        document = json.loads(text)
        at = document
        try:
            for part in parts[:-1]:
                at = at[int(part) if isinstance(at, list) else part]
            last = int(parts[-1]) if isinstance(at, list) else parts[-1]
            at[last]
        except (KeyError, IndexError):
            parts.pop()
            continue
        # The first line of the value: that of an object is the one with its bracket.
        at[last] = "\u2603 mark"
        for number, line in enumerate(json.dumps(document, indent="\t", ensure_ascii=False)
                                      .splitlines(), 1):
            if "\u2603 mark" in line:
                return number
    return 1


# What engines take for an answer: podman for "not found" and "permission denied" (exit codes 127 and 126), containerd and CRI-O for
# "no such container".
ENGINES = ("no such file or directory", "executable file not found", "permission denied",
           "operation not permitted", "no such process", "container not running", "does not exist",
           "is a directory")


def told(result, code, *words, pointer=None, bundle=None, engines=()):
    """RESULT is a failure with one error that says CODE and WORDS, names POINTER and its line in BUNDLE, and has none of the phrases
    that engines react to but those of ENGINES."""
    assert result.code != 0, str(result)
    record = result.error
    assert record["code"] == f"CRL-{code}", record
    message = record["msg"]
    assert message.endswith(f"[CRL-{code}]"), message
    for word in words:
        assert word in message, f"{word!r} is not in {message!r}"
    for phrase in ENGINES:
        assert (phrase in message.lower()) == (phrase in engines), f"{phrase!r}: {message!r}"
    assert record.get("pointer") == pointer, record
    if pointer is not None:
        line = member_line(bundle, pointer)
        assert (record["file"], record["line"]) == ("config.json", line), record
        assert f"(config.json:{line} {pointer})" in message, message
        assert f"config.json:{line}:" in result.err, result.err
    assert f"[CRL-{code}]" in result.err.splitlines()[0], result.err
    return record

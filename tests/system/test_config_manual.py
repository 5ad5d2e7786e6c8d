"""creel-config(5) against the program: each document of tests/plan that is refused, is refused with a
code that the page names for the member it points to."""

import json
import re

import pytest
from harness import TOP

PAGE = TOP / "man/creel-config.5"
# Said once for all members, or for the whole document.
GENERAL = {"CRL-2001", "CRL-2002", "CRL-2003", "CRL-2004", "CRL-2005", "CRL-2006"}


def entries():
    """{pattern of pointers: text} of the page, annotations included."""
    found = {}
    for item in re.split(r"^\.It Li ", PAGE.read_text(), flags=re.M)[1:]:
        head, _, text = item.partition("\n")
        text = re.split(r"^\.(?:El|Sh)\b", text, flags=re.M)[0]
        for name in re.split(r" , ", head.split(" Pq ")[0]):
            if not name.startswith("/"):
                name = "/annotations/" + name.replace(" Ns Ar Name", "*")
            found.setdefault(name, text)
    return found


def parts(pointer):
    """Its parts; those of annotations have dots, and one is a prefix."""
    return re.sub(r"^(/annotations/org\.systemd\.property\.).*", r"\1*", pointer).split("/")


def described(pointer, page):
    """The texts about a pointer and about all that it is in."""
    wanted = parts(pointer)
    for pattern, text in page.items():
        ours = pattern.split("/")
        if len(ours) <= len(wanted) and all(a in ("*", b) for a, b in zip(ours, wanted)):
            yield text


def codes(text):
    """All codes of a text, ranges included."""
    for first, last in re.findall(r"CRL-(\d+)(?:\s+to\s+CRL-(\d+))?", text):
        for number in range(int(first), int(last or first) + 1):
            yield f"CRL-{number}"


@pytest.fixture(scope="module")
def page():
    return entries()


def refused(creel):
    """(name, error record) of each document that is refused on any host."""
    for path in sorted((TOP / "tests/plan").glob("*.error")):
        source = path.with_suffix(".json")
        try:
            # What is refused on a host of another kind may be fine here.
            setup = json.loads(source.read_bytes()).get("test")
        except (ValueError, AttributeError):
            setup = None
        if setup:
            continue
        bundle = creel.directory / path.stem
        bundle.mkdir()
        (bundle / "config.json").write_bytes(source.read_bytes())
        result = creel.run("plan", "--bundle", bundle, "--id", "web", log=True)
        if result.code != 0:
            yield path.stem, result.log[-1]


def test_codes_of_what_is_refused(creel, page):
    count, wrong = 0, []
    for name, error in refused(creel):
        code = error["code"]
        if code in GENERAL or "pointer" not in error:
            continue
        count += 1
        named = {item for text in described(error["pointer"], page) for item in codes(text)}
        if code not in named:
            wrong.append(f"{name}: {error['pointer']}: {code}: {error['msg']}; the page has {named}")
    assert not wrong, "\n".join(wrong)
    assert count > 40


def test_the_least_document_of_the_page_runs(creel, page):
    text = PAGE.read_text().split(".Sh EXAMPLES")[1]
    spec = json.loads(text.split(".Bd -literal -offset indent\n")[1].split(".Ed")[0])
    bundle = creel.bundle("/bin/true")
    bundle.spec.clear()
    bundle.spec.update(spec)
    bundle.spec["root"]["path"] = str(bundle.rootfs)
    bundle.spec["process"]["args"] = ["/bin/probe", "true"]
    bundle.write()
    creel.ok("run", "--bundle", bundle.path, creel.id())

#!/usr/bin/python3
"""Compares the runtime-spec's JSON schemas with the tables in src/oci.

Every member of the schemas has a row, and every row is a member of the schemas; the same goes for
the names of enums.  The schemas are not part of the project: they are read from ../shared/schema
beside the checkout, or from the directory that is given, and without them the test is skipped.
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77

# The document, its place in the schema files, and the table that reads it.
DOCUMENTS = [
    ("config", "config-schema.json", "oci_config_schema"),
    ("state", "state-schema.json", "oci_state_schema"),
    ("hook state", "state-schema.json", "oci_hook_state_schema"),
    ("features", "features-schema.json", "oci_features_schema"),
]

# Rows and names that the schemas do not have, and why there are some.
MORE = {
    "state /rootfs": "read by BuildKit",
    "state /created": "read by containerd and CRI-O",
    "state /owner": "printed by `list`",
    "state /status = paused": "runtime.md lets a runtime add states",
    "hook state /status = paused": "the same table",
    "hook state /root": "hooks know it from crun",
    "config /linux/rootfsPropagation = rprivate": "config-linux.md lists the r-variants",
    "config /linux/rootfsPropagation = rshared": "config-linux.md lists the r-variants",
    "config /linux/rootfsPropagation = rslave": "what Docker writes",
    "config /linux/rootfsPropagation = runbindable": "config-linux.md lists the r-variants",
    "features /linux/intelRdt/schemata": "features-linux.md has it, the schema forgot it",
    "features /linux/intelRdt/monitoring": "features-linux.md has it, the schema forgot it",
    "features /linux/memoryPolicy": "features-linux.md has it, the schema forgot it",
}

# Lists of names that a check reads, not a row, because they are kept as text.
NAMES = {"/linux/seccomp/architectures": "oci_seccomp_architecture_names"}

# Sections of other platforms are kept as they are.
OPAQUE = {"/vm", "/windows", "/solaris", "/zos", "/freebsd"}

# Any key: the members of a map of objects.
ANY_KEY = "*"

# Rows whose last argument is the schema of what they hold, and the one before it the struct.
NESTED = ("F_OBJECT", "F_LIST", "F_OBJECT_MAP")


class Schemas:
    """The schema files, with $ref resolved on the way."""

    def __init__(self, directory):
        self.directory = directory
        self.files = {}

    def load(self, name):
        if name not in self.files:
            path = self.directory / name
            self.files[name] = json.loads(path.read_text()) if path.exists() else None
        return self.files[name]

    def resolve(self, name, node):
        """Follows $ref; None when it leads to a file that is not there (other platforms)."""
        while "$ref" in node:
            file, _, pointer = node["$ref"].partition("#")
            name = file or name
            node = self.load(name)
            for key in pointer.strip("/").split("/"):
                if node is None:
                    return name, None
                node = node[key]
        return name, node

    def members(self, name, node):
        """The properties of an object, those of allOf included, as {key: (file, node)}."""
        found = {}
        for key, value in node.get("properties", {}).items():
            found[key] = (name, value)
        for part in node.get("allOf", []):
            file, value = self.resolve(name, part)
            found.update(self.members(file, value))
        if isinstance(node.get("additionalProperties"), dict):
            found[ANY_KEY] = (name, node["additionalProperties"])
        return found

    def walk(self, name, node, at, members, enums):
        """Collects the pointers of all members below NODE, and the values of all enums."""
        name, node = self.resolve(name, node)
        if node is None:
            return
        while node.get("type") == "array":
            items = node["items"]
            name, node = self.resolve(name, items.get("anyOf", [items])[0])
        if "enum" in node:
            enums[at] = set(node["enum"])
        for key, (file, value) in self.members(name, node).items():
            members.add(f"{at}/{key}")
            if f"{at}/{key}" not in OPAQUE:
                self.walk(file, value, f"{at}/{key}", members, enums)


class Tables:
    """The tables of src/oci, read as text."""

    def __init__(self, directory):
        text = "".join(path.read_text() for path in sorted(directory.glob("*.c")))
        found = re.findall(r"struct schema (\w+)\s*=\s*SCHEMA\(\s*([^,]+),\s*(\w+),", text)
        self.schemas = {name: fields for name, _, fields in found}
        self.types = {name: type_ for name, type_, _ in found}
        self.rows = {}
        for name, body in re.findall(
                r"struct field (\w+)\[\] = \{(.*?)\n\};", text, re.DOTALL):
            rows = re.findall(r"\b(F_[A-Z_]+)\((.*?)\),?\s*(?=F_|$)", body, re.DOTALL)
            if len(rows) != len(re.findall(r"\bF_[A-Z_]+\(", body)):
                sys.exit(f"cannot read the table {name}")
            self.rows[name] = [(kind, [a.strip() for a in split(arguments)])
                               for kind, arguments in rows]
        self.names = {
            name: set(re.findall(r'\{\s*"([^"]+)"', body))
            for name, body in re.findall(
                r"struct name_value (\w+)\[\] = \{(.*?)\n\};", text, re.DOTALL)}

    def wrong_types(self):
        """Rows for another struct than their schema's; the compiler cannot see those."""
        for schema, fields in self.schemas.items():
            for kind, arguments in self.rows[fields]:
                if arguments[0] != self.types[schema]:
                    yield f"{schema}: the row {arguments[2]} is for a {arguments[0]}"
                if kind in NESTED and self.types[arguments[-1].lstrip("&")] != arguments[4]:
                    yield f"{schema}: the row {arguments[2]} has the schema of another struct"

    def walk(self, schema, at, members, enums):
        for kind, arguments in self.rows[self.schemas[schema]]:
            where = f"{at}/{json.loads(arguments[2])}"
            members.add(where)
            if kind in ("F_ENUM", "F_ENUMS"):
                enums[where] = self.names[arguments[-1]]
            elif where in NAMES:
                enums[where] = self.names[NAMES[where]]
            if kind == "F_OBJECT_MAP":
                where += f"/{ANY_KEY}"
                members.add(where)
            if kind in NESTED:
                self.walk(arguments[-1].lstrip("&"), where, members, enums)


def split(arguments):
    """Splits at the commas that are not inside brackets or quotes."""
    return re.findall(r'(?:"[^"]*"|\[[^]]*\]|\([^)]*\)|[^,"([])+', arguments)


def has_parent_in(pointer, pointers):
    return any(pointer.startswith(parent + "/") for parent in pointers)


def compare(document, spec, ours):
    """Returns the lines that describe differences, without those below a member that differs."""
    spec_members, spec_enums = spec
    our_members, our_enums = ours
    lines = []
    missing = spec_members - our_members
    extra = our_members - spec_members
    for pointer in sorted(missing):
        if not has_parent_in(pointer, missing):
            lines.append((f"{document} {pointer}", "is a member of the spec without a row"))
    for pointer in sorted(extra):
        if not has_parent_in(pointer, extra):
            lines.append((f"{document} {pointer}", "is a row for no member of the spec"))
    for pointer in sorted(our_enums.keys() & spec_enums.keys()):
        for name in sorted(spec_enums[pointer] - our_enums[pointer]):
            lines.append((f"{document} {pointer} = {name}", "is a name that the table lacks"))
        for name in sorted(our_enums[pointer] - spec_enums[pointer]):
            lines.append((f"{document} {pointer} = {name}", "is a name that the spec lacks"))
    return lines


def main():
    tables = Tables(ROOT / "src/oci")
    wrong = list(tables.wrong_types())
    if wrong:
        print("\n".join(wrong))
        return 1

    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/schema"
    if not (directory / "config-schema.json").exists():
        print("skipped: ../shared/schema is absent")
        return SKIPPED

    schemas = Schemas(directory)
    differences = []
    count = 0
    for document, file, schema in DOCUMENTS:
        spec = (set(), {})
        schemas.walk(file, schemas.load(file), "", *spec)
        ours = (set(), {})
        tables.walk(schema, "", *ours)
        # The keys of a map of objects are fixed where the spec lists them (timeOffsets).
        for pointer in [p for p in ours[0] if p.endswith("/" + ANY_KEY)]:
            parent = pointer.removesuffix(ANY_KEY)
            keys = {p for p in spec[0] if p.startswith(parent)} - {pointer}
            listed = {p.removeprefix(parent).split("/")[0] for p in keys} - {ANY_KEY}
            for key in listed:
                for member in [p for p in spec[0] if (p + "/").startswith(f"{parent}{key}/")]:
                    spec[0].discard(member)
                    spec[0].add(member.replace(f"{parent}{key}", pointer, 1))
        differences += compare(document, spec, ours)
        count += len(spec[0])

    known = {what for what, _ in differences} & MORE.keys()
    for what, problem in differences:
        if what not in known:
            print(f"{what}: {problem}")
    for what in sorted(MORE.keys() - known):
        print(f"{what}: is listed in {pathlib.Path(__file__).name}, but is no difference")
    failed = len(differences) > len(known) or len(MORE) > len(known)
    print(f"{count} members compared, {len(known)} known differences")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

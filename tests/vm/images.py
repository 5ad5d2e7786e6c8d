"""The images of CRIU, as far as an attacker needs to know them: records of Protocol Buffers behind one or two magic
numbers."""

import struct

INVENTORY = 0x58313116


def _take(data, at):
    """A varint, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _varint(value):
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


class Message(list):
    """[field, value] in their order; a value is a number or bytes."""

    @classmethod
    def parse(cls, data):
        """From its bytes."""
        found, at = cls(), 0
        while at < len(data):
            key, at = _take(data, at)
            if key & 7 == 0:
                value, at = _take(data, at)
            elif key & 7 == 2:
                size, at = _take(data, at)
                value, at = data[at:at + size], at + size
            else:
                size = 8 if key & 7 == 1 else 4
                value, at = ("fixed", data[at:at + size]), at + size
            found.append([key >> 3, value])
        return found

    def bytes(self):
        """As it was."""
        out = b""
        for field, value in self:
            if isinstance(value, tuple):
                out += _varint(field << 3 | (1 if len(value[1]) == 8 else 5)) + value[1]
            elif isinstance(value, bytes):
                out += _varint(field << 3 | 2) + _varint(len(value)) + value
            else:
                out += _varint(field << 3) + _varint(value)
        return out

    def get(self, field):
        """The first value of FIELD, or None."""
        return next((value for number, value in self if number == field), None)

    def set(self, field, *values):
        """Replaces all of FIELD."""
        self[:] = [item for item in self if item[0] != field] + [[field, value] for value in values]
        return self

    def edit(self, field, change):
        """Changes the message in FIELD."""
        inner = Message.parse(self.get(field))
        change(inner)
        return self.set(field, inner.bytes())


class Image:
    """A file of records."""

    def __init__(self, path):
        self.path, data = path, path.read_bytes()
        at = 4 if struct.unpack("<I", data[:4])[0] == INVENTORY else 8
        self.head, self.records = data[:at], []
        while at < len(data):
            size, = struct.unpack("<I", data[at:at + 4])
            self.records.append(Message.parse(data[at + 4:at + 4 + size]))
            at += 4 + size

    def write(self):
        """Writes it back."""
        out = self.head
        for record in self.records:
            data = record.bytes()
            out += struct.pack("<I", len(data)) + data
        self.path.write_bytes(out)


def edit(path, change):
    """Changes the records of the image at PATH, a list of Message."""
    image = Image(path)
    change(image.records)
    image.write()

"""A reader of the few DER types of a public key, independent of the libraries that write it."""

from __future__ import annotations

_INTEGER, _BIT_STRING, _NULL, _OID, _SEQUENCE = 0x02, 0x03, 0x05, 0x06, 0x30


def read_der(data: bytes) -> object:
    """The one value that the bytes are: SEQUENCE as a list, INTEGER, BIT STRING as bytes, OID as text, NULL as None.

    Fails, as Go's encoding/asn1 does, on lengths that are not minimal, on unused bits and on anything after the value.
    """
    value, rest = _read(data)
    assert not rest, "something stands after the value"
    return value


def _read(data: bytes) -> tuple[object, bytes]:
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(data[2 : 2 + size], "big"), 2 + size
        assert length >= (0x80 if size == 1 else 1 << 8 * (size - 1)), "the length is not in its shortest form"
    content, rest = data[start : start + length], data[start + length :]
    assert len(content) == length, "the value is cut"
    if tag == _SEQUENCE:
        members = []
        while content:
            member, content = _read(content)
            members.append(member)
        return members, rest
    if tag == _INTEGER:
        number = int.from_bytes(content, "big", signed=True)
        assert len(content) == number.bit_length() // 8 + 1, "the integer is not in its shortest form"
        return number, rest
    if tag == _BIT_STRING:
        assert content[0] == 0, "bits are unused"
        return content[1:], rest
    if tag == _OID:
        return _object_identifier(content), rest
    assert tag == _NULL, f"tag {tag:#x} has no place in a public key"
    assert not content, "NULL has a content"
    return None, rest


def _object_identifier(content: bytes) -> str:
    numbers, number = [], 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))

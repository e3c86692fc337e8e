"""A small FIT file: a run, as a Garmin watch records one. Little-endian, protocol 2.0."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_EPOCH = datetime(1989, 12, 31, tzinfo=UTC)
_ENUM, _UINT8, _UINT16, _UINT32, _UINT32Z = 0x00, 0x02, 0x84, 0x86, 0x8C
_FORMATS = {_ENUM: "B", _UINT8: "B", _UINT16: "H", _UINT32: "I", _UINT32Z: "I"}
_CRC_TABLE = (
    *(0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401),
    *(0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400),
)


@dataclass(frozen=True)
class _Message:
    """A kind of message: its global number, and its fields' numbers and base types."""

    number: int
    fields: Sequence[tuple[int, int]]

    def definition(self, local: int) -> bytes:
        head = struct.pack("<BBBHB", 0x40 | local, 0, 0, self.number, len(self.fields))
        sizes = {kind: struct.calcsize(code) for kind, code in _FORMATS.items()}
        return head + b"".join(bytes((field, sizes[kind], kind)) for field, kind in self.fields)

    def data(self, local: int, *values: int) -> bytes:
        codes = "".join(_FORMATS[kind] for _, kind in self.fields)
        return struct.pack(f"<B{codes}", local, *values)


# type, manufacturer, product, serial number, time created
_FILE_ID = _Message(0, [(0, _ENUM), (1, _UINT16), (2, _UINT16), (3, _UINT32Z), (4, _UINT32)])
# timestamp, distance (cm), heart rate
_RECORD = _Message(20, [(253, _UINT32), (5, _UINT32), (3, _UINT8)])
# timestamp, start, elapsed and timer time (ms), distance (cm), sport, event, event type
_SESSION = _Message(
    18,
    [
        *((253, _UINT32), (2, _UINT32), (7, _UINT32), (8, _UINT32), (9, _UINT32)),
        *((5, _ENUM), (0, _ENUM), (1, _ENUM)),
    ],
)
# timestamp, timer time (ms), sessions, type, event, event type
_ACTIVITY = _Message(
    34, [(253, _UINT32), (0, _UINT32), (1, _UINT16), (2, _ENUM), (3, _ENUM), (4, _ENUM)]
)
_RUNNING, _GARMIN, _ACTIVITY_FILE, _SESSION_EVENT, _ACTIVITY_EVENT, _STOP = 1, 1, 4, 8, 26, 1


def run(begins: datetime, seconds: int, meters: float) -> bytes:
    """Return a FIT file with one record a minute."""
    start = int((begins - _EPOCH).total_seconds())
    end, milliseconds = start + seconds, seconds * 1000
    minutes = [*range(0, seconds, 60), seconds]
    body = b"".join(
        (
            _FILE_ID.definition(0),
            _FILE_ID.data(0, _ACTIVITY_FILE, _GARMIN, 3113, 3_990_000_000, start),
            _RECORD.definition(1),
            *(_RECORD.data(1, start + at, _part(meters, at, seconds), 130) for at in minutes),
            _SESSION.definition(2),
            _SESSION.data(
                *(2, end, start, milliseconds, milliseconds, round(meters * 100)),
                *(_RUNNING, _SESSION_EVENT, _STOP),
            ),
            _ACTIVITY.definition(3),
            _ACTIVITY.data(3, end, milliseconds, 1, 0, _ACTIVITY_EVENT, _STOP),
        )
    )
    head = struct.pack("<BBHI4s", 14, 0x20, 2132, len(body), b".FIT")
    head += struct.pack("<H", crc(head))
    return head + body + struct.pack("<H", crc(head + body))


def crc(data: bytes) -> int:
    """The checksum of a FIT file, which is 0 over a file that ends with its own."""
    value = 0
    for byte in data:
        for nibble in (byte & 0xF, byte >> 4):
            value = (value >> 4) ^ _CRC_TABLE[value & 0xF] ^ _CRC_TABLE[nibble]
    return value


def _part(meters: float, at: int, seconds: int) -> int:
    return round(meters * 100 * at / seconds)

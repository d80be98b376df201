"""AEDAT files of DVS128 cameras: version 2.0, as jAER writes them, 3.1, as cAER does, and 4, through tonic.

tonic 1.7 reads versions 2.0 and 3.1, too, but its `read_dvs_128` and `read_dvs_ibm` fail on every file (they unpack two
of three values), and neither looks at lengths, addresses or order.
"""

import re
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onchip.data.readers.events import Events, checked
from onchip.data.readers.files import read_bytes, require_file
from onchip.errors import DataError

SENSOR = (128, 128)
FIRST_LINE = re.compile(rb"#!AER-DAT(\d)\.\d\r?\n")
COMMENT = re.compile(rb"#[^\n]*\n")
PACKET = struct.Struct("<hhiiiiii")
"""Header of a packet of version 3.1: type, source, size of an event, offset of its time, overflows of time, capacity,
number of events, number of valid ones (iniVation, AEDAT 3.1)."""
POLARITY = 1
"""Type of the packets that hold changes of brightness."""


def read_jaer(path: Path) -> Events:
    """The events of a file of version 2.0 from a DVS128, such as those of CIFAR10-DVS.

    An event is an address and a time in µs, 32 bits each, the highest byte first. Of the address, bit 0 is the sign
    (0 is brighter), bits 1 to 7 and 8 to 14 are the two coordinates, each counted from the far end of its axis. The
    camera lay on its side: the second is the column here, the first the row. Special events (bit 15) are left out.

    Raises:
        DataError: The file is missing, of another version, or damaged.
    """
    body = _body(path, version=2)
    if len(body) % 8:
        raise DataError(f"{path} has {len(body)} bytes of events; expected 8 for each. It is cut short: fetch it again")
    address, time = np.frombuffer(body, dtype=">u4").reshape(-1, 2).astype(np.int64).T
    if (high := address >> 16).any():
        at = int((high != 0).argmax())
        raise DataError(f"{path} has the address {address[at]}, number {at}; expected 16 bits. Fetch it again")
    here = address >> 15 == 0
    address, time = address[here], time[here]
    return checked(path, SENSOR, 127 - (address >> 8 & 127), 127 - (address >> 1 & 127), 1 - (address & 1), time)


def read_caer(path: Path) -> Events:
    """The events of a file of version 3.1 from a DVS128, such as those of DVS128 Gesture.

    In a packet of polarity events, an event is 32 bits of data and 32 bits of time in µs, the lowest byte first. Of the
    data, bit 0 says that it is valid, bit 1 is the sign, bits 2 to 16 are the row, bits 17 to 31 the column.

    Raises:
        DataError: The file is missing, of another version, or damaged.
    """
    body, at = _body(path, version=3), 0
    packets = []
    while at < len(body):
        packet, at = _packet(path, body, at)
        if packet is not None:
            packets.append(packet)
    data, time = np.concatenate(packets).T if packets else np.empty((2, 0), dtype=np.int64)
    return checked(path, SENSOR, data >> 17, data >> 2 & 0x7FFF, data >> 1 & 1, time)


def read_aedat4(path: Path) -> Events:
    """The events of a file of version 4, with tonic's reader.

    Raises:
        DataError: tonic or its decoder is missing, or the file is missing or damaged.
    """
    require_file(path)
    try:
        from tonic.io import read_aedat4 as read
    except ImportError as error:
        raise DataError(f"{path} takes tonic to read; run `pip install onchip[events]`") from error
    try:
        found = read(str(path))
        columns = [np.asarray(found[found.dtype.names[place]]).astype(np.int64) for place in range(4)]
    except ImportError as error:
        raise DataError(f"{path} takes the package aedat to read; run `pip install aedat`") from error
    except Exception as error:  # the decoder's own types
        raise DataError(f"{path} is no AEDAT file of version 4: {error}. Fetch it again") from error
    time, x, y, sign = columns
    return checked(path, SENSOR, x, y, sign, time)


def _body(path: Path, *, version: int) -> memoryview:
    """What follows the lines of text at the beginning of a file."""
    content = read_bytes(path)
    first = FIRST_LINE.match(content)
    if first is None or int(first[1]) != version:
        raise DataError(
            f"{path} starts with {content[:16]!r}; expected b'#!AER-DAT{version}', an AEDAT file of version "
            f"{version}. Fetch it again"
        )
    at = first.end()
    while (line := COMMENT.match(content, at)) is not None:
        at = line.end()
        if line[0].startswith(b"#!END-HEADER"):
            break
    return memoryview(content)[at:]


def _packet(path: Path, body: memoryview, at: int) -> tuple[NDArray[np.int64] | None, int]:
    """The valid polarity events, (n, 2) data and time, of the packet at a place, and the place of the next."""
    if len(body) - at < PACKET.size:
        raise DataError(f"{path} ends inside the header of a packet: it is cut short. Fetch it again")
    kind, _, size, offset, overflows, capacity, number, _ = PACKET.unpack_from(body, at)
    if size < 1 or not 0 <= number <= capacity or overflows < 0:
        raise DataError(
            f"{path} has a packet of {number} events of {size} bytes, with room for {capacity}; expected sizes that "
            "fit each other. Fetch it again"
        )
    start, stop = at + PACKET.size, at + PACKET.size + size * number
    if stop > len(body):
        raise DataError(
            f"{path} ends inside a packet of {number} events, after {len(body) - start} of its {size * number} bytes: "
            "it is cut short. Fetch it again"
        )
    if kind != POLARITY:
        return None, stop
    if (size, offset) != (8, 4):
        raise DataError(f"{path} has polarity events of {size} bytes; expected 8, 4 of them the time. Fetch it again")
    found = np.frombuffer(body[start:stop], dtype="<u4").reshape(-1, 2).astype(np.int64)
    found[:, 1] += overflows << 31
    return found[found[:, 0] & 1 == 1], stop

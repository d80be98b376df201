"""Events as their files state them; what cannot have been recorded is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from onchip.data.readers.aedat import read_caer, read_jaer
from onchip.data.readers.events import Events, read_bin
from onchip.errors import DataError
from tests.data.event_files import Event, bin_file, caer_file, caer_packet, jaer_file, some

SIZES = {"bin": 34, "jaer": 128, "caer": 128}
READ: dict[str, Callable[[Path], Events]] = {
    "bin": lambda path: read_bin(path, (34, 34)),
    "jaer": read_jaer,
    "caer": read_caer,
}
WRITE: dict[str, Callable[[list[Event]], bytes]] = {
    "bin": bin_file,
    "jaer": jaer_file,
    "caer": lambda events: caer_file(caer_packet(events[:7]), caer_packet(events[7:])),
}


def listed(events: Events) -> list[Event]:
    return list(zip(*(each.tolist() for each in (events.x, events.y, events.sign, events.time)), strict=True))


@pytest.fixture(params=READ)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_events_are_what_was_written(kind: str, tmp_path: Path) -> None:
    events = some(40, size=SIZES[kind])
    (tmp_path / "a").write_bytes(WRITE[kind](events))
    assert listed(READ[kind](tmp_path / "a")) == events


def test_events_out_of_order_are_named(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(WRITE[kind]([(1, 2, 0, 50), (1, 2, 0, 50), (1, 2, 1, 49)]))
    with pytest.raises(DataError, match=r"a has events out of order: number 2 at 49 µs follows one at 50 µs"):
        READ[kind](tmp_path / "a")


def test_no_event_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(WRITE[kind]([]))
    with pytest.raises(DataError, match=r"a (has 0 events|is 0 bytes long)"):
        READ[kind](tmp_path / "a")


def test_what_is_cut_short_is_named(kind: str, tmp_path: Path) -> None:
    whole = WRITE[kind](some(40, size=SIZES[kind]))
    for left in (len(whole) - 1, len(whole) - 3, 9, 0):
        (tmp_path / "a").write_bytes(whole[:left])
        with pytest.raises(DataError, match=rf"{tmp_path}/a "):
            READ[kind](tmp_path / "a")


def test_another_format_is_named(kind: str, tmp_path: Path) -> None:
    for other, write in WRITE.items():
        if {kind, other} == {"jaer", "caer"} or (other == "bin" and kind != "bin"):
            (tmp_path / "a").write_bytes(write(some(40, size=34)))
            with pytest.raises(DataError, match=r"a starts with .*; expected b'#!AER-DAT[23]'"):
                READ[kind](tmp_path / "a")


@pytest.mark.parametrize("place", [(34, 0), (0, 34), (255, 255)])
def test_an_event_off_the_sensor_of_n_mnist_is_named(place: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bin_file([(1, 1, 1, 1), (*place, 0, 2)]))
    with pytest.raises(DataError, match=rf"event at \({place[0]}, {place[1]}\), number 1; expected x < 34 and y < 34"):
        read_bin(tmp_path / "a", (34, 34))


@pytest.mark.parametrize("place", [(128, 0), (0, 128), (2**15 - 1, 0)])
def test_an_event_off_the_sensor_of_a_gesture_is_named(place: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(caer_file(caer_packet([(*place, 0, 2)])))
    with pytest.raises(DataError, match=rf"event at \({place[0]}, {place[1]}\), number 0; expected x < 128"):
        read_caer(tmp_path / "a")


def test_an_overflow_of_time_moves_all_that_follows(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(
        bin_file([(1, 1, 1, 8000), (0, 240, 0, 0), (2, 2, 0, 5), (0, 240, 0, 0), (3, 3, 1, 9)])
    )
    assert listed(read_bin(tmp_path / "a", (34, 34))) == [(1, 1, 1, 8000), (2, 2, 0, 8197), (3, 3, 1, 16393)]


def test_special_and_invalid_events_are_left_out(tmp_path: Path) -> None:
    events = some(3)
    special, invalid = caer_packet(events, kind=0), caer_packet(events, valid=0)
    (tmp_path / "a").write_bytes(caer_file(special, caer_packet(events), invalid))
    assert listed(read_caer(tmp_path / "a")) == events
    (tmp_path / "a").write_bytes(jaer_file(events) + b"\0\0\x80\0\0\xff\0\0")
    assert listed(read_jaer(tmp_path / "a")) == events


def test_a_packet_whose_sizes_do_not_fit_is_named(tmp_path: Path) -> None:
    packet = bytearray(caer_packet(some(3)))
    packet[4] = 9
    (tmp_path / "a").write_bytes(caer_file(bytes(packet) + b"\0" * 3))
    with pytest.raises(DataError, match="polarity events of 9 bytes; expected 8"):
        read_caer(tmp_path / "a")
    packet[4:8] = bytes(4)
    (tmp_path / "a").write_bytes(caer_file(bytes(packet)))
    with pytest.raises(DataError, match="a packet of 3 events of 0 bytes"):
        read_caer(tmp_path / "a")


def test_an_address_of_another_camera_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"#!AER-DAT2.0\r\n" + (1 << 22).to_bytes(4, "big") + bytes(4))
    with pytest.raises(DataError, match="the address 4194304, number 0; expected 16 bits"):
        read_jaer(tmp_path / "a")


def test_a_missing_file_is_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{tmp_path}/a cannot be read: No such file"):
        READ[kind](tmp_path / "a")

"""A user's own pictures: one folder per class."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from onchip.data.readers.decoded_cache import DecodedCache
from onchip.data.readers.pictures import decode
from onchip.data.source import DatasetSource, RawSplits
from onchip.data.split import Split
from onchip.data.stratify import hold_out
from onchip.errors import DataError, RequestError

TEST, SEED = 0.2, 0  # test share and its draw where the folder has no test split of its own, as for digits
VERSION = "1"  # of what decoding gives; a change here invalidates every cached decoding


def folder(path: str) -> DatasetSource:
    """Pictures of one size, one folder per class.

    Either PATH/train/CLASS and PATH/test/CLASS (and PATH/validation/CLASS if you like), or PATH/CLASS, of
    which a fifth becomes the test split: the same fifth each time, stratified. Classes are in order of name.
    Hidden files (those that start with a dot) are ignored, as are loose files beside `train` and `test`.
    Decoded pictures are cached under the data root, and decoded again when a file's name, size or time changes.
    """
    if not path:
        raise RequestError("folder: got no path; expected folder:PATH, e.g. folder:~/pictures")
    base = Path(os.path.abspath(os.path.expanduser(path)))
    return DatasetSource(f"folder:{path}", None, files=(), read=lambda root: _read(base, root / "decoded"))


@dataclass(frozen=True)
class _Picture:
    path: Path
    label: int
    stamp: str  # size and time of change


def _read(base: Path, cache_root: Path) -> RawSplits:
    classes, splits = _list(base)
    pictures = [picture for split in splits.values() for picture in split]
    stamps = "".join(f"{picture.path.relative_to(base)}\0{picture.stamp}\0" for picture in pictures)
    cache = DecodedCache(cache_root, base, hashlib.sha256(os.fsencode(VERSION + stamps)).hexdigest())
    if (images := cache.get(len(pictures))) is None:
        cache.put(images := decode([picture.path for picture in pictures]))
    labels = torch.tensor([picture.label for picture in pictures])
    whole = Split(images, labels)
    if list(splits) == [""]:
        train, test = hold_out(labels, TEST, SEED)
        return RawSplits(classes, whole.take(train), whole.take(test))
    sizes = [len(split) for split in splits.values()]
    parts = map(Split, images.split(sizes), labels.split(sizes))
    named = dict(zip(splits, parts, strict=True))
    return RawSplits(classes, named["train"], named["test"], named.get("validation"))


def _list(base: Path) -> tuple[tuple[str, ...], dict[str, list[_Picture]]]:
    """The classes, and the pictures of each split; the split is "" where they are drawn."""
    folders = {entry.name for entry in _visible(base) if entry.is_dir()}
    if not folders & {"train", "test"}:
        classes, pictures = _list_classes(base)
        return classes, {"": pictures}
    if not {"train", "test"} <= folders <= {"train", "validation", "test"}:
        raise DataError(
            f"{base} holds the folders {', '.join(sorted(folders))}; expected train and test, and validation "
            "if you like, with one folder per class in each. Add what is missing; rename or move the others"
        )
    listed = {name: _list_classes(base / name) for name in ("train", "validation", "test") if name in folders}
    classes = listed["train"][0]
    for name, (others, _) in listed.items():
        if odd := sorted(set(others) ^ set(classes)):
            raise DataError(
                f"{base / name} and {base / 'train'} differ in the classes {', '.join(odd)}; expected the "
                "same classes in both. Add the missing folders with pictures, or remove the others"
            )
    return classes, {name: pictures for name, (_, pictures) in listed.items()}


def _list_classes(base: Path) -> tuple[tuple[str, ...], list[_Picture]]:
    pictures: list[_Picture] = []
    classes = sorted(_visible(base), key=lambda entry: entry.name)
    for label, entry in enumerate(classes):
        if not entry.is_dir():
            raise DataError(f"{entry.path} lies outside any class; expected only folders here, one per class. Move it")
        files = sorted(_visible(Path(entry.path)), key=lambda file: file.name)
        if not files:
            raise DataError(f"{entry.path} holds no picture; expected at least one. Fill or remove the folder")
        for file in files:
            if not file.is_file():
                raise DataError(f"{file.path} is no file; expected only pictures in a class folder. Move it elsewhere")
            stat = file.stat()
            pictures.append(_Picture(Path(file.path), label, f"{stat.st_size}\0{stat.st_mtime_ns}"))
    if len(classes) < 2:
        raise DataError(
            f"{base} holds {len(classes)} class folders; expected at least 2. Give the folder that holds one "
            "folder per class, or train and test"
        )
    return tuple(entry.name for entry in classes), pictures


def _visible(base: Path) -> Iterator[os.DirEntry[str]]:
    """Entries of a folder that are not hidden."""
    try:
        with os.scandir(base) as entries:
            yield from (entry for entry in entries if not entry.name.startswith("."))
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{base} cannot be read: {reason}. Give a folder that exists and that you may read") from error

"""A user's own pictures: one folder per class."""

import hashlib
import os
import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from onchip._types import checked
from onchip.data.on_disk import OnDisk
from onchip.data.readers.class_folders import ClassFolder, list_classes, visible
from onchip.data.readers.pictures import LONGEST, ColorFound, pieces
from onchip.data.readers.sample_cache import SampleCache
from onchip.data.source import DatasetSource, RawSplits
from onchip.data.split import Split
from onchip.data.stratify import hold_out
from onchip.errors import DataError, RequestError, require
from onchip.runs.grammar import bind, parse

TEST, SEED = 0.2, 0  # test share and its draw where the folder has no test split of its own, as for digits
VERSION = "2"  # of what decoding gives; a change here invalidates every cached decoding
OPTIONS = re.compile(r"(?:;\s*\w+\s*=[^;=]*)+$")
VALIDATION = "val", "validation"
"""Names of a folder of validation pictures; the first is ImageNet's."""


def folder(text: str) -> DatasetSource:
    """Pictures of one size, one folder per class: PATH, or PATH;size=64 to make them so.

    Any of these, with one folder per class in each; classes are in order of name:

    - PATH/train and PATH/test, and PATH/val (or PATH/validation) if you like;
    - PATH/train and PATH/val alone, as ImageNet is laid out: its authors keep the labels of the test pictures, and
      published accuracies are those on `val`, which is therefore the test split here, used once. Validation pictures
      are drawn from `train`;
    - the classes themselves, of which a fifth becomes the test split: the same fifth each time, stratified.

    Hidden files (those that start with a dot) are ignored, as are loose files beside `train` and `test`.
    Decoded pictures are stored under the data root, and decoded again when a file's name, size or time changes.
    """
    options = found[0] if (found := OPTIONS.search(text)) else ""
    path = text[: len(text) - len(options)]
    if not path:
        raise RequestError("folder: got no path; expected folder:PATH, e.g. folder:~/pictures")
    given = parse(f"folder:{options[1:]}").options if options else {}
    size = _size(**bind("data set 'folder'", _size, given))
    base = Path(os.path.abspath(os.path.expanduser(path)))

    def read(root: Path, *, again: bool = False) -> RawSplits:
        return _read(base, root / "decoded", size, again)

    return DatasetSource(f"folder:{text}", None, files=(), read=read, reread=partial(read, again=True))


@checked
def _size(*, size: int | None = None) -> int | None:
    """The options of a folder: the side to which its pictures are resized and cropped."""
    require(size is None or 1 <= size <= LONGEST, "folder", "size", size, f"1 to {LONGEST:,} pixels")
    return size


def _read(base: Path, cache_root: Path, size: int | None, again: bool) -> RawSplits:
    digest = hashlib.sha256(f"{VERSION}\0{size}\0".encode())
    names, splits = _list(base, digest)
    folders = [each for split in splits.values() for each in split]
    count = sum(each.count for each in folders)
    place = hashlib.sha256(os.fsencode(base)).hexdigest()[:16]
    path = cache_root / f"{base.name}-{place}{f'-{size}' if size else ''}.npy"
    cache = SampleCache(path, digest.hexdigest(), count, "decoded pictures")
    samples = _decoded(cache, base.name, folders, size, again)
    if isinstance(samples, OnDisk):
        path.with_name(f"{base.name}-{place}.safetensors").unlink(missing_ok=True)  # of versions before this one
    sizes = [sum(each.count for each in split) for split in splits.values()]
    labels = [_labels([each.count for each in split]) for split in splits.values()]
    whole = Split(samples, torch.cat(labels))
    if list(splits) == [""]:
        train, test = hold_out(whole.labels, TEST, SEED)
        return RawSplits(names, whole.take(train), whole.take(test))
    ends = torch.tensor(sizes).cumsum(0).tolist()
    parts = {name: whole.take(slice(end - length, end)) for name, length, end in zip(splits, sizes, ends, strict=True)}
    return RawSplits(names, parts["train"], parts["test"], parts.get("validation"))


def _decoded(
    cache: SampleCache, name: str, folders: list[ClassFolder], size: int | None, again: bool
) -> OnDisk | Tensor:
    def files() -> Iterator[Path]:
        return chain.from_iterable(each.files() for each in folders)

    count = sum(each.count for each in folders)
    decoded = partial(pieces, name, files, count, size)
    try:
        return cache.samples(decoded, again=again)
    except ColorFound:  # behind grey ones: all become RGB
        return cache.samples(partial(decoded, color=True), again=again)


def _labels(counts: list[int]) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))


def _list(base: Path, digest: "hashlib._Hash") -> tuple[tuple[str, ...], dict[str, list[ClassFolder]]]:
    """The classes, and the pictures of each split; the split is "" where they are drawn."""
    folders = {entry.name for entry in visible(base) if entry.is_dir()}
    if not folders & {"train", "test"}:
        splits = {"": list_classes(base, digest)}
        return tuple(each.path.name for each in splits[""]), splits
    held = [name for name in VALIDATION if name in folders]
    if len(held) > 1 or "train" not in folders or not folders & {"test", *held} or folders - {"train", "test", *held}:
        raise DataError(
            f"{base} holds the folders {', '.join(sorted(folders))}; expected train and test, and val (or validation) "
            "if you like, or train and val, with one folder per class in each. Add what is missing; rename or move the "
            "others"
        )
    roles = {"train": "train", **dict.fromkeys(held, "validation"), "test": "test"}
    if "test" not in folders:
        roles = {"train": "train", held[0]: "test"}
    splits = {}
    for name, role in roles.items():
        digest.update(f"{name}\0".encode())
        splits[role] = list_classes(base / name, digest)
    classes = tuple(each.path.name for each in splits["train"])
    for name, role in roles.items():
        if odd := sorted({each.path.name for each in splits[role]} ^ set(classes)):
            raise DataError(
                f"{base / name} and {base / 'train'} differ in the classes {', '.join(odd)}; expected the "
                "same classes in both. Add the missing folders with pictures, or remove the others"
            )
    return classes, splits

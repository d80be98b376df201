"""The memory of a training step: what is predicted is what a new process takes."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from onchip.cost.memory import FORWARD_OVER, Allocations, most_samples, recorded
from onchip.data.samples import IMAGES
from onchip.runs.config import RunConfig
from onchip.training import registry
from onchip.training.footprint import Footprint
from onchip.training.networks import example_network

ROOT = Path(__file__).parents[2]
SHAPE, CLASSES = (3, 32, 32), 10
CELLS = [("conv-deep", "bp", 4, 48), ("mlp-wide", "opzo", 16, 256)]


def footprint(net: str = "conv-deep", **settings: object) -> Footprint:
    config = RunConfig(net=net, **settings)  # type: ignore[arg-type]
    return Footprint(config, example_network(net, config.neuron, SHAPE, CLASSES), SHAPE, CLASSES, IMAGES)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of a process is read as on Linux")
def test_the_peak_of_a_new_process_is_within_a_fifth() -> None:
    code = "import json, sys, memory; print(*(memory.measured(*cell, {})[0] for cell in json.loads(sys.argv[1])))"
    path = os.pathsep.join([str(ROOT / "benchmarks"), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": path, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", code, json.dumps(CELLS)]
    ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    for (net, rule, steps, batch), measured in zip(CELLS, map(float, ran.stdout.split()), strict=True):
        need = footprint(net, steps=steps).need(registry.part("rule", rule))(batch)
        assert need.total / 2**20 == pytest.approx(measured, rel=0.2), (net, rule)
        assert need.total / 2**20 > 50, "a smaller one says nothing"


def test_parts_are_those_that_can_be_counted_by_hand() -> None:
    need = footprint("F200", steps=5).need(registry.part("rule", "kolen-pollack"))(64)
    weights = 4 * (3072 * 200 + 200 + 200 * 10 + 10)
    assert need.weights == weights
    assert need.feedback == 4 * 200 * 10
    assert need.optimizer == pytest.approx(2 * (need.weights + need.feedback), abs=64), "two moments, and step counts"
    assert need.batch == pytest.approx(64 * (4 * 3072 + 8), rel=1e-3)


def test_a_larger_batch_needs_what_it_is_larger_by() -> None:
    need = footprint("F400-F400", steps=8).need(registry.part("rule", "bp"))
    grown = need(2000).activity - need(1000).activity
    # In the backward pass of the second layer: a static drive, the spikes that it causes, potentials and the output.
    assert grown == 4 * 1000 * (400 + 8 * 400 + 8 * 400 + 8 * 10)
    assert need(2000).weights == need(1000).weights
    fits = most_samples(need, 2**30)
    assert need(fits).total <= 2**30 < need(fits + 1).total
    assert most_samples(need, 1.0) == 0


def test_chunks_need_the_memory_of_a_chunk() -> None:
    whole, chunked = footprint(), footprint(chunk=8)
    of, in_chunks = (each.need(registry.part("rule", "dfa")) for each in (whole, chunked))
    assert in_chunks(4) == of(4)
    assert in_chunks(512).activity == pytest.approx(of(8).activity, rel=0.05)
    assert in_chunks(512).batch == pytest.approx(of(512).batch, rel=0.01)
    assert in_chunks(512).total < of(16).total + of(512).batch


def test_a_record_is_of_what_was_allocated() -> None:
    def step(mark: object) -> list[torch.Tensor]:
        kept = torch.empty(1000, dtype=torch.uint8)
        mark(FORWARD_OVER)  # type: ignore[operator]
        gradient = torch.empty(3000, dtype=torch.uint8)
        del kept
        return [gradient]

    found = recorded(step)
    assert found == Allocations((1, 2, -1, -2), (1000.0, 3000.0), frozenset(), frozenset({1}), frozenset({2}))
    need = found.need(10.0, 20.0, 30.0)
    assert (need.activity, need.gradients, need.total) == (1000.0, 3000.0, 4060.0)


def test_a_large_buffer_that_is_released_waits_for_the_next_of_its_size() -> None:
    size = 40.0 * 2**20
    changes = (1, -1, 2, -2, 3, -3)  # a buffer, something else, and a buffer of the same size
    none, both = frozenset[int](), frozenset({1, 3})
    apart = Allocations(changes, (size, 10.0, size), none, none, none)
    assert apart.need(0.0, 0.0, 0.0).total == size
    shared = Allocations(changes, (size, 10.0, size), none, none, none, both)
    assert shared.need(0.0, 0.0, 0.0).total == size + 10.0
    other = Allocations(changes, (size, 10.0, 2 * size), none, none, none, both)
    assert other.need(0.0, 0.0, 0.0).total == 2 * size, "the free one is given back, because it does not fit"


def test_the_page_has_the_kept_result() -> None:
    kept = json.loads((ROOT / "benchmarks" / "results" / "memory.json").read_text(encoding="utf-8"))
    page = runpy.run_path(str(ROOT / "benchmarks" / "memory.py"))["page"]
    assert page(kept["rows"]) in (ROOT / "docs" / "memory.md").read_text(encoding="utf-8")
    assert abs(kept["largest_error"]) < 0.2

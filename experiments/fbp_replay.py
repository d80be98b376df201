"""Which messages leave feedback weights nearest to the weights that BP trains, at equal bits?

One network is trained by BP; every scheme refreshes its own copies of the weights, which are used for nothing else. So
all schemes see the same weights and differ only in the error ||W - B|| / ||W|| just before each step's transport. On
Fashion-MNIST, 1,200 steps, n = 1 seed: at 1,000 times fewer bits than BP, balanced pairs of vectors in 4 bits leave an
error of 0.7 / 2.0 / 0.2 % in the three layers after the first 200 steps; signs every 32 steps leave 4.7 / 3.6 / 7.2 %;
full copies every 100 steps, at ten times the bits, leave 3.3 / 1.7 / 2.4 %.

    python experiments/fbp_replay.py            writes experiments/records/fbp_replay.jsonl
    python experiments/fbp_replay.py --table    writes the table in docs/fbp-schemes.md from the records

Network 16C3-P2-32C3-P2-F128-10 of time-to-first-spike neurons, without biases; 54,000 training images.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from _records import FOLDER, append_lines, read_lines
from _tables import command
from onchip import models, rules
from onchip.data import batches, load
from onchip.encoding import Latency
from onchip.learning.lr_scaling import groups
from onchip.losses import StepLoss
from onchip.nn.neurons import TTFS
from onchip.report.markdown import markdown_table
from onchip.transport import Full, LowRank, Sign, Top, Transport
from onchip.transport.base import planned_bits
from onchip.transport.budget import plan_within_budget
from onchip.transport.schedule import Balanced, Doubling, Schedule

RECORDS = FOLDER / "fbp_replay.jsonl"
SEED, STEPS, BATCH, LR = 1000, 1200, 32, 1e-3
SCHEDULED = 3376  # steps of the cosine schedule: two epochs, cut off after STEPS
EARLY = 200
WEIGHT_BITS = 32


@dataclass
class Scheme:
    """Copies of the weights that one transport refreshes; errors are summed over steps, per layer (3,)."""

    name: str
    transport: Transport
    periods: list[Doubling]
    copies: list[Tensor]
    bits: int = 0
    scalars: int = 0
    early: Tensor = field(default_factory=lambda: torch.zeros(3))
    later: Tensor = field(default_factory=lambda: torch.zeros(3))

    def step(self, step: int, weights: list[Tensor]) -> None:
        error = torch.stack([(w - b).norm() / w.norm() for b, w in zip(self.copies, weights, strict=True)])
        (self.early if step <= EARLY else self.later).add_(error)
        for period, copy, weight in zip(self.periods, self.copies, weights, strict=True):
            if period.due(step):
                (moved,) = self.transport([copy], [weight], 0)
                self.bits += moved.value_bits + moved.index_bits
                self.scalars += moved.scalars


def schemes(weights: list[Tensor]) -> list[Scheme]:
    """All schemes that are compared."""
    every_weight = WEIGHT_BITS * sum(weight.numel() for weight in weights)

    def scheme(name: str, schedule: Schedule, transport: Transport) -> Scheme:
        return Scheme(name, transport, schedule.layers(weights, transport), [weight.clone() for weight in weights])

    def even(name: str, period: int, transport: Transport) -> Scheme:
        return scheme(f"{name}, Φ={period}", Doubling(period, period), transport)

    def saving(times: int, rank: int, bits: int) -> Scheme:
        transport = LowRank(rank, bits)
        mean = sum(planned_bits(transport, weights)) * times / every_weight
        return scheme(f"bits / {times:,}: rank {rank} in {bits} bits, balanced", Balanced(max(1.0, mean)), transport)

    def usual(times: int) -> Scheme:
        mean, transport = plan_within_budget(every_weight / times, weights)
        return scheme(f"bits / {times:,}: the budget's choice", Balanced(mean), transport)

    return [
        even("full", 100, Full()),
        scheme("full, balanced Φ=100", Balanced(100), Full()),
        even("sign", 32, Sign()),
        scheme("sign, balanced Φ=32", Balanced(32), Sign()),
        *(saving(1_000, 4, bits) for bits in (2, 3, 4, 6, 8)),
        *(saving(1_000, rank, 4) for rank in (1, 2, 8)),
        usual(1_000),
        even("rank 1 in 4 bits", 13, LowRank(1, 4)),
        *(saving(10_000, 1, bits) for bits in (2, 3, 4, 6, 8)),
        *(saving(10_000, rank, 4) for rank in (2, 4)),
        usual(10_000),
        even("top 10%", 100, Top(0.1)),
        scheme("top 3%, balanced Φ=30", Balanced(30), Top(0.03)),
        even("top 1%", 100, Top(0.01)),
        scheme("top 0.3%, balanced Φ=30", Balanced(30), Top(0.003)),
    ]


def replay() -> list[dict[str, Any]]:
    """Trains a network by BP while all schemes copy its weights; returns a record per scheme."""
    data = load("fashion-mnist", validation=0.1)
    torch.manual_seed(SEED)
    rule = rules.bp(models.conv_dense(data.shape, data.n_classes, neuron=TTFS))
    optimizer = torch.optim.Adam(groups(rule.parameters(), "fan"), lr=LR)
    weights = [layer.weight.detach() for layer in rule.layers[1:]]
    compared = schemes(weights)
    drawn = batches(data.train, BATCH, generator=torch.Generator().manual_seed(SEED))
    for step, (images, labels) in zip(range(1, STEPS + 1), drawn, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = group["scale"] * LR * 0.5 * (1.0 + math.cos(math.pi * (step - 1) / SCHEDULED))
        rule.backward(StepLoss()(rule.forward(Latency()(images)), labels))
        optimizer.step()
        optimizer.zero_grad()
        for scheme in compared:
            scheme.step(step, weights)
    bill = sum(weight.numel() for weight in weights) * STEPS
    return [
        {
            "scheme": scheme.name,
            "transport": asdict(scheme.transport),  # type: ignore[call-overload]
            "periods": [period.longest for period in scheme.periods],
            "bits_saved": WEIGHT_BITS * bill / max(1, scheme.bits),
            "scalars_saved": bill / max(1, scheme.scalars),
            "early": (scheme.early / EARLY).tolist(),
            "later": (scheme.later / (STEPS - EARLY)).tolist(),
            "settings": {"seed": SEED, "steps": STEPS, "early": EARLY, "batch": BATCH, "lr": LR, "lr_scaling": "fan"},
        }
        for scheme in compared
    ]


def run() -> None:
    RECORDS.unlink(missing_ok=True)
    append_lines(RECORDS, replay())


def tables() -> dict[str, str]:
    rows = []
    for record in read_lines(RECORDS):
        errors = [" / ".join(f"{100 * error:.1f}" for error in record[phase]) for phase in ("early", "later")]
        saved = (f"{record[times]:,.0f}x" for times in ("bits_saved", "scalars_saved"))
        rows.append((record["scheme"], ", ".join(map(str, record["periods"])), *saved, *errors))
    header = ("scheme", "Φ of each layer", "bits", "scalars", "error, first 200 steps", "error, later")
    return {"fbp_replay": markdown_table(header, rows)}


if __name__ == "__main__":
    command(__doc__, "fbp-schemes.md", tables, run)

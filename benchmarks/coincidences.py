"""How fast is counting coincidences of spikes by AND and a population count, compared with products of floats?

    python benchmarks/coincidences.py [--rounds 15] [--threads 1] [--json FILE]

The update of 784-200 after T = 128 steps of 100 samples: D⁺ᵀ X and D⁻ᵀ X over 12,800 rows. A device needs both, because
it has pulses up and pulses down. The products get their operands as floats and the counts get them as bytes, so that
the time of packing is included. All methods take one turn in each round, and ratios are taken inside a round.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from _measure import about, in_turns, parser, save, speed
from onchip import kernels
from onchip.kernels.popcount import coincidences, pack

INPUTS, OUTPUTS, ROWS = 784, 200, 128 * 100
INPUT_RATE, ERROR_RATE = 0.3, 0.05


def methods() -> dict[str, Callable[[], object]]:
    """The methods that are compared; all compute the same numbers."""
    torch.manual_seed(0)
    pre = (torch.rand(ROWS, INPUTS) < INPUT_RATE).to(torch.uint8)
    drawn = torch.rand(ROWS, OUTPUTS)
    up, down = (drawn < ERROR_RATE).to(torch.uint8), (drawn > 1 - ERROR_RATE).to(torch.uint8)
    floats = [spikes.float() for spikes in (up, down, pre)]
    packed = [pack(spikes) for spikes in (up, down, pre)]

    def products() -> tuple[Tensor, Tensor]:
        return floats[0].t() @ floats[2], floats[1].t() @ floats[2]

    for counted, product in zip(coincidences(*packed), products(), strict=True):
        assert torch.equal(counted.float(), product)
    signed = floats[0] - floats[1]
    return {
        "float32, up and down": products,
        "float32, their difference alone": lambda: signed.t() @ floats[2],
        "counts, with packing": lambda: coincidences(pack(up), pack(down), pack(pre)),
        "counts": lambda: coincidences(*packed),
    }


def main() -> None:
    options = parser(__doc__, 15).parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    times = in_turns(methods(), options.rounds)
    result = about(rounds=options.rounds)
    rows = {name: speed(times["float32, up and down"], spent) for name, spent in times.items()}
    result |= {"kernels": kernels.active(), "rows": rows}
    print(", ".join(f"{key} {value}" for key, value in result.items() if key != "rows"))
    for name, row in rows.items():
        quartiles = f"({row['quartile_low']:.1f} to {row['quartile_high']:.1f})"
        print(f"{name:32} {row['milliseconds']:7.1f} ms  {row['times_as_fast']:5.1f} times as fast {quartiles}")
    save(options.json, result)


if __name__ == "__main__":
    main()

"""What a rule promises that its updates do not read; `onchip audit` tests each promise, and believes none."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

__all__ = ["ALWAYS", "Claim", "Claims"]


@dataclass(frozen=True)
class Claim:
    """One promise.

    Args:
        name: the field of `Claims`.
        says: the promise in words.
        absent: names of the audit's findings that must be absent for it to hold.
    """

    name: str
    says: str
    absent: tuple[str, ...]


def _claim(says: str, *absent: str) -> bool:
    return field(default=False, metadata={"says": says, "absent": absent})


@dataclass(frozen=True, kw_only=True)
class Claims:
    """The promises of one rule, stated where the rule is made; what is not set is not claimed.

    Args:
        own_feedback: errors come through weights of their own, or through none.
        no_transport: forward weights are never copied, neither for errors nor now and then into feedback; a copy
            made before training apart. To learn feedback from the responses of synapses is no copy.
        direct: no error passes from layer to layer, so that no layer waits for another.
        private_feedback: each feedback weight has a part in the update of one layer alone, or of layers side by side
            whose activity is added.
        causal: in a whole sequence, what a time step adds to an update needs no later step.
        online: in `rule.stream`, each step's update is made before the next step is seen.
        own_sample: what a sample adds to an update needs no other sample of the batch.
        own_error: hidden layers do not need the error of the network's output.
        ternary: errors at the neurons are -1, 0 or 1 times one size a layer.

    Example:
        >>> [claim.name for claim in Claims(causal=True).made()]
        ['causal']
    """

    own_feedback: bool = _claim("errors come through no forward weights", "weights_above", "weights_below")
    no_transport: bool = _claim(
        "no forward weight is ever copied",
        "weights_above",
        "weights_below",
        "own_weights",
        "refresh",
        "booked_transport",
    )
    direct: bool = _claim("no error passes from layer to layer", "errors_above")
    private_feedback: bool = _claim("each feedback weight serves one layer's update alone", "shared_feedback")
    causal: bool = _claim("a step's part of an update needs no later step", "later_steps")
    online: bool = _claim("it learns while the input comes", "later_steps_streamed")
    own_sample: bool = _claim("a sample's part of an update needs no other sample", "other_samples")
    own_error: bool = _claim("hidden layers need no error of the output", "output_error")
    ternary: bool = _claim("errors are -1, 0 or 1 times one size a layer", "real_errors")

    @classmethod
    def known(cls) -> list[Claim]:
        """Every promise that a rule may make."""
        return [Claim(item.name, item.metadata["says"], item.metadata["absent"]) for item in fields(cls)]

    def made(self) -> list[Claim]:
        """The promises of this rule."""
        return [claim for claim in self.known() if getattr(self, claim.name)]


ALWAYS = Claim("booked", "every copy of forward weights is on the bill", ("unbooked_transport",))
"""What the engine promises of every rule that claims anything."""

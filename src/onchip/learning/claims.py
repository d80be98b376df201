"""What follows from the parts of a rule about the locality of its updates."""

from dataclasses import replace

from onchip.certificates import Claims
from onchip.learning.coding.base import ErrorCode
from onchip.learning.eligibility import missing_states
from onchip.learning.feedback.base import Feedback
from onchip.learning.temporal.base import Temporal
from onchip.nn.graph import LayerGraph


def claims_of(graph: LayerGraph, feedback: Feedback, temporal: Temporal, code: ErrorCode) -> Claims:
    """The claims of the feedback, as far as temporal credit, error code and network allow them."""
    claims = feedback.claims
    return replace(
        claims,
        temporally_causal=claims.temporally_causal and temporal.causal and code.pointwise,
        online=claims.online and temporal.streams and code.streams and missing_states(graph, temporal) is None,
        batch_independent=claims.batch_independent and code.pointwise,
        ternary_errors=temporal.streams and code.ternary,
    )

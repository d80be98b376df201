"""Which counts of a bill are work that somebody has to pay for, and which only describe it."""

from collections.abc import Iterable

WORK = {
    "acs_forward": "operations forward",
    "macs_forward": "operations forward",
    "acs_error": "operations of errors",
    "macs_error": "operations of errors",
    "acs_update": "operations of updates",
    "macs_update": "operations of updates",
    "neuron_updates": "updates of neurons",
    "state_updates": "updates of neurons",
    "spikes": "sending of spikes",
    "stored_activity": "storage of activity",
    "writes_weights": "writes of weights",
    "writes_feedback": "writes of feedback weights",
    "transport_value_bits": "transport of weights",
    "transport_index_bits": "transport of weights",
    "transport_compares": "comparisons of weights",
    "transport_products": "products of messages",
    "transport_sorts": "sorting of weights",
    "random_draws": "random numbers",
}
"""Counts that an energy table prices or leaves unpriced, with a phrase for readers.

No piece of work is in two of them. A count of the ledger that is added here is unpriced in every table, until a table
gives it a price.
"""

NO_WORK = {
    "steps": "a time",
    "operations_counted_steps": "a time",
    "weights_transported": "their bits are counted",
    "weights_transported_initial": "before training",
    "transport_events": "their bits are counted",
    "transport_coded": "a part of weights_transported",
    "products_forward": "includes products with zero; operations are the rest",
    "products_error": "as products_forward",
    "products_update": "as products_forward",
    "products_backward": "a part of products_error",
    "products_direct": "a part of products_error",
    "products_feedback_update": "a part of products_update",
    "operations_forward": "the sum of acs_forward and macs_forward",
    "operations_error": "the sum of acs_error and macs_error",
    "operations_update": "the sum of acs_update and macs_update",
    "error_sparsity": "a share",
    "feedback_memory": "a size",
    "stored_activity_peak": "a size",
    "phases_per_step": "an order in time",
    "update_locking_phases": "an order in time",
}
"""Counts without a price of their own, and why."""


def in_words(counts: Iterable[str]) -> tuple[str, ...]:
    """What counts of work are, each phrase once.

    Example:
        >>> in_words(["acs_error", "macs_error", "random_draws"])
        ('operations of errors', 'random numbers')
    """
    return tuple(dict.fromkeys(WORK[count] for count in counts))

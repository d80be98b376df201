"""What all tests share: one thread, and one seed for each test."""

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
# Hypothesis fails an example that takes 200 ms, which any does on a busy machine.
settings.register_profile("shared machines", deadline=None)
settings.load_profile("shared machines")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many damaged files the tests of `fuzz` made."""
    passed = terminalreporter.stats.get("passed", [])
    mutants = sum(value for report in passed for name, value in report.user_properties if name == "mutants")
    if mutants:
        terminalreporter.write_line(f"{mutants} mutants of files were read or refused")

"""Train spiking neural networks with the learning rules that silicon can run."""

__version__ = "0.1.0"

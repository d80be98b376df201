"""Options that several commands take. None means: not given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onchip.runs.config import RunConfig

__all__ = [
    "Augment",
    "BatchSize",
    "Chunk",
    "Clip",
    "Config",
    "Data",
    "DataRoot",
    "Device",
    "Download",
    "Encoder",
    "Epochs",
    "Force",
    "Json",
    "LearningRate",
    "Loss",
    "Momentum",
    "Net",
    "Neuron",
    "Optimizer",
    "Out",
    "Patience",
    "Precision",
    "Probe",
    "RateDecay",
    "Rates",
    "Resume",
    "Schedule",
    "Select",
    "Steps",
    "Synapses",
    "TrainSize",
    "Validation",
    "WeightDecay",
]

USUAL = RunConfig()

Data = Annotated[str | None, typer.Option(help=f"Data set; `onchip data list` names them. Usually {USUAL.data}.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data sets. Usually ONCHIP_DATA, or a cache folder.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch the data set's files if they are missing.")]
TrainSize = Annotated[int | None, typer.Option(help="Training samples to use. Usually all.")]
Validation = Annotated[
    float | None, typer.Option(help=f"Share of training samples held out. Usually {USUAL.validation}.")
]
Net = Annotated[str | None, typer.Option(help=f"Network. Usually {USUAL.net}.")]
Neuron = Annotated[str | None, typer.Option(help=f"Neuron, such as lif:decay=0.9. Usually {USUAL.neuron}.")]
Encoder = Annotated[str | None, typer.Option(help="How images become signals. Usually what suits the neuron.")]
Steps = Annotated[int | None, typer.Option(help=f"Time steps T of one image. Usually {USUAL.steps}.")]
Epochs = Annotated[int | None, typer.Option(help=f"Passes over the training samples. Usually {USUAL.epochs}.")]
BatchSize = Annotated[int | None, typer.Option(help=f"Samples a training step. Usually {USUAL.batch_size}.")]
Chunk = Annotated[int | None, typer.Option(help="Samples of a step at a time, for less memory. Usually all.")]
LearningRate = Annotated[float | None, typer.Option("--lr", help=f"Learning rate. Usually {USUAL.lr:g}.")]
Optimizer = Annotated[str | None, typer.Option(help=f"adam, adamw or sgd. Usually {USUAL.optimizer}.")]
Momentum = Annotated[float | None, typer.Option(help=f"Momentum of sgd. Usually {USUAL.momentum}.")]
WeightDecay = Annotated[float | None, typer.Option(help=f"Weight decay. Usually {USUAL.weight_decay:g}.")]
Schedule = Annotated[
    str | None, typer.Option(help=f"cosine (to 0), exponential or constant. Usually {USUAL.schedule}.")
]
Loss = Annotated[
    str | None, typer.Option(help="Loss: steploss:0.05 (0.05 of squared error) or winner. Usually the neurons'.")
]
RateDecay = Annotated[
    float | None, typer.Option("--lr-decay", help=f"Factor an epoch of exponential. Usually {USUAL.lr_decay:g}.")
]
Rates = Annotated[
    str | None, typer.Option(help=f"equal, or fan: layers of many inputs learn more slowly. Usually {USUAL.rates}.")
]
Synapses = Annotated[
    str | None,
    typer.Option(help="Device that updates are written to in place of an optimizer, such as pulsed:quantum=0.003."),
]
Clip = Annotated[float | None, typer.Option(help="Norm to which gradients are scaled down. Usually none.")]
Patience = Annotated[
    int | None, typer.Option(help="Epochs without a better validation accuracy before a run stops. Usually none.")
]
Probe = Annotated[
    int | None,
    typer.Option(help=f"Times a run to look at its gradients and activity; no result changes. Usually {USUAL.probe}."),
]
Augment = Annotated[str | None, typer.Option(help="Random changes to training images, such as crop:4,flip.")]
Select = Annotated[
    str | None, typer.Option(help=f"Weights to test: the last, or those of the best epoch. Usually {USUAL.select}.")
]
Precision = Annotated[
    str | None, typer.Option(help=f"Products in training: float32 or bfloat16. Usually {USUAL.precision}.")
]
Device = Annotated[str | None, typer.Option(help=f"Where to compute: cpu, cuda, cuda:1. Usually {USUAL.device}.")]
Config = Annotated[Path | None, typer.Option(help="TOML file of these options; the command line wins.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the results. Usually a new one under runs.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an earlier run in that folder.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print the records to standard output, and nothing else there.")]

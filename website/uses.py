"""For what each rule is of use, in a sentence or two; a rule without one gets none."""

USES = {
    "anchored_dkp": "Where `opzo` or `dkp` alone lose accuracy in deep networks, and forward noise can be afforded.",
    "bp": "As the reference that every other rule is compared with, and for training off the chip.",
    "brsf": "As `frsf`, to see what the magnitudes of the feedback matter: they are drawn anew at each step.",
    "decolle": "Where each layer must learn as soon as it has spiked, with no error from above and fixed read-outs.",
    "dfa": "As the simplest rule without transport and without a backward phase, one product per layer; a baseline for "
    "`dkp`, `opzo` and `eprop`.",
    "dkp": "Where feedback weights may learn: as cheap as `dfa` in transport, and better aligned.",
    "drtp": "Where not even an error can be sent: the label alone trains the hidden layers.",
    "eprop": "For recurrent networks that learn while the input arrives, without transport.",
    "etlp": "As `drtp`, with updates only at teaching events, so that few time steps cause writes.",
    "fa": "As a baseline for feedback that is layer by layer, but never gets the forward weights.",
    "fbp": "Where weights can be copied, but rarely: the budget of bits is an option.",
    "frsf": "Where one bit per weight and step may be sent, and magnitudes of feedback stay as they are.",
    "kolen_pollack": "Where the two networks get the same update, so that the feedback comes to agree with the forward "
    "weights without being sent any.",
    "local_learning": "Where layers may have trained read-outs of their own and need nothing from above; also "
    "in addition to `opzo`.",
    "never": "As the limit of `fbp` without transport: the feedback is a copy of the first weights.",
    "noisy_bp": "As a control for `opzo`: what the noise in the forward pass costs by itself.",
    "opzo": "Where learning must be online and without transport, and noise can be added to the forward pass.",
    "ostl": "As the exact spatial error at each time step together with an eligibility per synapse; a reference for "
    "online rules in recurrent networks.",
    "osttp": "As `ostl` without transport: the error comes from the label.",
    "ottt": "Where errors may pass through the forward weights, but memory must not grow with T.",
    "own_noise_mirror": "For networks that exchange spikes alone, without transport: the neurons' own randomness shows "
    "the feedback what the forward weights are.",
    "s_tllr": "Where inputs after a neuron's activity should count as well, as in spike-timing plasticity.",
    "sltt": "As the cheapest rule over time: nothing of the past is kept.",
    "ssnn_bp": "For networks in which activity and errors are both spikes, as on a crossbar.",
    "usf": "Where one bit per weight and step may be sent, and nothing is stored.",
    "weight_mirror": "Where training can pause for phases of noise, in which the feedback learns the forward weights.",
    "zeroth_order": "As a control for rules that use noise: only the loss and the noise of a layer are known to it.",
}

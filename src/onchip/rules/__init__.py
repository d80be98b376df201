"""Learning rules, with the names of their papers; a new rule is a file here and its name in this list."""

from onchip.rules.anchored_dkp import anchored_dkp
from onchip.rules.bp import bp
from onchip.rules.brsf import brsf
from onchip.rules.decolle import decolle
from onchip.rules.dfa import dfa
from onchip.rules.dkp import dkp
from onchip.rules.drtp import drtp
from onchip.rules.eprop import eprop
from onchip.rules.etlp import etlp
from onchip.rules.fa import fa
from onchip.rules.fbp import fbp
from onchip.rules.frsf import frsf
from onchip.rules.kolen_pollack import kolen_pollack
from onchip.rules.local_learning import local_learning
from onchip.rules.never import never
from onchip.rules.noisy_bp import noisy_bp
from onchip.rules.opzo import opzo
from onchip.rules.ostl import ostl
from onchip.rules.osttp import osttp
from onchip.rules.ottt import ottt
from onchip.rules.own_noise_mirror import own_noise_mirror
from onchip.rules.s_tllr import s_tllr
from onchip.rules.sltt import sltt
from onchip.rules.ssnn_bp import ssnn_bp
from onchip.rules.usf import usf
from onchip.rules.weight_mirror import weight_mirror
from onchip.rules.zeroth_order import zeroth_order

__all__ = [
    "anchored_dkp",
    "bp",
    "brsf",
    "decolle",
    "dfa",
    "dkp",
    "drtp",
    "eprop",
    "etlp",
    "fa",
    "fbp",
    "frsf",
    "kolen_pollack",
    "local_learning",
    "never",
    "noisy_bp",
    "opzo",
    "ostl",
    "osttp",
    "ottt",
    "own_noise_mirror",
    "s_tllr",
    "sltt",
    "ssnn_bp",
    "usf",
    "weight_mirror",
    "zeroth_order",
]

"""Learning rules by the names that papers give them; a new one is a file here and its name in this list."""

from onchip.rules.bp import bp
from onchip.rules.dfa import dfa
from onchip.rules.fa import fa
from onchip.rules.fbp import fbp
from onchip.rules.ottt import ottt

__all__ = ["bp", "dfa", "fa", "fbp", "ottt"]

"""Bounds and laws for pretrain-then-finetune, each with every constant stated."""

from theory import arena as arena
from theory import capacity as capacity
from theory import certificates as certificates
from theory import checks as checks
from theory import kl as kl
from theory import laws as laws
from theory import limits as limits
from theory import mismatch as mismatch
from theory import pac_bayes as pac_bayes
from theory import rates as rates
from theory import scaling as scaling
from theory import two_path as two_path
from theory import wealth as wealth

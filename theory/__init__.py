"""Bounds and laws for pretrain-then-finetune, each with every constant stated."""

from theory import certificates as certificates
from theory import checks as checks
from theory import kl as kl
from theory import wealth as wealth

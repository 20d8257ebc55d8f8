"""Types of the command line's options, as the help shows them."""

from typing import Annotated

import tyro
from tyro.conf import arg

USUAL_OBSERVATIONS = 32  # of an instance that `decide` uses

File = Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")]
Function = Annotated[str | None, arg(metavar="MODULE:FUNCTION", help_behavior_hint="")]
Text = Annotated[str | None, arg(metavar="LIST", help_behavior_hint="")]
Name = Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")]
Number = Annotated[float | None, arg(metavar="Q", help_behavior_hint="")]
Count = Annotated[int | None, arg(metavar="K", help_behavior_hint="")]
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff, arg(help_behavior_hint="")]

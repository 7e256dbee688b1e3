"""Parameters that several experiments have: each with its help, as it is typed on the command line."""

from typing import Annotated

from app.domain.options import Option

Seed = Annotated[int, Option("the same seed gives the same result")]
Examples = Annotated[int, Option("random sequences at each prefix length", min=2)]
MaxPrefix = Annotated[int, Option("longest repeated span, in tokens", min=1)]
RandomLength = Annotated[int, Option("tokens of a random sequence, BOS included", min=4)]

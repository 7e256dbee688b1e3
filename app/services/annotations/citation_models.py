"""What a record of a head cites of one feature, as the feature's page shows it."""

from dataclasses import dataclass

from app.domain.refs import HeadRef


@dataclass(frozen=True)
class Citations:
    """Citations of one feature in the viewer's record of a head, by their number in the record's evidence.

    Keys of `numbers`: `sequence:position` of an example, or an empty text for the feature itself. head: None
    if the page shows no single head, so that there is no record to cite in.
    """

    head: HeadRef | None
    numbers: dict[str, int]
    version: int = 0  # of the record; 0 before the first save
    look: HeadRef | None = None  # the head that the viewer looks at for the second time

"""The heads before and after one, in order of layer and head."""

from app.domain.refs import HeadRef
from app.store.atlas.reads import LiveRun


def neighbour(run: LiveRun, head: HeadRef, step: int) -> HeadRef | None:
    """The head so many steps away; None beyond the model's first and last."""
    model = run.record.model
    index = head.layer * model.n_heads + head.head + step
    if not 0 <= index < model.n_layers * model.n_heads:
        return None
    return HeadRef(*divmod(index, model.n_heads))

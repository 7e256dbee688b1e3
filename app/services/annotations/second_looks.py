"""Second looks: a tenth of the heads that an annotator has submitted, shown again without what they said of them."""

from app.domain.annotations.records import Revision, Status
from app.domain.refs import HeadRef
from app.errors import NotFound
from app.services.annotations.head_records import next_head, own_heads, own_record
from app.services.annotations.next_heads import NextHead, comes_twice
from app.services.reading.context import AtlasContext, layers_to_annotate

# So many heads are settled between the two looks, as long as there are others to settle.
BETWEEN = 10


def next_look(context: AtlasContext, after: HeadRef | None) -> NextHead | None:
    """The next head in the viewer's order of work, or one that is due for the second time; None at the end."""
    context = context.outside_of_second_look
    waiting = _waiting(context) if context.viewer.again else []
    due = next((head for head, n_since in waiting if n_since >= BETWEEN and head != after), None)
    if due is not None:
        return NextHead(due, again=True)
    if (head := next_head(context, after)) is not None:
        return NextHead(head)
    return next((NextHead(head, again=True) for head, _ in waiting if head != after), None)


def _waiting(context: AtlasContext) -> list[tuple[HeadRef, int]]:
    """The heads still to be looked at twice, the first submitted first, and how many were settled since each."""
    settled = {head: record for head, record in own_heads(context).items() if record.status != "draft"}
    done = {record.subject.ref for record in _own_second_looks(context) if record.status != "draft"}
    layers = layers_to_annotate(context)
    waiting = [
        (record.created_at, head)
        for head, record in settled.items()
        if record.status == "submitted"
        and head.layer in layers
        and head not in done
        and comes_twice(context.run.slug, context.viewer.name, head)
    ]
    times = [record.created_at for record in settled.values()]
    return [(head, sum(time > since for time in times)) for since, head in sorted(waiting)]


def _own_second_looks(context: AtlasContext) -> list[Revision]:
    return [record for record in context.second_looks if record.annotator == context.viewer.name]


def check_second_look(context: AtlasContext) -> None:
    """Raise NotFound if the viewer would look again at a head without a submitted record of it by them.

    A second look that is begun goes on, whatever becomes of the first record.
    """
    head = context.viewer.second_look
    if head is None or own_record(context, head) is not None:
        return
    first = own_record(context.outside_of_second_look, head)
    if first is None or first.status != "submitted":
        raise NotFound(f"there is no submitted record of {head} by you to look at again")


def may_be_looked_at_again(status: Status, version: int) -> bool:
    """Whether a second look beside a first record like this may be: it is submitted, or was before it was changed.

    A file does not say what earlier versions were.
    """
    return status == "submitted" or version > 1

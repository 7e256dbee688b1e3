"""What heads attend to, one block per head: writing it in a run that is published, and reading it."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from app.domain.attention import HeadAttention
from app.domain.refs import HeadRef
from app.store.atlas.blobs import pack, unpack
from app.store.atlas.field_arrays import StoredArrays, arrays_of_parts
from app.store.atlas.reads import LiveRun
from app.store.atlas.writes import require_publishing
from app.store.database.inserts import insert_rows
from app.store.tables.atlas import HeadAttentionRow

_BLOCK = arrays_of_parts(HeadAttention, leave_out=("ref",))


def add_attention(session: Session, run_id: int, heads: Sequence[HeadAttention]) -> None:
    """Add the attention of heads that `add_heads` has stored. Raises ValueError for a NaN or infinity."""
    require_publishing(session, run_id)
    insert_rows(
        session,
        HeadAttentionRow,
        (
            {"run_id": run_id, "layer": head.ref.layer, "head": head.ref.head, "data": pack_attention(head)}
            for head in heads
        ),
    )


def pack_attention(head: HeadAttention) -> bytes:
    """The block of one head. Raises ValueError for a NaN or infinity."""
    arrays = _BLOCK.pack(head)
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} of {head.ref} cannot be stored: it holds a NaN or infinity")
    return pack(arrays)


def unpack_attention(blob: bytes, ref: HeadRef) -> HeadAttention:
    """The record of one head. Raises InvalidStore when its block is damaged."""
    return HeadAttention(ref=ref, **_BLOCK.unpack(StoredArrays(unpack(blob))))


def get_attention(session: Session, run: LiveRun, ref: HeadRef) -> HeadAttention | None:
    """What the head attends to; None in a run that was published before this was kept."""
    blob = session.scalar(
        select(HeadAttentionRow.data).where(
            HeadAttentionRow.run_id == run.id,
            HeadAttentionRow.layer == ref.layer,
            HeadAttentionRow.head == ref.head,
        )
    )
    return None if blob is None else unpack_attention(blob, ref)


def attention_of_heads(
    session: Session, run: LiveRun, heads: Collection[HeadRef] | None = None
) -> Iterator[HeadAttention]:
    """What those heads of the run attend to that keep it, in order and in one query; of all heads by default."""
    query = select(HeadAttentionRow.layer, HeadAttentionRow.head, HeadAttentionRow.data).where(
        HeadAttentionRow.run_id == run.id
    )
    if heads is not None:
        query = query.where(HeadAttentionRow.layer.in_({head.layer for head in heads}))
    for layer, head, blob in session.execute(query.order_by(HeadAttentionRow.layer, HeadAttentionRow.head)):
        ref = HeadRef(layer, head)
        if heads is None or ref in heads:
            yield unpack_attention(blob, ref)


def has_attention(session: Session, run: LiveRun) -> bool:
    """Whether the run keeps what its heads attend to."""
    return bool(session.scalar(select(exists().where(HeadAttentionRow.run_id == run.id))))

"""What heads attend to: blocks come back as they were, go with their run, and are not there in older ones."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select

from app.domain.attention import HeadAttention
from app.domain.refs import HeadRef
from app.errors import InvalidStore, StoreBusy
from app.store.atlas import writes
from app.store.atlas.attention import (
    add_attention,
    get_attention,
    has_attention,
    pack_attention,
    unpack_attention,
)
from app.store.atlas.reads import get_live_run
from app.store.database.engine import read_session, write_session
from app.store.tables.atlas import HeadAttentionRow
from tests.support.record_data import random_record
from tests.support.stored_runs import assert_same, heads, publish, report, run_record

SIZES = {"n": 5, "context": 16, "tokens": 7, "pictures": 3, "rows": 4, "columns": 6}


def attention(ref: HeadRef, seed: int = 0, **sizes: int) -> HeadAttention:
    drawn = random_record(HeadAttention, np.random.default_rng(seed), {**SIZES, "sinks": 2, **sizes})
    return replace(drawn, ref=ref)


def publish_with(engine, records, fingerprint="f9"):
    with write_session(engine) as session:
        run_id = writes.begin_run(session, "tiny", run_record(fingerprint))
        writes.add_heads(session, run_id, heads())
        add_attention(session, run_id, records)
        writes.go_live(session, run_id, report())
    return run_id


def test_blocks_come_back_and_go_with_their_run(engine):
    empty = replace(attention(HeadRef(1, 3), n=0, tokens=0, sinks=0, pictures=0), groups=())
    records = [attention(HeadRef(0, 1), 1), attention(HeadRef(2, 0), 2), empty]
    run_id = publish_with(engine, records)
    with pytest.raises(StoreBusy), write_session(engine) as session:
        add_attention(session, run_id, [attention(HeadRef(0, 2))])
    with read_session(engine) as session:
        run = get_live_run(session, "tiny")
        for record in records:
            assert_same(get_attention(session, run, record.ref), record)
        assert get_attention(session, run, HeadRef(0, 0)) is None
        assert has_attention(session, run)
    publish(engine)
    with read_session(engine) as session:
        assert session.scalars(select(HeadAttentionRow)).all() == []
        run = get_live_run(session, "tiny")
        assert get_attention(session, run, HeadRef(0, 1)) is None
        assert not has_attention(session, run)


def test_damaged_blocks_and_wrong_numbers_are_refused():
    record = attention(HeadRef(0, 1))
    block = pack_attention(record)
    assert_same(unpack_attention(block, record.ref), record)
    with pytest.raises(InvalidStore, match="damaged"):
        unpack_attention(block[:-3], record.ref)
    bad = replace(record, distance=np.array([np.nan]))
    with pytest.raises(ValueError, match=r"distance of L0H1 cannot be stored"):
        pack_attention(bad)

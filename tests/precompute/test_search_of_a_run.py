"""A run that a job published is found by what its features show: tokens, and words of their examples."""

from pathlib import Path

from app.domain.records import FeatureRecord
from app.domain.refs import FeatureRef
from app.domain.tokens import Vocabulary
from app.store.atlas.reads import get_sequences, get_vocabulary
from app.store.database.engine import read_session
from app.store.search import Condition, FiresNear, MovesToken, find_features
from app.store.search_index import TOKENS_AFTER, TOKENS_BEFORE, words_of
from tests.support.tiny_jobs import PublishedAtlas, make_tiny, run


def test_features_of_a_job_are_found_by_word_and_by_token(tmp_path: Path) -> None:
    store = str(tmp_path / "store.sqlite")
    run(make_tiny(tmp_path), store)
    published = PublishedAtlas.open(store)
    words = {
        record.ref: (record, words_of(text_where_it_fires(published, record)))
        for record in published.features(published.layers[0])
        if record.examples
    }
    feature, [word, *_] = next(pair for pair in words.values() if pair[1])
    assert feature.ref in found(published, FiresNear(word))
    assert feature.ref in found(published, MovesToken((int(feature.promoted.token_id[0]),), 1))
    assert found(published, FiresNear("nosuchword")) == []
    published.engine.dispose()


def text_where_it_fires(published: PublishedAtlas, feature: FeatureRecord) -> str:
    """The text around the token of the strongest example, as far as search looks."""
    assert feature.examples is not None
    sequence, position = int(feature.examples.sequence[0]), int(feature.examples.position[0])
    with read_session(published.engine) as session:
        stored = get_vocabulary(session, published.run)
        row = get_sequences(session, published.run, [sequence])[sequence]
    vocabulary = Vocabulary.from_blob(stored.blob)
    shown = [int(token) for token in row[max(1, position - TOKENS_BEFORE + 1) : position + TOKENS_AFTER + 1]]
    return vocabulary.plain_text(shown)


def found(published: PublishedAtlas, condition: Condition) -> list[FeatureRef]:
    with read_session(published.engine) as session:
        return [
            each.feature for each in find_features(session, published.run, [condition], None, None, 10_000)
        ]

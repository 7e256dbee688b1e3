"""The tables that search reads: tokens and words in the order of its results, evidence with an index in that order.

All of it follows from the features: lost, it could be made again.

They refer to runs and not to features: to remove a run, no engine then has to look up each feature in them.
"""

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.store.tables.atlas import Base

_BY_KEY = {"sqlite_with_rowid": False}


def _run_id() -> Mapped[int]:
    return mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)


def _key() -> Mapped[int]:
    return mapped_column(primary_key=True, autoincrement=False)


class FeatureTokenRow(Base):
    """A token that a feature raises (sign 1) or lowers (sign -1). `head` writes most of the feature."""

    __tablename__ = "feature_tokens"
    __table_args__ = (CheckConstraint("sign IN (-1, 1)", name="sign"), _BY_KEY)

    run_id: Mapped[int] = _run_id()
    token_id: Mapped[int] = _key()
    sign: Mapped[int] = _key()
    logit: Mapped[float] = mapped_column(primary_key=True)
    layer: Mapped[int] = _key()
    feature_index: Mapped[int] = _key()
    head: Mapped[int]


class FeatureWordRow(Base):
    """A word near the firing token of `count` of a feature's strongest examples."""

    __tablename__ = "feature_words"
    __table_args__ = (_BY_KEY,)

    run_id: Mapped[int] = _run_id()
    word: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = _key()
    layer: Mapped[int] = _key()
    feature_index: Mapped[int] = _key()
    head: Mapped[int]


class FeatureEvidenceRow(Base):
    """The share of a feature's strongest examples that show a behaviour through one of its heads."""

    __tablename__ = "feature_evidence"
    __table_args__ = (Index(None, "run_id", "kind", "share"), _BY_KEY)

    run_id: Mapped[int] = _run_id()
    kind: Mapped[str] = mapped_column(primary_key=True)
    layer: Mapped[int] = _key()
    feature_index: Mapped[int] = _key()
    head: Mapped[int] = _key()
    share: Mapped[float]

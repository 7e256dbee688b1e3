"""Search for heads by the tokens that they attend to or from beyond the tokens' share of the corpus."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.domain.attention import TokenShares
from app.domain.refs import HeadRef
from app.services.reading.context import AtlasContext
from app.services.search.query import AttendedToken
from app.store.atlas.attention import attention_of_heads

Shares = dict[int, dict[HeadRef, float]]  # of each token that is listed for a head


@dataclass(frozen=True)
class AttendedTokens:
    """The tokens that the run's heads list, with the share of each head's attention on what is no sink."""

    sources: Shares = field(default_factory=dict[int, dict[HeadRef, float]])
    destinations: Shares = field(default_factory=dict[int, dict[HeadRef, float]])


def attended_tokens(context: AtlasContext) -> AttendedTokens:
    """The tokens of all heads of the run; read once while it is live, for it is in the blocks of all heads."""

    def read() -> AttendedTokens:
        tokens = AttendedTokens()
        for kept in attention_of_heads(context.session, context.run):
            _add(tokens.sources, kept.ref, kept.read)
            _add(tokens.destinations, kept.ref, kept.read_from)
        return tokens

    return context.cache.of_run("attended_tokens", context.run, read)


def _add(shares: Shares, head: HeadRef, listed: TokenShares) -> None:
    for token_id, share in zip(listed.token_id.tolist(), listed.share.tolist(), strict=True):
        shares.setdefault(token_id, {})[head] = share


def heads_that_attend(context: AtlasContext, term: AttendedToken) -> Mapping[HeadRef, float]:
    """The heads that fulfil the term, each with the share of its attention on all tokens of that text."""
    tokens = attended_tokens(context)
    shares = tokens.sources if term.is_source else tokens.destinations
    found: dict[HeadRef, float] = {}
    for token_id in context.token_index.find(term.text, term.exactly):
        for head, share in shares.get(token_id, {}).items():
            found[head] = found.get(head, 0.0) + share
    return found

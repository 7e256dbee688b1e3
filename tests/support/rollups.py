"""Roll-ups and comparisons of one annotator by name, made as the pages make them of a viewer's records."""

from app.services.reading.context import AtlasContext
from app.services.rollups.published import Comparison, compare, visible_published
from app.services.rollups.rollup import RollUp, add_up, submitted_heads, with_sensitivity


def roll_up(context: AtlasContext, annotator: str) -> RollUp:
    """The roll-up of one annotator's records, as far as the viewer may see them."""
    heads = submitted_heads(context.records).get(annotator, {})
    model = context.run.record.model
    return with_sensitivity(context, add_up(annotator, heads, model.n_layers, model.n_heads), heads)


def compare_with_published(context: AtlasContext, annotator: str) -> Comparison:
    """A comparison of the annotator's submitted records with published facts, as far as both are visible."""
    return compare(submitted_heads(context.records).get(annotator, {}), visible_published(context))

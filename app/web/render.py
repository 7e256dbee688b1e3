"""Rendering of page dataclasses to HTML: the template environment, its filters and its functions."""

import hashlib
import re
from collections.abc import Callable, MutableMapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension

from app import __version__
from app.domain.annotations.fields import field_specs
from app.domain.annotations.head_types import HEAD_TYPE_NAMES
from app.domain.annotations.records import CONFIDENCES, HeadAnnotation
from app.domain.annotations.roles import ABSTRACTIONS, FAMILY_NAMES
from app.services.annotations.panel import N_KEYS
from app.services.annotations.record_words import NO_LABEL, NOTHING, evidence_view, score_target
from app.web import urls
from app.web.drawing import alt_texts, atlas_choices, charts, display_names, numbers, plots, script_rules
from app.web.drawing import atlas as atlas_drawing
from app.web.drawing import attention as attention_drawing
from app.web.drawing import sheet as sheet_drawing
from app.web.drawing import tokens as token_html
from app.web.links import Links, StaticFiles


def fill_class(value: float | None) -> str:
    """The CSS class of a bar filled to this fraction, in steps of 1/20; style attributes are not allowed."""
    return f"share-{charts.level(value, 1.0, charts.FILL_STEPS)}"


class Page(Protocol):
    """Any page dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[object]]]


FILTERS = {
    "number": numbers.number,
    "activation": numbers.activation,
    "percent": numbers.percent,
    "count": numbers.count,
    "scientific": numbers.scientific,
    "ordinal": numbers.ordinal,
    "time_left": numbers.time_left,
    "duration": numbers.duration,
    "cell_class": atlas_drawing.cell_class,
    "fill_class": fill_class,
    "score_label": display_names.score_label,
    "evidence_label": display_names.evidence_label,
    "ranking_label": display_names.ranking_label,
    "other_ranking": display_names.other_ranking,
    "chosen_word": display_names.chosen_word,
    "role_code": display_names.role_code,
    "type_name": display_names.type_name,
    "family_name": display_names.family_name,
    "evidence_view": evidence_view,
}


# What templates may call: every address of app/web/urls.py, and what draws.
GLOBALS: dict[str, object] = {
    **{name: function for name, function in vars(urls).items() if name.endswith("_url")},
    "any_head": urls.ANY_HEAD,
    "head_type_names": HEAD_TYPE_NAMES,
    "family_names": FAMILY_NAMES,
    "abstractions": ABSTRACTIONS,
    "annotation_rules": script_rules.annotation_rules,
    "annotation_words": script_rules.WORDS,
    "type_in_words": script_rules.form_type_in_words,
    "score_target": score_target,
    "confidences": CONFIDENCES,
    "field_choices": {name: spec.choices for name, spec in field_specs(HeadAnnotation).items()},
    "n_group_keys": N_KEYS,
    "stage_words": display_names.STAGE_WORDS,
    "draw_chart": plots.draw_chart,
    "token_chip": token_html.token_chip,
    "token_chips": token_html.token_chips,
    "lighter": token_html.lighter,
    "token_inside": token_html.token_text,
    "reads_html": token_html.reads_html,
    "fires_html": token_html.fires_html,
    "write_class": token_html.write_class,
    "bars": charts.bars,
    "outline": charts.outline,
    "ticks": charts.ticks,
    "dumbbell": charts.dumbbell,
    "miniature": charts.miniature,
    "split_bar": charts.split_bar,
    "steps": charts.steps,
    "pattern_paths": attention_drawing.pattern_paths,
    "share_of": numbers.share_of,
    "bar_length": charts.bar_length,
    "columns": charts.columns,
    "largest_size": charts.largest_size,
    "shown_evidence": charts.shown_evidence,
    "alignments": display_names.ALIGNMENTS,
    "left_out_words": display_names.left_out_words,
    "heat": charts.heat,
    "score_grid": atlas_drawing.score_grid,
    "notes_grid": atlas_drawing.notes_grid,
    "note_class": atlas_drawing.note_class,
    "type_classes": atlas_drawing.TYPE_CLASSES,
    "head_boxes": atlas_drawing.head_boxes,
    "progress_blocks": atlas_drawing.progress_blocks,
    "zip": zip,
    "product_version": __version__,
}


class Renderer:
    """Renders page dataclasses; a template sees nothing but the fields of its page.

    address_of: for pages of an export, the address of the file for a URL, and None for a URL without a file.
    """

    def __init__(
        self,
        frontend: Path,
        team: bool = False,
        address_of: Callable[[str], str | None] | None = None,
        read_only: bool = False,
    ) -> None:
        self.static = StaticFiles(frontend / "static")
        self.environment = make_environment(
            frontend / "templates", self.static, Links(self.static, address_of)
        )
        # on_disk: pages of an export, which leave out the choices that only a server can answer.
        # read_only: the store cannot be written, which every page says.
        self.environment.globals |= {
            "team": team,
            "on_disk": address_of is not None,
            "read_only": read_only,
        }
        self.build = self._build(frontend / "templates") + ("-read-only" if read_only else "")

    def _build(self, templates: Path) -> str:
        """A digest of version, templates and static files; when it changes, cached pages are out of date."""
        digest = hashlib.sha256(__version__.encode())
        for path in sorted(templates.rglob("*.html")):
            digest.update(path.read_bytes())
        for name, content in self.static.digests.items():
            digest.update(name.encode() + content)
        return digest.hexdigest()[:16]

    def html(self, template: str, page: Page) -> str:
        return self.environment.get_template(template).render(context_of(page))


def context_of(page: Page) -> dict[str, object]:
    """The variables of the template: the fields of the page dataclass."""
    return {field.name: getattr(page, field.name) for field in fields(page)}


class FlatGlobals(Environment):
    """An environment whose templates have their globals in one dict.

    Jinja's own are a chain of two, which each import of a macro goes through name by name: an eighth of drawing a page.
    """

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """The globals of a template."""
        return {**self.globals, **(d or {})}


class Unindent(Extension):
    """A Jinja extension that removes the indentation of templates, which would be sent a thousand times.

    Line breaks stay, also those after blocks, so that a space at which the formatter breaks a line is not
    lost.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002
        return re.sub(r"\n\s+", "\n", source)


def make_environment(templates: Path, static: StaticFiles, links: Links) -> Environment:
    """The template environment.

    It escapes in every file, since choosing by extension would leave .html.j2 unescaped.
    """
    environment = FlatGlobals(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.do", Unindent],
        auto_reload=False,
    )
    environment.filters |= FILTERS
    environment.tests["absent"] = lambda words: words in (NOTHING, NO_LABEL)
    environment.globals |= GLOBALS | sheet_drawing.GLOBALS | alt_texts.GLOBALS | atlas_choices.GLOBALS
    environment.globals |= {
        "static_url": static.url,
        "href": links.href,
        "data_url": links.data_url,
        "stylesheet": links.stylesheet,
        "script": links.script,
    }
    return environment

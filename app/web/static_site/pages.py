"""The files of a static export: of each its URL on the server, and how it is made."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from app.domain.records import RANKINGS
from app.domain.refs import FeatureRef
from app.services.about import about_page
from app.services.annotations.feature_notes import notes_panel
from app.services.atlas.annotation_models import Colouring
from app.services.atlas.models import AtlasPage
from app.services.atlas.page import PLAIN, AtlasView, atlas_page
from app.services.experiments.figures.options import FigureOptions
from app.services.experiments.page import experiment_page, experiments_page, figure_csv
from app.services.features.models import FeaturePage
from app.services.features.page import N_LISTED, feature_page, layer_page
from app.services.heads.annotated import annotated_head
from app.services.heads.attention import AttentionQuestion, attention_page
from app.services.heads.models import HeadPage
from app.services.heads.page import HeadQuestion, head_page
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import NO_VIEWER
from app.services.sheet.files import SHEET_FORMATS, SheetFormat, export_annotations
from app.services.sheet.pages import annotations_page, layers_page, published_page
from app.services.sheet.publication import publication, publication_page
from app.services.sheet.publication_files import PUBLICATION_FORMATS, PublicationFormat, export_publication
from app.services.sheet.selection import DEFAULT_COLUMNS, SheetView
from app.store.atlas.features import list_features
from app.web import urls
from app.web.drawing.sheet import view_query
from app.web.render import Page

COLOURS: tuple[Colouring, ...] = ("type", "groups", "progress")
N_FEATURES = 10  # of a head; its page shows the link to 20 without a target
SHEET = SheetView(columns=DEFAULT_COLUMNS)
_PAGE = 200


@dataclass(frozen=True)
class BundleFile:
    """A file of the export, the URL on the server that it replaces, and its content.

    build: makes the page or the bytes. template: empty if build makes bytes.
    """

    name: str
    address: str
    build: Callable[[], Page | bytes]
    template: str = ""


class Bundle:
    """The files of an exported atlas.

    For PUBLIC it has the submitted annotations, and no others. For NO_VIEWER it has no annotations, no
    published facts and no experiments that rest on roles, so that annotators in blind mode may read it.
    """

    def __init__(self, context: AtlasContext) -> None:
        self._context = context
        self._model = context.run.slug
        self._labels = context.viewer != NO_VIEWER

    def files(self) -> Iterator[BundleFile]:
        """Every file except CSS and scripts. A page is not made until its `build` is called."""
        yield from self._atlas()
        yield from self._heads()
        for sae in self._context.run.record.saes:
            refs = tuple(self._stored_features(sae.layer))
            yield from self._layer(sae.layer, refs)
            yield from self._features(refs)
        yield from self._experiments()
        if self._labels:
            yield from self._annotations()
            yield from self._publication()
            yield from self._summaries()
        yield BundleFile("about.html", "/about", about_page, "pages/about.html")

    def _atlas(self) -> Iterator[BundleFile]:
        template = "pages/atlas.html"
        first = self._atlas_page(None, PLAIN)
        yield BundleFile("index.html", urls.atlas_url(self._model), lambda: first, template)
        for score in first.score_names:
            address = urls.atlas_url(self._model, score=score)
            build = partial(self._atlas_page, score, PLAIN)
            yield BundleFile(f"score-{score}.html", address, build, template)
        for colour in COLOURS:
            address = urls.atlas_url(self._model, colour=colour)
            build = partial(self._atlas_page, None, AtlasView(colour))
            yield BundleFile(f"colour-{colour}.html", address, build, template)

    def _atlas_page(self, score: str | None, view: AtlasView) -> AtlasPage:
        page = atlas_page(self._context, score, view=view)
        return replace(page, jobs=())  # what is still under way is not part of it

    def _heads(self) -> Iterator[BundleFile]:
        for head in self._context.heads:
            for rank in RANKINGS:
                usual = rank == RANKINGS[0]
                name = f"heads/{head.ref}.html" if usual else f"heads/{head.ref}.{rank}.html"
                address = urls.head_url(self._model, head.ref, rank=None if usual else rank)
                question = HeadQuestion(head.ref, rank, N_FEATURES, open_all=True)
                yield BundleFile(name, address, partial(self._head_page, question), "pages/head.html")
            if not self._context.has_attention:
                continue
            yield BundleFile(
                f"heads/{head.ref}.attention.html",
                urls.attention_url(self._model, head.ref),
                partial(attention_page, self._context, AttentionQuestion(head.ref)),
                "pages/attention.html",
            )

    def _head_page(self, question: HeadQuestion) -> HeadPage:
        return annotated_head(self._context, question) if self._labels else head_page(self._context, question)

    def _stored_features(self, layer: int) -> Iterator[FeatureRef]:
        last: FeatureRef | None = None
        while records := list_features(
            self._context.session, self._context.run, layer, limit=_PAGE, after=last
        ):
            yield from (record.ref for record in records)
            last = records[-1].ref

    def _layer(self, layer: int, refs: tuple[FeatureRef, ...]) -> Iterator[BundleFile]:
        ends = [refs[start - 1].index for start in range(N_LISTED, len(refs), N_LISTED)]
        for after in (None, *ends):
            name = f"layers/{layer}.html" if after is None else f"layers/{layer}.after-{after}.html"
            address = urls.layer_url(self._model, layer, after=after)
            build = partial(layer_page, self._context, layer, after)
            yield BundleFile(name, address, build, "pages/layer.html")

    def _features(self, refs: tuple[FeatureRef, ...]) -> Iterator[BundleFile]:
        for ref in refs:
            address = urls.feature_url(self._model, ref)
            build = partial(self._feature_page, ref)
            yield BundleFile(f"features/{ref}.html", address, build, "pages/feature.html")

    def _feature_page(self, ref: FeatureRef) -> FeaturePage:
        page = feature_page(self._context, ref, None)
        return replace(page, annotation=notes_panel(self._context, ref)) if self._labels else page

    def _experiments(self) -> Iterator[BundleFile]:
        """The finished experiments, and a list of them if there are any."""
        page = experiments_page(self._context)
        listed = replace(
            page,
            experiments=tuple(experiment for experiment in page.experiments if experiment.state == "done"),
            runnable=(),  # readers of the files do not have the store
        )
        if listed.experiments:
            address = urls.experiments_url(self._model)
            yield BundleFile("experiments.html", address, lambda: listed, "pages/experiments.html")
        for experiment in listed.experiments:
            yield from self._experiment(experiment.id)

    def _experiment(self, name: str) -> Iterator[BundleFile]:
        page = experiment_page(self._context, name, FigureOptions())
        address = urls.experiment_url(self._model, name)
        yield BundleFile(f"experiments/{name}.html", address, lambda: page, "pages/experiment.html")
        for figure in page.figures:
            file_name = f"experiments/{name}.{re.sub(r'[^A-Za-z0-9_-]', '-', figure.name)}.csv"
            address = urls.experiment_csv_url(self._model, name, figure=figure.name)
            yield BundleFile(file_name, address, partial(figure_csv, figure))

    def _annotations(self) -> Iterator[BundleFile]:
        """The spreadsheet, page by page, and as files in every format."""
        n_parts = annotations_page(self._context, SHEET).n_pages
        for part in range(1, n_parts + 1):
            name = "annotations.html" if part == 1 else f"annotations.part-{part}.html"
            address = urls.annotations_url(self._model, "", **view_query(SHEET, page=part))
            build = partial(annotations_page, self._context, SHEET, part)
            yield BundleFile(name, address, build, "pages/annotations.html")
        for form in SHEET_FORMATS:
            address = urls.annotations_url(self._model, form)
            yield BundleFile(f"annotations.{form}", address, partial(self._sheet, form))

    def _sheet(self, form: SheetFormat) -> bytes:
        return export_annotations(self._context, form).data

    def _publication(self) -> Iterator[BundleFile]:
        """The tables to publish, page by page and as files, of the default annotator and of each annotator."""
        annotators = publication(self._context).annotators
        for number, by in enumerate((None, *annotators)):
            name = f"publish.by-{number}" if by is not None else "publish"
            for part in range(1, publication(self._context, by).n_pages + 1):
                file_name = f"{name}.html" if part == 1 else f"{name}.part-{part}.html"
                address = urls.publication_url(self._model, by=by, page=part if part > 1 else None)
                build = partial(publication_page, self._context, by, part)
                yield BundleFile(file_name, address, build, "pages/publication.html")
            for form in PUBLICATION_FORMATS:
                address = urls.publication_url(self._model, form, by=by)
                yield BundleFile(f"{name}.{form}", address, partial(self._published_file, form, by))

    def _published_file(self, form: PublicationFormat, by: str | None) -> bytes:
        return export_publication(self._context, form, by).data

    def _summaries(self) -> Iterator[BundleFile]:
        """Layer tables and comparisons with published facts, of the default annotator and of each annotator."""
        pages = (
            ("layers", "pages/annotated_layers.html", urls.annotated_layers_url, layers_page),
            ("published", "pages/published.html", urls.published_url, published_page),
        )
        for name, template, address_of, page_of in pages:
            first = page_of(self._context)
            yield BundleFile(f"{name}.html", address_of(self._model), partial(_same, first), template)
            # By number: names of people may hold what names of files cannot.
            for number, by in enumerate(first.annotators, 1):
                build = partial(page_of, self._context, by)
                yield BundleFile(f"{name}.by-{number}.html", address_of(self._model, by=by), build, template)


def _same(page: Page) -> Page:
    return page

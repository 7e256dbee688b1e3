"""The pages that tests open: a new page has its rows here, and the tests of every page then hold for it."""

from app.services.about import AboutPage
from app.services.atlas.annotation_models import HeadCard
from app.services.atlas.models import AtlasPage, IndexPage
from app.services.compare.models import ComparePage
from app.services.features.figure_models import WholeExample
from app.services.features.models import FeaturePage, LayerPage
from app.services.heads.attention_models import AttentionPage
from app.services.heads.models import HeadFeatureRow, HeadPage
from app.services.search.models import SearchPage
from app.store.search_index import N_EXAMPLES
from app.web.error_models import ErrorPage
from app.web.schema import DocsPage

# On the small published run: each page with the dataclass that it is made from.
PAGES = {
    "/tiny": "AtlasPage",
    "/tiny?score=copying": "AtlasPage",
    "/tiny?colour=type": "AtlasPage",
    "/tiny?colour=groups&order=value": "AtlasPage",
    "/tiny?colour=progress": "AtlasPage",
    "/tiny/heads/L0H1/card": "HeadCard",
    "/tiny/heads/L0H1": "HeadPage",
    "/tiny/heads/L0H1?rank=fve&k=3&open=L0F3": "HeadPage",
    "/tiny/heads/L1H2": "HeadPage",
    "/tiny/heads/L0H1/attention": "AttentionPage",
    "/tiny/features/L0F3": "FeaturePage",
    "/tiny/features/L0F3?head=L0H2": "FeaturePage",
    "/tiny/features/L2F80": "FeaturePage",
    "/tiny/features/L0F3?align=token": "FeaturePage",
    "/tiny/layers/2": "LayerPage",
    "/tiny/compare": "ComparePage",
    "/tiny/compare?heads=L0H1": "ComparePage",
    "/tiny/compare?heads=L0H1,L0H3&rank=fve": "ComparePage",
    "/tiny/compare?heads=L0H1,L0H3,L1H0,L2H0": "ComparePage",
    "/tiny/search": "SearchPage",
    "/tiny/search?q=the": "SearchPage",
    "/tiny/search?q=score:induction%3E0.01": "SearchPage",
    "/tiny/search?q=foo:bar": "SearchPage",
    "/embed/tiny/heads/L0H1": "HeadPage",
    "/embed/tiny/features/L0F3": "FeaturePage",
    "/about": "AboutPage",
    "/docs": "DocsPage",
}
# The dataclass that each template draws.
TEMPLATES = {
    "pages/index.html": IndexPage,
    "pages/atlas.html": AtlasPage,
    "pages/head.html": HeadPage,
    "pages/attention.html": AttentionPage,
    "pages/feature.html": FeaturePage,
    "pages/layer.html": LayerPage,
    "pages/compare.html": ComparePage,
    "pages/search.html": SearchPage,
    "embed/head.html": HeadPage,
    "embed/feature.html": FeaturePage,
    "pages/about.html": AboutPage,
    "pages/error.html": ErrorPage,
    "pages/docs.html": DocsPage,
    "partials/attention.html": AttentionPage,
    "partials/error.html": ErrorPage,
    "partials/feature_row.html": HeadFeatureRow,
    "partials/head_card.html": HeadCard,
    "partials/whole_example.html": WholeExample,
}
# JSON addresses with their dataclasses.
JSON_PAGES = {
    "/atlases.json": "IndexPage",
    "/tiny.json": "AtlasPage",
    "/tiny/heads/L0H1.json": "HeadPage",
    "/tiny/heads/L0H1.json?rank=fve&k=2": "HeadPage",
    "/tiny/heads/L1H2.json": "HeadPage",
    "/tiny/heads/L0H1/attention.json": "AttentionPage",
    "/tiny/features/L0F3.json": "FeaturePage",
    "/tiny/features/L2F80.json": "FeaturePage",
    "/tiny/layers/0.json": "LayerPage",
    "/tiny/compare.json": "ComparePage",
    "/tiny/compare.json?heads=L0H1,L0H3&rank=fve": "ComparePage",
    "/tiny/compare.json?heads=L0H1,L1H0,L2H0": "ComparePage",
    "/tiny/search.json": "SearchPage",
    "/tiny/search.json?q=evidence:copying": "SearchPage",
    "/tiny/search.json?q=score:entropy%3C2": "SearchPage",
    "/tiny/search.json?q=%22": "SearchPage",
    "/tiny/prompt.json?text=a&head=L0H1": "PromptPage",
    "/about.json": "AboutPage",
    "/tiny/agreement.json": "AgreementPage",
    "/tiny/layers.json": "AnnotatedLayersPage",
    "/tiny/published.json": "PublishedPage",
    "/tiny/annotations/publish.json": "PublicationPage",
}
# The most queries that a page may cost.
# A frequent word is looked up by each number of examples that it can stand in, the largest first.
MOST_QUERIES = {
    "/tiny": 9,
    "/tiny/heads/L0H0?k=10": 13,
    "/tiny/heads/L0H0?k=11": 13,
    "/tiny/features/L0F3": 12,
    "/tiny/compare?heads=L0H0,L0H1": 7,
    "/tiny/search?q=the+evidence:copying": 9 + N_EXAMPLES,
}
# On the stores of tests in a browser: looked at in three widths and both themes, and by axe.
IN_BROWSER = (
    "/tiny",
    "/tiny/heads/L1H3",
    "/tiny/heads/L0H0",
    "/tiny/heads/L1H3/attention",
    "/tiny/heads/L1H3/history",
    "/tiny/features/L1F3",
    "/tiny/layers/1",
    "/tiny/compare",
    "/tiny/compare?heads=L1H3,L1H5",
    "/tiny/compare?heads=L1H3,L1H5,L0H0,L4H2",
    "/tiny/search",
    "/tiny/search?q=the",
    "/tiny/search?q=score:induction%3E0.01",
    "/tiny?score=entropy&layers=1-4&low=1",
    "/embed/tiny/heads/L1H3",
    "/embed/tiny/features/L1F3",
    "/about",
    "/docs",
    "/none",
)

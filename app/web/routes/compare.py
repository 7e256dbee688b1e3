"""The page that compares up to four heads."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.domain.records import Ranking
from app.domain.refs import HeadRef
from app.errors import AppError
from app.services.compare.models import ComparePage
from app.services.compare.page import MAX_HEADS, compare_page
from app.web.dependencies import AppContextDependency, parse_head
from app.web.responses import redirect_to
from app.web.run_pages import run_page
from app.web.schema import documents
from app.web.urls import compare_url

router = APIRouter()
pages = APIRouter(include_in_schema=False)

HeadsQuery = Annotated[
    str, Query(max_length=200, description="Two to four heads between commas, such as L5H1,L5H5")
]
AddQuery = Annotated[str, Query(max_length=30, description="One more head")]
RankQuery = Annotated[Ranking, Query(description="What to rank the features by")]


class TooManyHeads(AppError):
    """More heads were named than can be compared."""

    status_code = 422


def _parse(heads: str, add: str) -> list[HeadRef]:
    """The named heads in order, without duplicates. Raises PageNotFound and TooManyHeads."""
    named = [part for part in (*heads.split(","), *add.split(",")) if part.strip()]
    refs = list(dict.fromkeys(parse_head(part) for part in named))
    if len(refs) > MAX_HEADS:
        raise TooManyHeads(f"At most {MAX_HEADS} heads can be compared; this address names {len(refs)}.")
    return refs


@router.get("/{model}/compare.json", name="compare_json", responses=documents(ComparePage))
def compare_json(
    request: Request,
    app_context: AppContextDependency,
    model: str,
    heads: HeadsQuery = "",
    rank: RankQuery = "decoder_weight",
) -> Response:
    """The compared heads: their scores, their top features, and the strongest examples of each."""
    refs = _parse(heads, "")
    return run_page(app_context, request, model, lambda context: compare_page(context, refs, rank), "")


@pages.get("/{model}/compare", name="compare")
def show_compare(
    request: Request,
    app_context: AppContextDependency,
    model: str,
    heads: HeadsQuery = "",
    add: AddQuery = "",
    rank: RankQuery = "decoder_weight",
) -> Response:
    refs = _parse(heads, add)
    if add or ",".join(map(str, refs)) != heads:
        return redirect_to(compare_url(model, refs, rank=None if rank == "decoder_weight" else rank))
    return run_page(
        app_context,
        request,
        model,
        lambda context: compare_page(context, refs, rank),
        "pages/compare.html",
    )

"""Citing a feature, one of its examples or an experiment, from its page, in the viewer's record of a head."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.domain.refs import FeatureRef, HeadRef
from app.errors import AppError
from app.services.annotations.citations import (
    CitationChange,
    Citations,
    apply_change,
    cite_experiment,
    parse_change,
)
from app.web.dependencies import AppContextDependency, parse_feature, parse_head
from app.web.responses import refusal, script_response, see_other
from app.web.sessions import ViewerDependency
from app.web.urls import experiment_url, feature_url

pages = APIRouter(include_in_schema=False)


@pages.post("/{model}/features/{feature}/cite", name="cite")
def cite(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    feature: str,
    what: Annotated[str, Form(max_length=40)],
    head: Annotated[str, Form(max_length=30)],
    align: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Save the change and redirect back to the page.

    Scripts get the citations and a message as JSON instead.
    """
    ref, through, change = parse_feature(feature), parse_head(head), parse_change(what)
    scripted = "application/json" in request.headers.get("Accept", "")
    try:
        with app_context.change_atlas(model, viewer) as context:
            cited = apply_change(context, ref, through, change, app_context.now())
    except AppError as error:
        if scripted and error.status_code in (403, 404, 409, 413, 422):
            return script_response({"message": refusal(error)}, error.status_code)
        raise
    if scripted:
        return script_response(_reply(change, ref, through, cited))
    aligned = "token" if align == "token" else None
    address = feature_url(model, ref, head=through, align=aligned, look=viewer.second_look)
    return see_other(f"{address}#cited")


@pages.post("/{model}/experiments/{experiment}/cite", name="cite_experiment")
def cite_an_experiment(
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    experiment: str,
    head: Annotated[str, Form(max_length=30)],
) -> Response:
    """Cite the experiment in the viewer's record of the head, and redirect back to its page."""
    ref = parse_head(head.strip())
    with app_context.change_atlas(model, viewer) as context:
        cite_experiment(context, ref, experiment, app_context.now())
    return see_other(f"{experiment_url(model, experiment)}#cite")


def _reply(change: CitationChange, feature: FeatureRef, head: HeadRef, cited: Citations) -> dict[str, object]:
    what = "the example" if change.place and change.action != "undo" else f"F{feature.index}"
    number = cited.numbers.get(change.place)
    match change.action:
        case "cite":
            message = f"Cited {what} as evidence {number} of your record of {head}."
        case "drop":
            message = f"Took {what} out of your record of {head}."
        case "undo":
            message = f"Undone in your record of {head}."
    # The first version of a record has none before it to go back to.
    undo = f"undo:{cited.version}" if cited.version > 1 else f"drop:{change.place}"
    return {"message": message, "cited": cited.numbers, "undo": None if change.action == "undo" else undo}

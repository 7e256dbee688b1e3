"""What the first visitor would wait for: routes, templates and what a run cannot change, made ready after the start."""

import gc
import threading

from fastapi import FastAPI

from app.errors import AppError
from app.services.atlas.page import atlas_page
from app.services.features.page import feature_page
from app.services.heads.annotated import annotated_head
from app.services.heads.page import HeadQuestion
from app.services.reading.context import AtlasContext, layers_to_annotate
from app.services.reading.visibility import Viewer
from app.store.atlas.reads import list_atlases
from app.web.dependencies import AppContext
from app.web.routes.notes import with_notes

# The server listens before that, so that one that was killed is back as soon as it can be.
AFTER_S = 0.1
N_ATLASES = 3


def warm_soon(application: FastAPI) -> None:
    """Look at each route and draw one page of each of the main kinds, in a thread of its own."""
    timer = threading.Timer(AFTER_S, _warm_and_keep, [application])
    timer.daemon = True
    timer.start()


def _warm_and_keep(application: FastAPI) -> None:
    """Warm, and have the garbage collector not look again at what is there from now on: a page would wait for that."""
    _look_at_routes(application)
    warm(application.state.app_context)
    gc.collect()
    gc.freeze()


def _look_at_routes(application: FastAPI) -> None:
    """FastAPI puts together what the routes of a router declare when it looks for a path among them first."""
    for route in application.routes:
        route.matches({"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": []})


def warm(app_context: AppContext) -> None:
    """Draw the atlas and the pages of a head and a feature, if any, of the first few atlases.

    What fails there fails again.
    """
    try:
        with app_context.session() as session:
            slugs = [atlas.slug for atlas in list_atlases(session) if atlas.run is not None]
        for slug in slugs[:N_ATLASES]:
            with app_context.open_atlas(slug, Viewer(0, "", "admin")) as context:
                _draw(app_context, context)
    except AppError:
        return


def _draw(app_context: AppContext, context: AtlasContext) -> None:
    draw = app_context.renderer.html
    draw("pages/atlas.html", atlas_page(context, None))
    layers = layers_to_annotate(context)
    for ref in [head.ref for head in context.heads if head.ref.layer in layers][:1]:
        head = annotated_head(context, HeadQuestion(ref))
        draw("pages/head.html", head)
        for row in head.features[:1]:
            draw("pages/feature.html", with_notes(context, feature_page(context, row.feature, None)))
    app_context.renderer.environment.get_template("pages/search.html")
    _ = context.token_index  # which a search for tokens reads

"""URLs of pages, for templates and redirects. A test keeps them equal to the routes."""

from collections.abc import Iterable
from urllib.parse import quote, urlencode

from app.domain.refs import FeatureRef, HeadRef


def _with_query(path: str, query: dict[str, object]) -> str:
    parameters = {name: str(value) for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(parameters, safe=',')}" if parameters else path


def atlas_url(model: str, **query: object) -> str:
    return _with_query(f"/{quote(model, safe='')}", query)


# What a head's page shows where its address does not say.
_HEAD_DEFAULTS: dict[str, object] = {"rank": "decoder_weight", "k": 10, "align": "prefix"}


def _head_path(model: str, head: HeadRef, below: str, query: dict[str, object]) -> str:
    parameters = {name: value for name, value in query.items() if _HEAD_DEFAULTS.get(name) != value}
    return _with_query(f"/{quote(model, safe='')}/heads/{head}{below}", parameters)


def head_url(model: str, head: HeadRef, **query: object) -> str:
    """The URL of a head's page; parameters at their default are left out."""
    return _head_path(model, head, "", query)


def card_url(model: str, head: HeadRef, **query: object) -> str:
    return _head_path(model, head, "/card", query)


def annotation_url(model: str, head: HeadRef, **query: object) -> str:
    """The URL that the annotation form is sent to, with the query string of the page that it is on."""
    return _head_path(model, head, "/annotation", query)


def attention_url(model: str, head: HeadRef, **query: object) -> str:
    """The URL of what a head attends to; the first group and example are left out."""
    parameters = {name: value for name, value in query.items() if value}
    return _with_query(f"/{quote(model, safe='')}/heads/{head}/attention", parameters)


def history_url(model: str, head: HeadRef, **query: object) -> str:
    return _head_path(model, head, "/history", query)


def feature_url(model: str, feature: FeatureRef, **query: object) -> str:
    return _with_query(f"/{quote(model, safe='')}/features/{feature}", query)


def notes_url(model: str, feature: FeatureRef, **query: object) -> str:
    return _with_query(f"{feature_url(model, feature)}/notes", query)


def cite_url(model: str, feature: FeatureRef, **query: object) -> str:
    return _with_query(f"{feature_url(model, feature)}/cite", query)


def layer_url(model: str, layer: int, **query: object) -> str:
    return _with_query(f"/{quote(model, safe='')}/layers/{layer}", query)


def compare_url(model: str, heads: Iterable[HeadRef], **query: object) -> str:
    listed = ",".join(map(str, heads))
    return _with_query(f"/{quote(model, safe='')}/compare", {"heads": listed or None, **query})


def prompt_url(model: str, **query: object) -> str:
    parameters = {name: value for name, value in query.items() if value != ""}
    return _with_query(f"/{quote(model, safe='')}/prompt", parameters)


def search_url(model: str, query: str, **more: object) -> str:
    return _with_query(f"/{quote(model, safe='')}/search", {"q": query or None, **more})


def annotations_url(model: str, file_format: str = "", **query: object) -> str:
    """The URL of the spreadsheet, as a page or as a file."""
    ending = f".{file_format}" if file_format else ""
    return _with_query(f"/{quote(model, safe='')}/annotations{ending}", query)


def next_url(model: str, **query: object) -> str:
    return _with_query(f"/{quote(model, safe='')}/next", query)


def publication_url(model: str, file_format: str = "", **query: object) -> str:
    """The URL of the annotations to publish, as a page or as a file."""
    ending = f".{file_format}" if file_format else ""
    return _with_query(f"/{quote(model, safe='')}/annotations/publish{ending}", query)


def import_url(model: str) -> str:
    return f"/{quote(model, safe='')}/annotations/import"


def consensus_url(model: str, head: HeadRef) -> str:
    return f"/{quote(model, safe='')}/annotations/settle/{head}"


def annotated_layers_url(model: str, **query: object) -> str:
    return _with_query(f"/{quote(model, safe='')}/layers", query)


def published_url(model: str, **query: object) -> str:
    return _with_query(f"/{quote(model, safe='')}/published", query)


def experiments_url(model: str, **query: object) -> str:
    return _with_query(f"/{quote(model, safe='')}/experiments", query)


def ablation_url(model: str, head: HeadRef) -> str:
    return f"{head_url(model, head)}/ablation"


def experiment_url(model: str, experiment: str, **query: object) -> str:
    return _with_query(f"/{quote(model, safe='')}/experiments/{quote(experiment, safe='')}", query)


def cite_experiment_url(model: str, experiment: str) -> str:
    return f"{experiment_url(model, experiment)}/cite"


def experiment_csv_url(model: str, experiment: str, **query: object) -> str:
    return _with_query(f"{experiment_url(model, experiment)}.csv", query)


# Stands for any head while a URL is made: no model has it.
ANY_HEAD = HeadRef(10**9, 10**9)


def any_head_url(url: str) -> str:
    """A URL made with `ANY_HEAD`, turned into a template in which a script replaces {head} by the name of a head."""
    return url.replace(str(ANY_HEAD), "{head}", 1)

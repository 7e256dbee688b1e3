"""The page of a head in a browser: what its keys are told, and what they leave in the store."""

import re
import uuid

from playwright.sync_api import expect

from app.domain.annotations.records import FeatureLabel, Group, HeadAnnotation
from app.services.annotations.saving import Save, save
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store.annotators import ensure_annotator
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, write_session
from tests.support.annotated_atlas import NOW
from tests.support.run_data import RunShape, make_run

HEAD, NEXT = "/tiny/heads/L0H0", "/tiny/heads/L0H1"
RUN = make_run("tiny", 1, RunShape(n_layers=2, n_heads=3, sae_layers=(0, 1)))


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


class Keyboard:
    """Counts every key that goes down, Control included."""

    def __init__(self, page):
        self.page, self.count = page, 0

    def press(self, *keys):
        for key in keys:
            self.count += 1 + key.count("+")
            self.page.keyboard.press(key)


def wait_until_saved(page):
    """Waits until the last thing that the page says is that it has saved."""
    expect(page.locator("#saved")).to_have_text(re.compile(r"^saved \d\d:\d\d:\d\d$"), timeout=15000)


def wait_until_stored(page):
    """Waits until nothing is under way, whatever else the page says beside it."""
    expect(page.locator("#saved")).to_have_text(
        re.compile(r"(^|, )saved \d\d:\d\d:\d\d$|done$"), timeout=20000
    )


def record(page, path=HEAD):
    answer = page.request.get(f"{page.url.split('/tiny')[0]}{path}/annotation.json")
    return answer.json()["record"]


def content(page, path=HEAD):
    return record(page, path)["content"]


def labels(page, path=HEAD):
    return [each["group"] for each in content(page, path)["labels"]]


def names_on_keys(page):
    """The names of the groups by the key of each."""
    return {
        item.locator("kbd").inner_text(): item.locator("[name=group_name]").input_value()
        for item in page.locator("#groups li").all()
        if item.locator("kbd").inner_text()
    }


def label_of(store, head, names):
    """A record of the local annotator, whose first features are in groups of these names."""
    engine = open_store(store)
    features = RUN.rankings[head, "decoder_weight"].features
    groups = tuple(Group(name) for name in dict.fromkeys(names))
    marks = tuple(FeatureLabel(each.ref, name) for each, name in zip(features, names, strict=False))
    with write_session(engine) as session:
        me = Viewer.of(ensure_annotator(session, "me", NOW, "admin"))
        context = AtlasContext(session, get_live_run(session, "tiny"), me)
        save(context, Save(head, HeadAnnotation(groups, marks), 0, str(uuid.uuid4()), "submitted"), NOW)
    engine.dispose()

"""All 50,257 tokens of GPT-2 on one page of a real browser: each has its own title, and none runs or loads a thing."""

import pytest
from playwright.sync_api import Browser

from app.adapters.tokenizers import HuggingFaceTokenizer
from app.web.drawing.tokens import token_chip
from tests.support.counts import count
from tests.support.gpt2_vocabulary import N_TOKENS, gpt2_tokenizer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SEEN = """() => {
  const within = [...document.querySelectorAll("body *")];
  const chips = within.filter((each) => each.localName === "bdi");
  return {
    chips: chips.length,
    titles: new Set(chips.map((chip) => chip.title)).size,
    shown: chips.filter((chip) => chip.getClientRects().length > 0).length,
    elements: [...new Set(within.map((each) => each.localName))].sort(),
    attributes: [...new Set(within.flatMap((each) => each.getAttributeNames()))].sort(),
  };
}"""


def test_c01_each_token_of_gpt2_is_inert_and_has_a_title_of_its_own(chromium: Browser) -> None:
    vocabulary = HuggingFaceTokenizer(gpt2_tokenizer(), "gpt2").vocabulary(N_TOKENS)
    chips = "".join(token_chip(vocabulary.view(token_id)) for token_id in range(N_TOKENS))
    page = chromium.new_page()
    happened: list[str] = []
    page.on("request", lambda request: happened.append(request.url))
    page.on("dialog", lambda dialog: (happened.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: happened.append(str(error)))
    page.set_content(f"<!doctype html><meta charset=utf-8><body>{chips}")
    seen = page.evaluate(SEEN)
    page.close()
    assert seen == {
        "chips": N_TOKENS,
        "titles": N_TOKENS,
        "shown": N_TOKENS,
        "elements": ["b", "bdi"],
        "attributes": ["class", "title"],
    }
    assert happened == []
    count("inert tokens", seen["titles"])

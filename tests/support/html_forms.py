"""The annotation form as a browser without scripts fills and sends it."""

from bs4 import SoupStrainer

from tests.support.soups import soup

HEAD = "/tiny/heads/L0H1"
CONTROLS = SoupStrainer(["form", "input", "select", "textarea"])


def page_of(client, path=HEAD):
    return soup(client.get(path).text)


def _value(tag):
    if tag.name == "textarea":
        return tag.text.removeprefix("\n")
    if tag.name == "select":
        chosen = tag.select_one("[selected]") or tag.select_one("option")
        return chosen.get("value", chosen.text)
    return tag.get("value", "")


def fields_of(html):
    """Name -> value, or list of values, of every control that the browser would send."""
    page = soup(html, CONTROLS)
    form = page.select_one("#annotation")
    fields = {}
    for tag in page.select("input, select, textarea"):
        if not (tag.get("form") == "annotation" or form in tag.parents) or not tag.get("name"):
            continue
        if tag.get("type") in ("checkbox", "radio") and not tag.has_attr("checked"):
            continue
        name = tag["name"]
        if name in fields:
            fields[name] = [
                *(fields[name] if isinstance(fields[name], list) else [fields[name]]),
                _value(tag),
            ]
        else:
            fields[name] = _value(tag)
    return fields


def press(client, action, changes, path=HEAD):
    """Load the page, change fields of its form, and press a button."""
    fields = {**fields_of(client.get(path).text), **changes, "action": action}
    return client.post(f"{path}/annotation", data=fields)


def button(client, action, path=HEAD):
    return page_of(client, path).select_one(f'#annotation button[value="{action}"]')


def say(response):
    return soup(response.text).select_one(".warning").text


def record(client, path=HEAD):
    """The stored record of the head, as JSON."""
    return client.get(f"{path}/annotation.json").json()["record"]


def first_label(client):
    """The name of the field that labels the head's first feature."""
    return next(name for name in fields_of(client.get(HEAD).text) if name.startswith("label:"))

"""Pages of annotations as a client sees them."""

from tests.support.soups import soup as parsed


def soup_of(client, path):
    response = client.get(path)
    assert response.status_code == 200, response.text
    return parsed(response.text)


def shown_rows(client, query=""):
    """The rows of the spreadsheet page as lists of text."""
    found = soup_of(client, f"/tiny/annotations{query}").select(".sheet tbody tr")
    return [[cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])] for row in found]

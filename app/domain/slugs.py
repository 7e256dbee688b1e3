"""Slugs: the names of atlases in addresses."""

import re
import unicodedata

from app.errors import AppError

MAX_SLUG = 80
# Every first segment that the server uses itself, now or soon: an atlas of that name could not be reached.
RESERVED_SLUGS = (
    "about",
    "admin",
    "annotators",
    "api",
    "assets",
    "atlases",
    "docs",
    "embed",
    "embeds",
    "favicon-ico",
    "healthz",
    "help",
    "jobs",
    "login",
    "logout",
    "me",
    "metrics",
    "new",
    "openapi",
    "openapi-json",
    "progress",
    "readyz",
    "redoc",
    "robots-txt",
    "search",
    "settings",
    "static",
    "status",
    "tutorial",
)
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)


class InvalidSlug(AppError):
    """The text cannot name an atlas."""


def slugify(name: str) -> str:
    """The slug of a model name or folder: its last path segment in lower case, other characters as hyphens.

    Raises InvalidSlug when nothing is left, or the result is reserved.
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    plain = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower())[:MAX_SLUG].strip("-")
    if not slug:
        raise InvalidSlug(
            f"{name[:60]!r} has no letters or digits to make an atlas name of; give one with --name"
        )
    return check_slug(slug)


def check_slug(slug: str) -> str:
    """The slug itself. Raises InvalidSlug when it is malformed, too long or reserved."""
    if len(slug) > MAX_SLUG or not _SLUG.fullmatch(slug):
        raise InvalidSlug(
            f"{slug[:60]!r} is not an atlas name: use at most {MAX_SLUG} of a-z, 0-9 and single hyphens"
        )
    if slug in RESERVED_SLUGS:
        raise InvalidSlug(f"{slug!r} is reserved for a page of the server; give another name with --name")
    return slug

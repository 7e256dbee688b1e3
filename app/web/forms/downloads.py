"""Responses with files to download: media types and file names in headers."""

import re
from urllib.parse import quote

from starlette.responses import Response

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "tex": "application/x-tex; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def content_disposition(file_name: str) -> str:
    """A Content-Disposition header as in RFC 6266, with an ASCII name for old clients and the exact one.

    Both are escaped, so that no name can end the header.
    """
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", file_name)
    exact = quote(file_name.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"


def download(data: bytes, file_name: str, file_format: str, headers: dict[str, str]) -> Response:
    all_headers = {**headers, "Content-Disposition": content_disposition(file_name)}
    return Response(data, media_type=MEDIA_TYPES[file_format], headers=all_headers)

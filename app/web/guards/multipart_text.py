"""The text of multipart forms: UTF-8, or refused, since the framework would read any other bytes as Latin 1."""

from codecs import getincrementaldecoder

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import Message, Receive

_Decoder = getincrementaldecoder("utf-8")
_UTF8 = (b"", b"utf-8", b"utf8", b"us-ascii")


class MultipartText:
    """The body of a multipart form on its way to the framework, whose fields are read along; files are not.

    From the first byte on that is no UTF-8, or a part that names another charset, the client seems to have left: the
    framework then ends the request without having read a form, and is_text is False.
    """

    def __init__(self, receive: Receive, content_type: str) -> None:
        self.is_text = True
        self._receive = receive
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._decoder = _Decoder()
        self._is_file = False
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        self._parser = self._make_parser(boundary) if boundary else None

    def _make_parser(self, boundary: bytes) -> MultipartParser | None:
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._look_at_headers,
                    "on_part_data": self._read,
                    "on_part_end": self._end,
                },
            )
        except FormParserError:
            return None  # the framework will say what is wrong

    async def receive(self) -> Message:
        """The next message of the request, or that its client has left."""
        message = await self._receive()
        if self.is_text and self._parser is not None and message["type"] == "http.request":
            try:
                self._parser.write(message.get("body", b""))
            except UnicodeDecodeError:
                self.is_text = False
            except FormParserError:
                self._parser = None
        return message if self.is_text else {"type": "http.disconnect"}

    def _begin(self) -> None:
        self._headers, self._name, self._value = {}, b"", b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _look_at_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._is_file, self._decoder = b"filename" in options, _Decoder()
        if self._is_file:
            return
        _ = options.get(b"name", b"").decode()
        _, kind = parse_options_header(self._headers.get(b"content-type", b""))
        charset = kind.get(b"charset", b"").lower()
        if charset not in _UTF8:
            raise UnicodeDecodeError("utf-8", charset, 0, len(charset), "the part names another charset")

    def _read(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._decoder.decode(data[start:end])

    def _end(self) -> None:
        if not self._is_file:
            self._decoder.decode(b"", final=True)

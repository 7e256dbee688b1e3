"""Counts of requests for Prometheus: by route, status and time taken."""

import threading
from collections import Counter

from app import __version__

BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = frozenset(("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"))


class Metrics:
    """Counts since the server started, in its one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._buckets: Counter[tuple[str, float]] = Counter()
        self._seconds: Counter[str] = Counter()
        self._under_way = 0

    def begin(self) -> None:
        """Count a request that has come in."""
        with self._lock:
            self._under_way += 1

    def end(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that has been answered."""
        with self._lock:
            self._under_way -= 1
            self._requests[method if method in _METHODS else "other", route, status] += 1
            self._seconds[route] += seconds  # pyright: ignore[reportArgumentType] - a Counter adds floats as well
            for bound in BUCKETS_S:
                self._buckets[route, bound] += seconds <= bound

    def text(self) -> str:
        """The counts in the text format of Prometheus."""
        with self._lock:
            requests, buckets = dict(self._requests), dict(self._buckets)
            seconds, under_way = dict(self._seconds), self._under_way
        lines = [
            *_head("head_atlas_info", "gauge", "The version of the server"),
            f'head_atlas_info{{version="{__version__}"}} 1',
            *_head("head_atlas_requests_under_way", "gauge", "Requests that are being answered"),
            f"head_atlas_requests_under_way {under_way}",
            *_head("head_atlas_requests_total", "counter", "Requests answered"),
        ]
        for (method, route, status), count in sorted(requests.items()):
            lines.append(
                f'head_atlas_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}'
            )
        lines += _head("head_atlas_request_seconds", "histogram", "Time to answer")
        for route, total in sorted(seconds.items()):
            count = sum(n for (_, of, _), n in requests.items() if of == route)
            bounds = [(f"{bound:g}", buckets[route, bound]) for bound in BUCKETS_S]
            for bound, n in (*bounds, ("+Inf", count)):
                lines.append(f'head_atlas_request_seconds_bucket{{route="{route}",le="{bound}"}} {n}')
            lines.append(f'head_atlas_request_seconds_sum{{route="{route}"}} {total:.6f}')
            lines.append(f'head_atlas_request_seconds_count{{route="{route}"}} {count}')
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, words: str) -> list[str]:
    return [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]

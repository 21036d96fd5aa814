"""Errors of filesystems that are not ours: which say that a server is away, and what of them may be told.

They quote addresses with keys and tokens in them. What is told goes into event logs, tables and alerts: the errors
themselves are therefore never chained to ours (`raise … from None`), and their texts are cleaned.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from resources.sources.base import SourceError, SourceUnreachable

MOST_CHARS = 300
LEAST_SECRET = 4  # characters; a shorter option would turn every text into asterisks
HIDDEN = "***"

# Base classes of requests, aiohttp, botocore, azure-core, httpx, urllib3 and paramiko: what no answer came from.
AWAY_NAMES = frozenset({
    *("ConnectionError", "Timeout", "gaierror", "ClientConnectionError", "ConnectTimeoutError", "ReadTimeoutError"),
    *("ConnectionClosedError", "ServiceRequestError", "ServiceResponseError", "NetworkError", "TimeoutException"),
    *("MaxRetryError", "NewConnectionError", "NoValidConnectionsError"),
})  # fmt: skip
AWAY_NUMBERS = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.ETIMEDOUT})
AWAY_STATUSES = frozenset({429, 500, 502, 503, 504})

NO_LOGIN = frozenset({"github", "git"})  # github://organisation:repository@branch

_AUTHORITY = re.compile(r"([\w+.-]+)://([^/]*)")
_USERINFO = re.compile(r"//[^/\s@'\"]*@")
_QUERY = re.compile(r"\?[^\s'\"]+")
_NAMED = re.compile(
    r"([\w-]*(?:token|secret|passw|pwd|signature|credential|delegation|authorization|api[_-]?key|access[_-]?key)[\w-]*"
    r"['\"]?\s*[=:]\s*)[^\n,;)&]+",
    re.IGNORECASE,
)
_IN_QUERY = re.compile(
    r"\?.*(token|secret|passw|pwd|sig|key|credential|delegation|auth)[^=&]*=.", re.IGNORECASE | re.DOTALL
)


def holds_credentials(path: str) -> bool:
    """Whether a URL, or one of several chained ones, has a password or a token in it."""
    logins = [scheme for scheme, authority in _AUTHORITY.findall(path) if re.search(r":[^@]*@", authority)]
    return bool(set(logins) - NO_LOGIN) or ("://" in path and bool(_IN_QUERY.search(path)))


def source_error(what: str, error: Exception, options: Mapping[str, Any], advice: str) -> SourceError:
    """What is raised instead of a foreign error, `from None`.

    Args:
        what: names the source or file, and what cannot be done with it.
        error: the foreign one.
        options: the source's; their values are not repeated.
        advice: where the server has answered.
    """
    said = f"{what}: {cleaned(f'{type(error).__name__}: {error}', options)}"
    if is_away(error):
        return SourceUnreachable(f"{said}. Its server cannot be reached, or does not work: bring it back.")
    return SourceError(f"{said}. {advice}")


def is_away(error: BaseException) -> bool:
    """Whether the server is the matter, not what it was asked."""
    return any(map(_says_away, _chain(error)))


def cleaned(text: str, options: Mapping[str, Any]) -> str:
    """A foreign text without values of options, users, passwords and queries of addresses; its beginning."""
    for value in sorted(set(_values(options)), key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    text = _USERINFO.sub(f"//{HIDDEN}@", text)
    text = _QUERY.sub(f"?{HIDDEN}", text)
    return _NAMED.sub(rf"\1{HIDDEN}", text)[:MOST_CHARS]


def _values(options: Any) -> Iterator[str]:
    """Every text among options, as it is and as it stands in an address."""
    if isinstance(options, Mapping):
        options = options.values()
    if isinstance(options, Iterable) and not isinstance(options, str | bytes):
        for value in options:
            yield from _values(value)
    elif len(text := str(options)) >= LEAST_SECRET and not isinstance(options, bool):
        yield from (text, quote(text), quote(text, safe=""), quote_plus(text))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _says_away(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError) or getattr(error, "errno", None) in AWAY_NUMBERS:
        return True
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return status in AWAY_STATUSES or any(kind.__name__ in AWAY_NAMES for kind in type(error).__mro__)

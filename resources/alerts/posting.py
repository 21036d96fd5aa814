"""Post JSON to a URL that is a secret, in bounded time, whatever the other side does."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_WAIT = 3600.0


@dataclass(frozen=True)
class Answer:
    """How a post went.

    Attributes:
        problem: None if it was taken; else what was wrong, without the URL.
        wait: seconds that the server asks to be left alone.
    """

    problem: str | None
    wait: float = 0.0


def post(url: str, body: Mapping[str, Any], key: str, *, seconds: float) -> Answer:
    """One attempt. Never raises, never follows a redirect: it could lead the secret to another host.

    Args:
        url: where to.
        body: what is sent, as JSON.
        key: sent as `Idempotency-Key`: a receiver can leave out what it has had; an answer may have got lost.
        seconds: within which this returns; name resolution, which has no limit of its own, included.
    """
    answer: list[Answer] = []
    thread = threading.Thread(target=lambda: answer.append(_post(url, body, key, seconds)), daemon=True)
    thread.start()
    thread.join(seconds)
    return answer[0] if answer else Answer(f"no answer within {seconds:g} s")


def _post(url: str, body: Mapping[str, Any], key: str, seconds: float) -> Answer:
    import requests

    headers = {"Idempotency-Key": key, "User-Agent": "llm-assets"}
    try:
        # stream: the body of the answer is never read, however long it is.
        with requests.post(
            url, json=body, headers=headers, timeout=seconds, allow_redirects=False, stream=True
        ) as reply:
            return _judged(reply.status_code, reply.headers)
    except requests.Timeout:
        return Answer(f"no answer within {seconds:g} s")
    except requests.exceptions.SSLError:
        return Answer("its certificate is not accepted")
    except requests.ConnectionError:
        return Answer("cannot be reached")
    except Exception as error:  # the message of any other may hold the URL
        return Answer(f"cannot be asked: {type(error).__name__}")


def _judged(status: int, headers: Mapping[str, str]) -> Answer:
    if 200 <= status < 300:
        return Answer(None)
    if 300 <= status < 400:
        return Answer(f"answered {status}: a redirect, which is not followed")
    return Answer(f"answered {status}", _number(headers.get("Retry-After", "")))


def _number(text: str) -> float:
    return min(float(text), LONGEST_WAIT) if text.isascii() and text.isdigit() else 0.0

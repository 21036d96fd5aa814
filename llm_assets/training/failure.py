"""Why a job failed, left in the run directory for the step that waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from llm_assets.training.jobs import write_json
from llm_assets.training.memory import peak_bytes

FAILURE = "failure.json"
OUT_OF_MEMORY = "OutOfMemory"

# How torch says it: its own allocator on a CPU, C++ under it, and CUDA's libraries.
_NO_MEMORY = (
    "can't allocate memory",
    "cannot allocate memory",
    "std::bad_alloc",
    "out of memory",
    "cublas_status_alloc_failed",
    "could not create a primitive",  # oneDNN, whose status out_of_memory torch does not pass on
)


class TrainingFailure(RuntimeError):
    """A training that cannot go on.

    Args:
        message: names the training, the step and the way out.
        step: at which it happened.
        example_ids: what that step saw.
    """

    def __init__(self, message: str, *, step: int, example_ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.step, self.example_ids = step, tuple(example_ids)


@contextmanager
def told(run: Path) -> Iterator[None]:
    """Write what an exception says to the run directory, and let it pass.

    Of several processes the one that fails first tells: the others only miss it.
    """
    try:
        yield
    except Exception as error:
        if not (run / FAILURE).exists():
            with suppress(OSError):  # a full disk: then the exit code is all that can be said
                write_json(run / FAILURE, described(error))
        raise


@contextmanager
def at_step(step: Callable[[], int]) -> Iterator[None]:
    """Note at an exception in which step it happened, unless it knows."""
    try:
        yield
    except Exception as error:
        vars(error).setdefault("step", step())
        raise


def described(error: Exception) -> dict[str, Any]:
    """An exception as the waiting step reads it: kind, message, step, peak of memory and what was trained on then."""
    step: int | None = getattr(error, "step", None)
    found: dict[str, Any] = {"kind": type(error).__name__, "message": str(error)}
    if is_out_of_memory(error):
        when = f" at step {step}" if step is not None else ""
        found = {
            "kind": OUT_OF_MEMORY,
            "message": f"memory ran out{when}: {str(error).strip().partition(chr(10))[0]}",
        }
    found |= {"step": step, "peak_bytes": peak_bytes()}
    if example_ids := getattr(error, "example_ids", ()):
        found["example_ids"] = list(example_ids)
    return found


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, of the device or of the machine."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _NO_MEMORY)

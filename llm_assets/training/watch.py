"""A training that is watched: each step reported, stopped when told to, when it learns no more, or when it breaks."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from llm_assets.training.devices import Stop
from llm_assets.training.failure import TrainingFailure
from llm_assets.training.memory import held_bytes
from llm_assets.training.stopping import best_of

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from llm_assets.training.course import Course
    from llm_assets.training.devices import Devices
    from llm_assets.training.reporting import Reporter
    from llm_assets.training.stopping import Patience

RECENT_STEPS = 20  # the rate and the time left are those of the last steps: a first one warms up


class NotFinite(TrainingFailure):
    """The loss, its gradient or the weights are no numbers any more."""


class Watch(TrainerCallback):
    """Reports each step, and decides when it is over.

    Args:
        course: what is trained on.
        report: told of every step.
        label: who is trained.
        here: the devices.
        patience: when to stop early; None: never.

    Attributes:
        stopped: told to stop, before the end.
        stopped_early: there was no progress any more.
        step: that was finished last.
    """

    def __init__(
        self, course: Course, report: Reporter, label: str, here: Devices, patience: Patience | None = None
    ) -> None:
        self._course, self._report, self._label, self._patience = course, report, label, patience
        self._tokens_until = course.tokens_until()
        self._stop = Stop(here)
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT_STEPS + 1)
        self._shown: dict[str, float] = {}
        self._started, self._first_step = time.monotonic(), 0
        self._ended: float | None = None
        self.stopped = self.stopped_early = False
        self.step = 0

    @property
    def steps(self) -> int:
        """Done by this process: one that goes on has not done those before."""
        return self.step - self._first_step

    @property
    def tokens_per_second(self) -> float:
        """Real tokens, without padding, over the whole of this process' training, with its checkpoints."""
        tokens = self._tokens_until[self.step] - self._tokens_until[self._first_step]
        return tokens / max(1e-9, (self._ended or time.monotonic()) - self._started)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._started, self._first_step = time.monotonic(), state.global_step
        self.step = state.global_step
        self._recent.append((self._started, state.global_step))
        self._stop_early(state, control)  # it had stopped, and was killed before there was a result

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._ended = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.step = state.global_step
        if self._stop.agreed() and state.global_step < state.max_steps:
            self.stopped = control.should_save = control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if logs and "eval_loss" in logs:
            self._check(state.global_step, {"validation loss": logs["eval_loss"]})
            self._report.figures({**self._shown, "step": state.global_step, "eval_loss": logs["eval_loss"]})
            self._report.say(f"{self._label}: step {state.global_step}, validation loss {logs['eval_loss']:.4f}")
        elif logs and "loss" in logs:
            self._check(state.global_step, {"loss": logs["loss"], "gradient": logs.get("grad_norm", 0.0)})
            self._show(state, logs)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self._stop_early(state, control) == state.global_step:
            control.should_save = True  # its weights may be the result

    def not_finite(self, step: int, what: str) -> NotFinite:
        """The error that says what is no number at a step, and what that step saw."""
        seen = self._course.seen_in(step)
        return NotFinite(
            f"{self._label}: {what} at step {step}, which saw the examples {', '.join(seen)}. "
            "Lower learning_rate, or look at these examples; the checkpoints before that step are whole",
            step=step,
            example_ids=seen,
        )

    def _stop_early(self, state: TrainerState, control: TrainerControl) -> int | None:
        """Stop where there was no progress for too long. Returns the best step so far; None: it is not asked for."""
        if self._patience is None:
            return None
        best = best_of(state.log_history, self._patience.min_delta)
        if best.since >= self._patience.evaluations:
            self.stopped_early = control.should_training_stop = True
            self._report.say(f"{self._label}: stops early; the loss was lowest at step {best.step}: {best.loss:.4f}")
        return best.step

    def _check(self, step: int, figures: Mapping[str, float]) -> None:
        """Refuse to go on, or to keep a checkpoint, once something is no number.

        Raises:
            NotFinite: it is not.
        """
        for name, value in figures.items():
            if not math.isfinite(value):
                raise self.not_finite(step, f"the {name} is {value}")

    def _show(self, state: TrainerState, logs: dict[str, float]) -> None:
        step, held = state.global_step, held_bytes()
        self._recent.append((time.monotonic(), step))
        (then, first), (now, _) = self._recent[0], self._recent[-1]
        rate = (self._tokens_until[step] - self._tokens_until[first]) / max(1e-9, now - then)
        left = (now - then) / max(1, step - first) * (state.max_steps - step)
        self._shown = {
            "step": step,
            "steps": state.max_steps,
            "loss": logs["loss"],
            "learning_rate": logs["learning_rate"],
            "grad_norm": logs.get("grad_norm", 0.0),
            "tokens_per_second": round(rate, 1),
            "eta_seconds": round(left, 1),
            **({"memory_gb": round(held / 1e9, 3)} if held else {}),
        }
        self._report.figures(self._shown)
        self._report.say(
            f"{self._label}: step {step} of {state.max_steps}, loss {logs['loss']:.4f}, {rate:.0f} tokens/s, "
            f"{left:.0f} s left"
        )

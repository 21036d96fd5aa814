"""How a tuned model is examined, in YAML."""

from __future__ import annotations

from pydantic import Field

from llm_assets.schema import Settings


class EvaluationSettings(Settings):
    """The examination on the held-out examples, base model against tuned model."""

    max_examples: int | None = Field(default=None, ge=1, description="By default all that are held out.")
    max_new_tokens: int | None = Field(default=None, ge=1, description="By default what the longest answer needs.")
    batch: int = Field(default=16, ge=1, description="Examples at once in memory.")
    pool: str = Field(default="evaluate", description="Pool of accelerators.yml: what the examination asks for.")

    @property
    def decisive(self) -> dict[str, object]:
        """What decides the result: not how it is carried out."""
        return self.model_dump(exclude={"batch", "pool"})

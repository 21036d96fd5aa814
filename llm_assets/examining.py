"""Which parts can be examined now. What was never served or trained would fail every night, and alert somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_assets.automation import MANUAL

if TYPE_CHECKING:
    from llm_assets.configs import Configured
    from llm_assets.corpora.settings import CorpusSpec
    from llm_assets.models.settings import FineTuneSpec
    from resources.platform import Platform


def obstacles(platform: Platform, configured: Configured) -> dict[str, str]:
    """`tenant/name` of what cannot be examined to the reason; what fails for another reason is left to its run.

    Models that run by hand only are not looked at: it takes the digest of their base.
    """
    found = {spec.id: _of_corpus(platform, spec) for spec in configured.corpora}
    automatic = (spec for spec in configured.fine_tunes if spec.settings.automation != MANUAL)
    found |= {spec.id: _of_model(platform, spec) for spec in automatic}
    return {name: reason for name, reason in found.items() if reason}


def _of_corpus(platform: Platform, spec: CorpusSpec) -> str | None:
    from llm_assets.corpora import serving

    served = serving.served(platform.state, spec.tenant, spec.name)
    return None if served else f"{spec.id}: nothing is served yet"


def _of_model(platform: Platform, spec: FineTuneSpec) -> str | None:
    from llm_assets.models import fine_tune, training_set
    from resources.model_sources import ModelError

    try:
        fine_tune.newest_run(platform, spec, training_set.load_training_set(platform, spec))
    except fine_tune.UntrainedError as error:
        return str(error)
    except ModelError:
        return None
    return None

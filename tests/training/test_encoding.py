"""What is trained is what is examined: one encoding, whose loss counts on the answer only."""

from __future__ import annotations

import json
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from llm_assets.training.encoding import Encoder
from llm_assets.training.loading import load_tokenizer
from resources.language_model import LanguageModel

TURNS = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]


@pytest.fixture(scope="module")
def tokenizer(smollm2: LanguageModel) -> PreTrainedTokenizerBase:
    return load_tokenizer(str(smollm2.path))


def row(prompt: str = "", completion: str = "", messages: Any = None) -> dict[str, Any]:
    return {"prompt": prompt, "completion": completion, "messages": json.dumps(messages) if messages else None}


def test_an_answer_ends_with_the_end_token(tokenizer: PreTrainedTokenizerBase) -> None:
    encoded = Encoder(tokenizer, 64, chat=False).encode(row("Filed under:", " notices"))
    assert tokenizer.decode(list(encoded.prompt)) == "Filed under:"
    assert tokenizer.decode(list(encoded.completion)) == " notices" + str(tokenizer.eos_token)


def test_messages_use_the_models_own_chat_template(tokenizer: PreTrainedTokenizerBase) -> None:
    encoded = Encoder(tokenizer, 64, chat=False).encode(row("Who?", "Me.", TURNS))
    whole = tokenizer.apply_chat_template(TURNS, tokenize=False)
    assert tokenizer.decode([*encoded.prompt, *encoded.completion]) == whole
    assert str(tokenizer.decode(list(encoded.completion))).startswith("Me.")


def test_chat_makes_turns_of_prompt_and_completion(tokenizer: PreTrainedTokenizerBase) -> None:
    as_chat = Encoder(tokenizer, 64, chat=True).encode(row("Who?", "Me."))
    assert as_chat == Encoder(tokenizer, 64, chat=False).encode(row("Who?", "Me.", TURNS))


def test_text_is_learned_from_its_first_token(tokenizer: PreTrainedTokenizerBase) -> None:
    encoded = Encoder(tokenizer, 64, chat=False).encode(row(completion="To be continued"))
    assert len(encoded.prompt) == 1
    assert str(tokenizer.decode(list(encoded.completion))).startswith("To be continued")


def test_a_long_prompt_loses_its_middle_and_the_answer_stays(tokenizer: PreTrainedTokenizerBase) -> None:
    prompt = "First words. " + "契約 " * 200 + "Last words:"
    encoded = Encoder(tokenizer, 32, chat=False).encode(row(prompt, " notices"))
    assert encoded.shortened
    assert len(encoded) == 32
    kept = str(tokenizer.decode(list(encoded.prompt)))
    assert kept.startswith("First words.")
    assert kept.endswith("Last words:")
    assert str(tokenizer.decode(list(encoded.completion))).startswith(" notices")


def test_messages_need_a_chat_template(tokenizer: PreTrainedTokenizerBase) -> None:
    template, tokenizer.chat_template = tokenizer.chat_template, None
    try:
        with pytest.raises(ValueError, match="no chat template"):
            Encoder(tokenizer, 64, chat=False).encode(row("Who?", "Me.", TURNS))
    finally:
        tokenizer.chat_template = template

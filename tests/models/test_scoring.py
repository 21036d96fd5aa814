"""A score that is blind to a language, or not the published one, says that a model is worse or better than it is."""

from __future__ import annotations

import pytest

from llm_assets.models.scoring import SCORES, accurate, chrf, exact_match, f1, rouge_l, scored, tokens


def test_accurate_forgives_width_case_spacing_and_a_full_stop() -> None:
    assert accurate(" Ｃontracts。\n", "contracts")
    assert not accurate("contracts and terms", "contracts")
    assert not exact_match("Contracts", "contracts")
    assert exact_match(" contracts\n", "contracts")


def test_tokens_are_words_or_characters_where_a_script_has_no_spaces() -> None:
    assert tokens("The lease's end, 2024!") == ["the", "lease", "s", "end", "2024"]
    assert tokens("Café naïve Straße") == ["café", "naïve", "strasse"]
    assert tokens("契約の解除、サーバー API v2") == [*"契約の解除サーバー", "api", "v2"]
    assert tokens("ｻｰﾊﾞｰ") == [*"サーバー"]


def test_f1_is_that_of_squad() -> None:
    """Worked out by hand from its definition: lower case, no articles, no punctuation; by character in Japanese."""
    assert f1("the cat sat", "a cat sat down") == pytest.approx(0.8)
    assert f1("in the Garden.", "garden") == pytest.approx(2 / 3)
    assert f1("dog", "cat") == 0.0
    assert f1("契約を解除", "契約の解除") == pytest.approx(0.8)
    assert f1("", "the") == 1.0


def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence() -> None:
    """Worked out by hand: of 7 and 6 words 6 are common, of 4 and 4 words 2, of 5 and 4 characters 4."""
    assert rouge_l("the cat was found under the bed", "the cat was under the bed") == pytest.approx(0.923076923)
    assert rouge_l("police killed the gunman", "the gunman police killed") == pytest.approx(0.5)
    assert rouge_l("契約の解除", "契約解除") == pytest.approx(0.888888888)
    assert rouge_l("賃貸", "契約") == 0.0


def test_an_empty_answer_scores_nothing() -> None:
    assert not any(scored("", "契約の解除", list(SCORES)).values())
    assert not any(scored(" \n", "contracts", list(SCORES)).values())


def test_chrf_sees_a_part_of_a_word() -> None:
    assert chrf("contracts", "contracts") == pytest.approx(1.0)
    assert 0.5 < chrf("contract", "contracts") < 1.0
    assert 0.2 < chrf("契約を解除", "契約の解除") < 1.0


def test_only_what_is_asked_for_is_scored() -> None:
    assert set(scored("a", "a", ["accuracy", "macro_f1", "loss"])) == {"accuracy"}

"""How far an embedder is trusted with a question."""

from __future__ import annotations

import pytest

from resources.vector_index import dense_trust


@pytest.mark.parametrize(
    ("question", "languages", "expected"),
    [
        ("When does the lease end?", {"en"}, 1.0),
        ("賃貸借契約はいつ終了しますか。", {"en"}, 0.0),
        ("賃貸借契約はいつ終了しますか。", {"ja", "en"}, 1.0),
        ("ｻｰﾊﾞｰの保守", {"ja"}, 1.0),
        ("データセンターの々〆", {"ja"}, 1.0),
        ("租赁合同何时终止？", {"zh"}, 1.0),
        ("계약은 언제 끝납니까", {"en"}, 0.0),
        ("Когда заканчивается договор?", {"ru"}, 1.0),
        ("Wann endet der Mietvertrag?", {"de"}, 1.0),
        ("Ｗｈａｔ ｉｓ ａ ｌｅａｓｅ？", {"en"}, 1.0),
        ("2024-05-01", {"en"}, 0.5),
        ("", {"en"}, 0.5),
        ("賃貸借契約", None, 1.0),
    ],
)
def test_trust_is_the_share_of_letters_that_the_embedder_reads(question, languages, expected):
    assert dense_trust(question, languages) == pytest.approx(expected)


def test_a_mixed_question_lies_in_between_in_proportion():
    little = dense_trust("ProLiant DL380の保証期間は何年ですか", {"en"})
    more = dense_trust("HPE ProLiant DL380 Gen10 Plus iLO firmwareの更新", {"en"})
    assert 0.2 < little < more < 1.0


def test_accents_make_trust_of_an_english_embedder_moderate_and_not_of_a_french_one():
    question = "Où est déposé l'équipement loué"
    assert 0.5 <= dense_trust(question, {"en"}) < 0.9
    assert dense_trust(question, {"fr"}) == 1.0


def test_where_languages_are_unknown_the_tokenizer_speaks_but_never_condemns():
    assert dense_trust("賃貸借契約", None, coverage=0.9) == 0.9
    assert dense_trust("賃貸借契約", None, coverage=0.0) == 0.5
    assert dense_trust("賃貸借契約", {"en"}, coverage=0.9) == 0.0

"""Guards against documents that are chunked and searched by the rules of another language."""

from __future__ import annotations

import pytest

from llm_assets.corpora.parsing.languages import detect
from tests.corpora.parsing.samples import ENGLISH, JAPANESE


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ENGLISH, "en"),
        (JAPANESE, "ja"),
        ("契約書", "ja"),
        ("お問い合わせ", "ja"),
        ("ｹｲﾔｸ", "ja"),
        ("Debian のパッケージ debhelper は apt install で導入します。", "ja"),
        ("合同自双方签字之日起生效", "zh"),
        ("계약은 서명한 날부터 유효하다", "ko"),
        ("Договор вступает в силу со дня подписания", "ru"),
        ("Der Vertrag wird zwischen den folgenden Parteien geschlossen und tritt sofort in Kraft.", "de"),
        ("Le présent contrat est conclu entre les parties suivantes et prend effet immédiatement.", "fr"),
        ("Invoice No. 4711", "en"),
        ("SKU-1 | Tokyo | 3,200\nSKU-2 | Osaka | 1,100\nSKU-3 | Nagoya | 900", "en"),
        ("2026-04-01 100 200", "und"),
    ],
)
def test_short_and_long_text_is_recognised(text: str, language: str) -> None:
    assert detect([text]) == language


def test_the_same_text_always_has_the_same_language() -> None:
    text = "Das Angebot gilt bis Ende Mai; la livraison est prévue en juin; consegna entro luglio."
    assert len({detect([text]) for _ in range(10)}) == 1

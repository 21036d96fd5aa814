"""Guards against text that is stored as other characters than its author wrote."""

from __future__ import annotations

import pytest

from llm_assets.corpora.parsing.encodings import Undecodable, decode
from tests.corpora.parsing.samples import ENGLISH, JAPANESE

JAPANESE_ENCODINGS = ["utf-8", "utf-8-sig", "cp932", "euc_jp", "iso2022_jp", "utf-16", "utf-16-le", "utf-16-be"]
SHORT = "氏名,住所\n佐藤太郎,東京\n髙橋淳,名古屋\n"


@pytest.mark.parametrize("encoding", JAPANESE_ENCODINGS)
def test_japanese_text_decodes_in_every_encoding_in_use(encoding: str) -> None:
    text = f"{ENGLISH}\n{JAPANESE}\n"
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-8", "cp932", "utf-16"])
def test_a_short_csv_of_names_without_kana_decodes(encoding: str) -> None:
    assert decode(SHORT.encode(encoding)) == SHORT


@pytest.mark.parametrize(
    "text",
    [
        "Der Käufer zahlt für die Ware zwölf Euro, Übergabe schließlich in Köln, Größe spät geprüft.",
        "Le contrat est signé à Orléans où le délai dépassé sera pénalisé; réglé après réception.",
        "El año señalado, según la cláusula única, será válido también después de la resolución.",
        "Café Müller",
    ],
)
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le"])
def test_western_text_is_not_taken_for_japanese(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("本合同自双方签字盖章之日起生效，有效期为一年，期满后自动延续。如有争议，双方应协商解决。", "gb18030"),
     ("본 계약은 쌍방이 서명한 날부터 효력이 발생하며 유효기간은 일년으로 한다. 분쟁은 협의로 해결한다.", "euc_kr"),
     ("Договор вступает в силу со дня подписания и действует в течение одного года.", "cp1251")],
)  # fmt: skip
def test_other_scripts_are_not_taken_for_japanese(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding) * 5) == text * 5


def test_a_declared_encoding_is_used_where_it_fits() -> None:
    assert decode("é".encode("mac_roman"), declared="macintosh") == "é"
    assert decode(JAPANESE.encode(), declared="shift_jis") == JAPANESE
    assert decode("①㈱".encode("cp932"), declared="Shift_JIS") == "①㈱"


def test_binary_data_is_not_text() -> None:
    with pytest.raises(Undecodable):
        decode(bytes(range(256)) * 4)

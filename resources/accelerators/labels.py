"""Names in pictures: drawn with the fonts at hand, and a number stands in for what none of them can show."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

# Files of fonts with Japanese that systems commonly have, the best first. By file: matplotlib's own list of fonts is
# made once and does not notice a font that is installed later.
JAPANESE = (
    *("NotoSansCJK-Regular", "NotoSansJP", "SourceHanSans", "ipaexg", "ipag", "TakaoGothic", "VL-Gothic"),
    *("YuGoth", "meiryo", "msgothic", "Hiragino Sans", "NotoSansCJK", "NotoSerifCJK"),
)
LONGEST = 60  # characters of a label


class Labels:
    """Gives each name its label in one picture.

    Attributes:
        stand_ins: what is drawn instead of a name, to the name.
    """

    def __init__(self) -> None:
        self.stand_ins: dict[str, str] = {}
        self._labels: dict[str, str] = {}

    def shown(self, name: str) -> str:
        """The name, shortened if it is long, or `#1`, `#2`, … where no font has its letters."""
        if name not in self._labels:
            self._labels[name] = self._label(name)
        return self._labels[name]

    def _label(self, name: str) -> str:
        drawable = _letters()
        if all(ord(letter) in drawable for letter in name):
            return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
        label = f"#{len(self.stand_ins) + 1}"
        self.stand_ins[label] = name
        return label


@lru_cache(maxsize=1)
def families() -> list[str]:
    """Fonts to draw with: the one that matplotlib brings, then one with Japanese where the system has it."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    files = sorted(findSystemFonts())
    found = (file for start in JAPANESE for file in files if Path(file).name.startswith(start))
    if (file := next(found, None)) is None:
        return ["DejaVu Sans"]
    fontManager.addfont(file)
    return ["DejaVu Sans", fontManager.ttflist[-1].name]


@lru_cache(maxsize=1)
def _letters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    paths = [findfont(FontProperties(family=[family])) for family in families()]
    return frozenset(letter for path in paths for letter in get_font(path).get_charmap())

"""Units to drafts of chunks: as full as the bound allows, parted where the document parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llm_assets.corpora.chunking.blocks import Unit

ENOUGH = 3  # a chunk filled to one third is big enough to end before a heading or a block that fits in no more


@dataclass(frozen=True)
class Draft:
    """A chunk before its tokens are counted exactly. `overlap`: units at its start that the last chunk ends with."""

    units: tuple[Unit, ...]
    overlap: int = 0
    continues_table: bool = False

    @property
    def text(self) -> str:
        """The units' text, after the heading it stands under and its table's header if they aren't in it."""
        body = "".join([self.units[0].text, *(unit.joint + unit.text for unit in self.units[1:])]).strip()
        first = self.body_unit.block
        if self.continues_table and first.header[0]:
            body = f"{first.header[0]}\n{body}"
        prefix = first.prefix[0]
        return f"{prefix}\n{body}" if prefix and prefix not in body else body

    @property
    def body_unit(self) -> Unit:
        """The first unit that is no heading; the first at all if there are only headings."""
        return next((unit for unit in self.units if unit.block.kind != "title"), self.units[0])

    def halves(self) -> tuple[Draft, Draft]:
        """Two drafts of about half the units each."""
        middle = len(self.units) // 2
        right = self.units[middle:]
        continues = right[0].block.kind == "table" and right[0].block is self.units[middle - 1].block
        return Draft(self.units[:middle], 0, self.continues_table), Draft(right, 0, continues)


class Packer:
    """Packs blocks into drafts.

    Args:
        max_tokens: of a chunk, headings and headers that it repeats included.
        overlap_tokens: how much of a paragraph's last sentences the next chunk may repeat.
        joint_cost: tokens of the line breaks between two units.
    """

    def __init__(self, max_tokens: int, overlap_tokens: int, joint_cost: int) -> None:
        self._max, self._overlap_tokens, self._joint_cost = max_tokens, overlap_tokens, joint_cost
        self._drafts: list[Draft] = []
        self._start()

    def pack(self, blocks: Iterable[Sequence[Unit]]) -> list[Draft]:
        """Drafts of all blocks, in order."""
        for units in blocks:
            self._add(units)
        if len(self._units) > self._repeated:
            self._drafts.append(self._draft(self._units))
        return self._drafts

    def _add(self, units: Sequence[Unit]) -> None:
        if not units:
            return
        total = sum(unit.cost for unit in units)
        is_title = units[0].block.kind == "title"
        fits_alone = total + _carried(units[0]) <= self._max
        if self._is_big_enough() and (is_title or (fits_alone and not self._fits(units[0], total))):
            self._flush()
        for index, unit in enumerate(units):
            if self._units and not self._fits(unit, unit.cost):
                self._flush(going_on=index > 0)
                if not self._fits(unit, unit.cost):  # the headings or the overlap taken along leave no room
                    self._flush_or_drop()
            self._append(unit, going_on=index > 0)

    def _append(self, unit: Unit, going_on: bool) -> None:
        if not self._units:
            self._continues_table = going_on and unit.block.kind == "table"
            self._cost = _carried(unit)
        self._units.append(unit)
        self._cost += unit.cost + (self._joint_cost if unit.joint else 0)

    def _fits(self, unit: Unit, cost: int) -> bool:
        return (self._cost if self._units else _carried(unit)) + cost <= self._max

    def _is_big_enough(self) -> bool:
        return self._cost * ENOUGH >= self._max and any(unit.block.kind != "title" for unit in self._units)

    def _flush(self, going_on: bool = False) -> None:
        """End the draft; headings at its end go to the next one, with what they stand over."""
        units = self._units
        kept = len(units)
        while kept and units[kept - 1].block.kind == "title":
            kept -= 1
        kept = kept or len(units)
        if kept > self._repeated:
            self._drafts.append(self._draft(units[:kept]))
        repeated = self._last_sentences(units) if going_on else []
        carried = [*units[kept:], *repeated]
        self._start()
        for unit in carried:
            self._append(unit, going_on=False)
        self._repeated = len(repeated)

    def _flush_or_drop(self) -> None:
        """Make the next draft empty: an overlap is given up, headings become a draft of their own."""
        if len(self._units) > self._repeated:
            self._drafts.append(self._draft(self._units))
        self._start()

    def _last_sentences(self, units: Sequence[Unit]) -> list[Unit]:
        """The overlap: whole sentences of one paragraph, as many as its tokens allow."""
        taken: list[Unit] = []
        left = self._overlap_tokens
        for unit in reversed(units):
            if unit.block.kind != "text" or unit.block is not units[-1].block or unit.cost > left:
                break
            taken.insert(0, unit)
            left -= unit.cost
        return taken

    def _draft(self, units: Sequence[Unit]) -> Draft:
        return Draft(tuple(units), self._repeated, self._continues_table)

    def _start(self) -> None:
        self._units: list[Unit] = []
        self._cost, self._repeated, self._continues_table = 0, 0, False


def _carried(unit: Unit) -> int:
    """Tokens that a chunk beginning with this unit needs for the heading and header it may repeat."""
    return unit.block.prefix[1] + unit.block.header[1]

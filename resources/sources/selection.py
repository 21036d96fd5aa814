"""Which relative paths of a folder are documents: include and exclude globs, hidden and lock files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

# Files that programs leave beside documents: office owner files (~$x.docx) and the desktop's own.
LITTER = re.compile(r"^(?:~\$.*|Thumbs\.db|desktop\.ini)$", re.IGNORECASE)


@dataclass(frozen=True)
class Selection:
    """Globs over relative POSIX paths, with the rules people know from .gitignore.

    `*` and `?` stay within one folder, `**` crosses folders, and a pattern without a slash matches a file name
    at any depth. Hidden files and folders and office lock files are never selected.
    """

    include: tuple[str, ...] = ("**",)
    exclude: tuple[str, ...] = ()

    def takes(self, path: str) -> bool:
        """Whether the file at this relative path is a document."""
        name = path.rsplit("/", 1)[-1]
        if hidden(name) or LITTER.match(name):
            return False
        return bool(self._included.match(path)) and not self._excluded.match(path)

    def enters(self, folder: str) -> bool:
        """Whether anything below this relative folder can be a document."""
        return not hidden(folder.rsplit("/", 1)[-1]) and not self._pruned.match(folder)

    @cached_property
    def _included(self) -> re.Pattern[str]:
        return any_of(self.include)

    @cached_property
    def _excluded(self) -> re.Pattern[str]:
        return any_of(self.exclude)

    @cached_property
    def _pruned(self) -> re.Pattern[str]:
        return any_of([glob.removesuffix("/**") for glob in self.exclude if glob.endswith("/**")])


def hidden(name: str) -> bool:
    return name.startswith(".")


def any_of(globs: Sequence[str]) -> re.Pattern[str]:
    """One pattern that matches what any of the globs matches; no glob matches nothing."""
    return re.compile("|".join(translate(glob) for glob in globs) or r"(?!)", re.DOTALL)


def translate(glob: str) -> str:
    """A glob as a regular expression for a whole relative path."""
    glob = glob.removeprefix("./")
    anchored = glob if "/" in glob else f"**/{glob}"
    parts = re.split(r"(\*\*/|/\*\*$|\*\*|\*|\?|\[[^\]]+\])", anchored)
    return "(?:" + "".join(_translate_part(part) for part in parts) + r")\Z"


def _translate_part(part: str) -> str:
    special = {"**/": "(?:[^/]+/)*", "/**": "/.+", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if part in special:
        return special[part]
    if part.startswith("[") and part.endswith("]") and len(part) > 2:
        return "[" + part[1:-1].replace("\\", r"\\").replace("!", "^", 1) + "]"
    return re.escape(part)

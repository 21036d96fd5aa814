"""`python -m scripts.sample_documents [--check]`."""

from __future__ import annotations

import argparse
import sys

from .check import problems
from .project import DOCUMENTS
from .source import read_sources
from .writers import render


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.sample_documents", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; say what is wrong, exit 1 if anything")
    if parser.parse_args().check:
        found = problems()
        print("\n".join(found) or "nothing wrong")
        return 1 if found else 0
    for source in read_sources():
        target = DOCUMENTS / source.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(render(source))
        print(target.relative_to(DOCUMENTS))
    return 0


if __name__ == "__main__":
    sys.exit(main())

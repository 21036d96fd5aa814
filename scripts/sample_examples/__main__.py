"""`python -m scripts.sample_examples [--check]`."""

from __future__ import annotations

import argparse
import sys

from .examples import EXAMPLES, render


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.sample_examples", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is stale")
    if parser.parse_args().check:
        fresh = EXAMPLES.exists() and EXAMPLES.read_text(encoding="utf-8") == render()
        print("nothing wrong" if fresh else f"{EXAMPLES.name}: stale; run python -m scripts.sample_examples.")
        return 0 if fresh else 1
    EXAMPLES.parent.mkdir(parents=True, exist_ok=True)
    EXAMPLES.write_text(render(), encoding="utf-8")
    print(f"{EXAMPLES.name}: {render().count(chr(10))} examples")
    return 0


if __name__ == "__main__":
    sys.exit(main())

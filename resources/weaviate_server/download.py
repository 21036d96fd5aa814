"""Download the server as the client does: `python -m resources.weaviate_server.download VERSION FOLDER`.

A process of its own, so that it can be ended: the client sets no time-out.
"""

from __future__ import annotations

import socket
import sys
from urllib.error import URLError

CONNECT_SECONDS = 10


def main(version: str, folder: str) -> int:
    """Returns 1, having said why in one line, if it cannot be downloaded."""
    from weaviate.embedded import EmbeddedOptions, EmbeddedV4

    socket.setdefaulttimeout(CONNECT_SECONDS)
    options = EmbeddedOptions(binary_path=folder, persistence_data_path=folder, version=version)
    try:
        EmbeddedV4(options).ensure_weaviate_binary_exists()
    except (URLError, OSError) as error:
        print(f"{getattr(error, 'reason', None) or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Where documents come from: a local folder, any fsspec filesystem (s3://, gs://, memory://), a BEIR folder.

`open_source(...)` gives a small, picklable `Source`; it lists files with a stamp each, and reads one at a time.
A source that cannot be listed completely raises `SourceError`: a half listing would look like deletions.
"""

from resources.sources.base import FileTooLarge, FileVanished, Source, SourceError, SourceFile, SourceUnreachable
from resources.sources.opening import open_source

__all__ = ["FileTooLarge", "FileVanished", "Source", "SourceError", "SourceFile", "SourceUnreachable", "open_source"]

"""The tables of the state database."""

from __future__ import annotations

import sqlalchemy as sa

SCHEMA_VERSION = 1

metadata = sa.MetaData()

schema_info = sa.Table("schema_info", metadata, sa.Column("version", sa.Integer, nullable=False))

# What the project knows of each file of a source. `stamp` is cheap to compare (size and time, or an ETag);
# `parse_key` is the digest of content and parser of the last attempt, `good_key` that of the version whose text the
# documents table holds: they differ when a newer version of the file was quarantined.
documents = sa.Table(
    "documents",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("corpus", sa.String, primary_key=True),
    sa.Column("doc_id", sa.String, primary_key=True),
    sa.Column("uri", sa.String, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("stamp", sa.String, nullable=False),
    sa.Column("content_digest", sa.String),
    sa.Column("parser", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("code", sa.String),
    sa.Column("reason", sa.String),
    sa.Column("media_type", sa.String),
    sa.Column("language", sa.String),
    sa.Column("elements", sa.Integer, nullable=False, default=0),
    sa.Column("good_key", sa.String),
    sa.Column("updated_at", sa.Float, nullable=False),
)

# Which version of each document the chunks table holds.
chunked = sa.Table(
    "chunked",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("corpus", sa.String, primary_key=True),
    sa.Column("doc_id", sa.String, primary_key=True),
    sa.Column("chunk_key", sa.String, nullable=False),
    sa.Column("chunks", sa.Integer, nullable=False),
    sa.Column("digest", sa.String, nullable=False),
)

# Every state of an index that was ever served; the newest row that is not rolled back is served now.
served = sa.Table(
    "served",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("corpus", sa.String, nullable=False),
    sa.Column("collection", sa.String, nullable=False),
    sa.Column("version", sa.BigInteger),
    sa.Column("content", sa.String, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("served_at", sa.Float, nullable=False),
    sa.Column("origin", sa.String, nullable=False),
    sa.Column("retired", sa.Boolean, nullable=False, default=False),
)

# Every promotion of a model; the newest row that is not retired is the promoted version.
promotions = sa.Table(
    "promotions",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("path", sa.String, nullable=False),
    sa.Column("evaluation", sa.JSON, nullable=False),
    sa.Column("promoted_at", sa.Float, nullable=False),
    sa.Column("retired", sa.Boolean, nullable=False, default=False),
)

# A pinned index or model: automation builds, but does not swap, until it is resumed.
pins = sa.Table(
    "pins",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("pinned_at", sa.Float, nullable=False),
)

# What was measured of an index or model: `subject` names the exact state that was measured.
evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("subject", sa.String, primary_key=True),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
    sa.Column("evaluated_at", sa.Float, nullable=False),
)

# URIs that must not come back: `forget` puts them here, and ingestion leaves them out.
forgotten = sa.Table(
    "forgotten",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("corpus", sa.String, primary_key=True),
    sa.Column("doc_id", sa.String, primary_key=True),
    sa.Column("uri", sa.String, nullable=False),
    sa.Column("forgotten_at", sa.Float, nullable=False),
)

# Which documents a trained version of a model has seen.
trained_on = sa.Table(
    "trained_on",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("version", sa.String, primary_key=True),
    sa.Column("corpus", sa.String, primary_key=True),
    sa.Column("doc_id", sa.String, primary_key=True),
)

"""The tables of the state database."""

from __future__ import annotations

import sqlalchemy as sa

SCHEMA_VERSION = 1

metadata = sa.MetaData()

schema_info = sa.Table("schema_info", metadata, sa.Column("version", sa.Integer, nullable=False))

# What a server that several state databases use knows this one by: one row.
installation = sa.Table(
    "installation",
    metadata,
    sa.Column("row", sa.Integer, primary_key=True),
    sa.Column("id", sa.String, nullable=False),
)

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

# Every finished training of a fine-tune, also with parameters changed at launch; the newest is what is examined next.
trained_runs = sa.Table(
    "trained_runs",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("base", sa.String, nullable=False),
    sa.Column("base_digest", sa.String, nullable=False),
    sa.Column("data", sa.String, nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("trained_at", sa.Float, nullable=False),
)

# How much memory trainings took, by what decides it: the next estimate starts from it. `run_out` is the smallest
# grant in bytes that was not enough, `peak` the most that was measured of one device.
memory_peaks = sa.Table(
    "memory_peaks",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("family", sa.String, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("estimated", sa.BigInteger, nullable=False),
    sa.Column("peak", sa.BigInteger),
    sa.Column("run_out", sa.BigInteger),
    sa.Column("measured_at", sa.Float, nullable=False),
)

# From what each promoted version came: written with its promotion, and kept after it.
lineage = sa.Table(
    "lineage",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("version", sa.String, primary_key=True),
    sa.Column("data_version", sa.String, nullable=False),
    sa.Column("config_digest", sa.String, nullable=False),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("code_version", sa.String, nullable=False),
    sa.Column("base", sa.String, nullable=False),
    sa.Column("base_digest", sa.String, nullable=False),
    sa.Column("evaluation", sa.JSON, nullable=False),
    sa.Column("decision", sa.JSON, nullable=False),
    sa.Column("documents", sa.Integer, nullable=False),
    sa.Column("run_key", sa.String, nullable=False),
    sa.Column("dagster_run", sa.String),
    sa.Column("made_at", sa.Float, nullable=False),
)

# What the tracking server has still to be told, in this order; `refused` says why it could not be told.
tracking_outbox = sa.Table(
    "tracking_outbox",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run_key", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("content", sa.JSON, nullable=False),
    sa.Column("noted_at", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("refused", sa.String),
)

# Of what was refused, that which is tried again, and not before `at`.
tracking_put_off = sa.Table(
    "tracking_put_off",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Float, nullable=False),
)

# The runs that the tracking server is told of: `told` is the last step of each figure, so that none is told twice.
tracking_runs = sa.Table(
    "tracking_runs",
    metadata,
    sa.Column("run_key", sa.String, primary_key=True),
    sa.Column("experiment", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("told", sa.JSON, nullable=False),
)

# What was last heard of each tracking server, and the name that it knows this state database by.
tracking_servers = sa.Table(
    "tracking_servers",
    metadata,
    sa.Column("destination", sa.String, primary_key=True),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("reached_at", sa.Float),
    sa.Column("failed_at", sa.Float),
    sa.Column("failure", sa.String),
)

# What people are to be told, once a key and channel: `log`, `slack` or `webhook`. A row is sent until `delivered_at`
# is set, and kept some weeks after that, so that nothing is told twice.
alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("channel", sa.String, primary_key=True),
    sa.Column("alert", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("next_at", sa.Float, nullable=False),
    sa.Column("delivered_at", sa.Float),
    sa.Column("problem", sa.String),
)

# Every finished run that was looked at: why it failed, and when it is tried again, as which run.
finished_runs = sa.Table(
    "finished_runs",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("kind", sa.String),
    sa.Column("retry_at", sa.Float),
    sa.Column("retried_as", sa.String),
    sa.Column("seen_at", sa.Float, nullable=False),
)

# Runs that a sensor has asked for, so that of several daemons one starts them.
requested_runs = sa.Table(
    "requested_runs",
    metadata,
    sa.Column("run_key", sa.String, primary_key=True),
    sa.Column("claimed_at", sa.Float, nullable=False),
)

# Texts that are being embedded now, and by whom: runs that meet the same text at once embed it once.
embedding_claims = sa.Table(
    "embedding_claims",
    metadata,
    sa.Column("embeddings", sa.String, primary_key=True),
    sa.Column("text_digest", sa.String, primary_key=True),
    sa.Column("claimant", sa.String, nullable=False),
)

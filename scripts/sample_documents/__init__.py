"""Makes the sample tenant's documents from the committed text sources.

`python -m scripts.sample_documents` writes `dbt_like_configs/sample/legal/documents`; `--check` writes nothing
and says what is wrong. Every document is written as Markdown under `sources/`, so a binary file is reviewed
through its source.
"""

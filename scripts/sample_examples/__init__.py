"""Makes the training examples of the task *in which folder is this passage filed?*.

The passages are written by hand, one a line, in `passages/<folder>.txt`. `python -m scripts.sample_examples` writes
`dbt_like_configs/sample/document_kind/examples.jsonl`; `--check` writes nothing and exits 1 if that file is stale.
"""

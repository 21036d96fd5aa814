"""Write a tuned model as one: adapters merged into the base model, safetensors, tokenizer. In a process of its own.

python -m llm_assets.training.export JOB.json RUN_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from llm_assets.training import loading
from llm_assets.training.export_job import ExportJob
from llm_assets.training.failure import told
from llm_assets.training.leaving import leave


def export(job: ExportJob) -> None:
    """Write weights, configuration and tokenizer into the target; in main memory: no device is needed."""
    from peft import PeftModel

    loading.quiet_libraries()
    model, tokenizer = loading.load_tuned(job.model, job.weights, device_map={"": "cpu"})
    if isinstance(model, PeftModel):
        model = model.merge_and_unload(safe_merge=True)  # refuses weights that are no numbers
    model.save_pretrained(job.target, max_shard_size=job.shard)
    tokenizer.save_pretrained(job.target)


if __name__ == "__main__":
    job_file, run_folder = map(Path, sys.argv[1:])
    with told(run_folder):
        export(ExportJob.read(job_file))
    leave()

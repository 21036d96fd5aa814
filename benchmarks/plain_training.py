"""The script that one would write: transformers' Trainer and PEFT, padded batches. Prints real tokens a second.

python -m benchmarks.plain_training MODEL ROWS.json STEPS BATCH MAX_TOKENS FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main(model: str, rows: str, steps: int, batch: int, max_tokens: int, folder: str) -> None:
    """Train, and print the rate of the training alone."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        DataCollatorForSeq2Seq,
        Trainer,
        TrainingArguments,
    )

    from llm_assets.training.loading import has_bf16
    from resources.threads import cpu_threads

    torch.set_num_threads(cpu_threads(None))
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    encoded = []
    for prompt, completion in json.loads(Path(rows).read_text(encoding="utf-8")):
        given, answer = (tokenizer(part)["input_ids"] for part in (prompt, completion + tokenizer.eos_token))
        ids, labels = (given + answer)[:max_tokens], ([-100] * len(given) + answer)[:max_tokens]
        encoded.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels})
    seen = encoded[: steps * batch]
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    arguments = TrainingArguments(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=batch,
        learning_rate=1e-3,
        bf16=has_bf16(),
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    collate = DataCollatorForSeq2Seq(tokenizer)
    trainer = Trainer(get_peft_model(base, lora), arguments, data_collator=collate, train_dataset=seen)  # type: ignore[arg-type]
    started = time.monotonic()
    trainer.train()
    print(sum(len(one["input_ids"]) for one in seen) / (time.monotonic() - started))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])

"""Writing text by `ft.generate` and by transformers' own `generate`: `python tests/benchmarks/generation.py`.

The same network, prompts and draws, both with a cache of keys and values, greedy and by temperature and top-p: both
must write the same texts. They take turns in one process; each round gives one ratio. One prompt, and eight of
different lengths at once. Counted is the processor time of the process.

Expected: at transformers' speed or better.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import Any

import torch

import ftkit as ft

PROMPTS = ("Day 12. Wind", "The cook", "We saw land at noon, and then", "Once there was a small ship that", "Rain",
           "All hands", "The captain said that nobody", "In the evening")
NEW = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--backbone", default="gpt2-mini")
    args = parser.parse_args()
    data = ft.load_data("logbook", task="causal-lm", limit=4)
    model = ft.load_backbone(args.backbone, data.task)
    model.processor.padding_side = "left"
    for prompts in (PROMPTS[:1], PROMPTS):
        for greedy in (True, False):
            rows = [_round(model, list(prompts), greedy) for _ in range(args.repeats + 1)][1:]  # the first warms up
            ours, theirs = (median(1000 * row[i] / row[2] for row in rows) for i in (0, 1))
            ratio = median(row[1] / row[0] for row in rows)
            print(f"{len(prompts)} prompt{'s' * (len(prompts) > 1)}, {'greedy' if greedy else 'top-p 0.9'}: ftkit "
                  f"{ours:.2f} ms per step, transformers {theirs:.2f}: {ratio:.2f}x ({rows[0][2]} steps)")


def _round(model: Any, prompts: list[str], greedy: bool) -> tuple[float, float, int]:
    """Processor seconds of both, and how many tokens the longest text got; they must agree."""
    began = time.process_time()
    written = _by_ftkit(model, prompts, greedy)
    between = time.process_time()
    theirs = _by_transformers(model, prompts, greedy)
    ended = time.process_time()
    if [found.text for found in written] != theirs:
        raise SystemExit(f"They do not agree: {written} / {theirs}")
    return between - began, ended - between, max(found.tokens for found in written)


def _by_ftkit(model: Any, prompts: list[str], greedy: bool) -> list[Any]:
    controls = {"temperature": 0.0} if greedy else {"temperature": 0.8, "top_p": 0.9}
    return list(ft.generate(model, prompts, max_new_tokens=NEW, **controls))


def _by_transformers(model: Any, prompts: list[str], greedy: bool) -> list[str]:
    start = model.processor.decode([model.processor.eos_token_id])  # what every text of its training began with
    batch = model.processor([start + prompt for prompt in prompts], return_tensors="pt", padding=True)
    controls = {"do_sample": False} if greedy else {"do_sample": True, "temperature": 0.8, "top_p": 0.9, "top_k": 0}
    with torch.no_grad():
        torch.manual_seed(0)  # as ftkit does
        ids = model.net.generate(**batch, max_new_tokens=NEW, pad_token_id=model.processor.eos_token_id, **controls)
    return model.processor.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)


if __name__ == "__main__":
    main()

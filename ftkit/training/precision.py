"""Which number format the matrix products use, and on which device."""

from __future__ import annotations

import contextlib

import torch

from ftkit.errors import UserError, check_name

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware (AVX512-BF16 or AMX): two to three times faster here."""
    facts: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    if facts:
        return bool(facts.get("avx512_bf16") or facts.get("amx_bf16") or facts.get("bf16"))
    return bool(torch.cpu._is_avx512_bf16_supported())


def choose_precision(wanted: str, device: torch.device, mixed: bool = True) -> str:
    """ "fp32", "bf16" or "fp16". Weights and the optimizer stay in fp32; only products are computed in less.

    Raises:
        UnknownName: Not one of auto, fp32, bf16, fp16.
        UserError: fp16 without a GPU: its range is too small without hardware and loss scaling. 16 bits for a task
            whose network does not take them (`mixed` is False).
    """
    check_name("precision", wanted, PRECISIONS)
    if not mixed:
        if wanted not in ("auto", "fp32"):
            raise UserError(f"precision={wanted!r}: this network computes in fp32. Leave precision out.")
        return "fp32"
    if wanted == "fp16" and device.type == "cpu":
        raise UserError("fp16 needs a GPU. On a CPU use bf16 or fp32, or auto.")
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if device.type == "cpu" and cpu_has_bf16() else "fp32"


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """The context in which a forward pass runs: products in `precision`."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=_DTYPES[precision])


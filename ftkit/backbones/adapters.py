"""Adapters on disk, as peft writes them: without the base's weights; load_backbone and peft both open the folder."""

from __future__ import annotations

import copy
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ftkit.backbones.quiet import quiet_transformers
from ftkit.backbones.saving import FACTS, WEIGHTS, model_facts
from ftkit.disk import atomic_folder
from ftkit.errors import FtkitError, UserError, WeightsError

if TYPE_CHECKING:
    from ftkit.backbones.model import Model

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."  # peft's, before the name of every tensor
_PROMPT, _PROMPT_PREFIX = "prompt_embeddings", "base_model."  # and for prompts
_TASKS = {"text-classification": "SEQ_CLS", "causal-lm": "CAUSAL_LM"}


@dataclass(frozen=True)
class Held:
    """Adapters in a folder.

    Args:
        folder: Where they lie.
        base: What `load_backbone` opens for the rest of the network.
        digest: Of the base's weights; None if the folder does not say (peft's own).
    """

    folder: Path
    base: str
    digest: int | None


def held_adapters(folder: str | Path) -> Held | None:
    """What a folder of adapters says of itself; None for any other folder.

    Raises:
        WeightsError: It does not say what it was trained on.
    """
    place = Path(folder)
    if not (place / ADAPTER_CONFIG).is_file():
        return None
    facts = _read(place / FACTS) if (place / FACTS).is_file() else {}
    base = facts.get("base") or _read(place / ADAPTER_CONFIG).get("base_model_name_or_path")
    if not base:
        raise WeightsError(f"{place / ADAPTER_CONFIG} does not name the model that the adapters belong to.")
    return Held(place, str(base), facts.get("base_digest"))


def save_adapters(model: Model, folder: str | Path) -> Path:
    """Write the adapters and the head, in peft's format, with the tokenizer or preprocessing beside them.

    Raises:
        DiskError: The disk is full or the folder cannot be written. An older save is left as it was.
    """
    from safetensors.torch import save_file

    config = copy.deepcopy(model.adapters)
    heads = {name.rpartition(".")[0] for name in model.layers["head"].parameters}
    config.modules_to_save = [path for path in model.layers["head"].modules
                              if any(head == path or head.startswith(f"{path}.") for head in heads)] or None
    config.base_model_name_or_path, config.inference_mode = model.base, True
    config.task_type = _TASKS.get(model.task.name)
    with atomic_folder(folder) as fresh:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in adapter_tensors(model).items()},
                  fresh / ADAPTER_WEIGHTS, metadata={"format": "pt"})
        with quiet_transformers():
            config.save_pretrained(str(fresh))
            if hasattr(model.net, "config"):
                model.net.config.save_pretrained(str(fresh))  # type: ignore[operator,union-attr]
        model.processor.save_pretrained(str(fresh))
        facts = model_facts(model) | {"base": model.base, "base_digest": digest(model)}
        (fresh / FACTS).write_text(json.dumps(facts, indent=2), encoding="utf8")
    (Path(folder) / WEIGHTS).unlink(missing_ok=True)  # a whole model that was saved here before
    return Path(folder)


def adapter_tensors(model: Model) -> dict[str, Tensor]:
    """The tensors of the adapters and of the head, by peft's names."""
    from peft import get_peft_model_state_dict

    parameters = dict(model.net.named_parameters())
    head = {name: parameters[name] for name in model.layers["head"].parameters}
    if model.prompt_length:
        return {_PROMPT: _table(model.net).prompt.embedding.weight} | {_PROMPT_PREFIX + n: t for n, t in head.items()}
    inserted = get_peft_model_state_dict(model.net, save_embedding_layers=False)
    return {_PREFIX + name: tensor for name, tensor in (inserted | head).items()}


def fill_adapters(model: Model, held: Held, *, head: bool = True) -> None:
    """Put the adapters of a folder into a freshly loaded base.

    Args:
        model: The base, with a head for the same task.
        held: The folder.
        head: Whether the folder's head is wanted too; without, the fresh one stays.

    Raises:
        WeightsError: A damaged file, or adapters for another network.
    """
    from peft import PeftConfig, inject_adapter_in_model, set_peft_model_state_dict
    from safetensors.torch import load_file

    if held.digest is not None and held.digest != digest(model):
        raise WeightsError(f"The adapters in {held.folder} were trained on another '{held.base}' than the one that is "
                           "here now: its weights differ.")
    try:
        config: Any = PeftConfig.from_pretrained(str(held.folder))
        tensors = load_file(held.folder / ADAPTER_WEIGHTS)
        config.modules_to_save, config.inference_mode, model.adapters = None, False, copy.deepcopy(config)
        model.adapters.modules_to_save = None
        if config.is_prompt_learning:
            _fill_prompt(model, config, tensors)
        else:
            inject_adapter_in_model(config, model.net)
            plain = {name.removeprefix(_PREFIX).replace(".modules_to_save.", "."): t for name, t in tensors.items()}
            own = set(model.layers["head"].parameters)
            result: Any = set_peft_model_state_dict(model.net, {n: t for n, t in plain.items() if head or n not in own})
            lost = [*result.unexpected_keys, *(name for name in result.missing_keys if ".lora_" in name
                                               or ".ia3_l." in name)]
            if lost:
                raise WeightsError(f"{lost[0]} has no counterpart")
        if config.is_prompt_learning and head:
            _fill_head(model, tensors)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"The adapters in {held.folder} cannot be put into {held.base}: {reason[:300]}.") from error
    model.base = held.base
    model.remap()


def _fill_prompt(model: Model, config: Any, tensors: dict[str, Tensor]) -> None:
    from ftkit.backbones.prompts import add_prompt

    vectors = tensors[_PROMPT]
    config.num_virtual_tokens, config.token_dim = vectors.shape
    config.num_transformer_submodules = 1
    add_prompt(model.net, config)
    with torch.no_grad():
        _table(model.net).prompt.embedding.weight.copy_(vectors)


def _fill_head(model: Model, tensors: dict[str, Tensor]) -> None:
    parameters = dict(model.net.named_parameters())
    with torch.no_grad():
        for name in model.layers["head"].parameters:
            parameters[name].copy_(tensors[_PROMPT_PREFIX + name])


def merge(model: Model) -> Model:
    """A copy of a model with its adapters merged into the weights; raises UserError for a prompt."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    if model.prompt_length:
        raise UserError("A prompt is no change of weights: it cannot be merged. Save it with merge=False.")
    twin = copy.copy(model)
    twin.net, twin.adapters = copy.deepcopy(model.net), None
    for name, module in list(twin.net.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge(safe_merge=True)  # type: ignore[operator]
            parent, _, last = name.rpartition(".")
            setattr(twin.net.get_submodule(parent), last, module.get_base_layer())
    if hasattr(twin.net, "peft_config"):
        del twin.net.peft_config
    if model.adapters is not None:
        twin.base = ""  # nothing opens this body but what is saved of it
    twin.remap()
    return twin


def why_not_alone(model: Model) -> str:
    """Why the adapters are of no use without the rest of this network; "" if the base can be had again."""
    from ftkit.backbones.load import load_backbone

    if not model.base:
        return "their base is not what load_backbone opens by a name or from a folder"
    own = [name for name, _ in model.net.named_parameters(recurse=False)]
    if own:
        return f"the head holds '{own[0]}' outside its modules, which peft does not save"
    try:
        base = load_backbone(model.base, model.task)
    except FtkitError as error:
        return f"their base cannot be opened again ({error})"
    return "" if digest(base) == digest(model) else "their base has itself been trained or changed"


def digest(model: Model) -> int:
    """A checksum of everything but head and adapters, buffers included: of the base's body."""
    net: nn.Module = model.net
    head = tuple(f"{path}." for path in model.layers["head"].modules)
    adapters = {name for name, kind in model.layers.kinds.items() if kind == "adapter"}
    total = 0
    for name, tensor in sorted((name.replace(".base_layer.", "."), tensor) for name, tensor in net.state_dict().items()
                               if name not in adapters and not name.startswith(head)):
        flat = tensor.detach().cpu().contiguous().view(-1)
        total = zlib.crc32(name.encode(), total)
        total = zlib.crc32(flat.view(torch.uint8).numpy().data, total) if flat.numel() else total
    return total


def _table(net: Any) -> Any:
    return net.get_input_embeddings()


def _read(file: Path) -> dict[str, Any]:
    try:
        facts = json.loads(file.read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{file} cannot be read: {error}.") from error
    return facts if isinstance(facts, dict) else {}

"""What strategies that change the network share: the modules they choose, an inner plan, and a look ahead."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ftkit.errors import UserError
from ftkit.layers import Group, LayerMap
from ftkit.strategies.base import Plan, Strategy

_ATTENTION = re.compile(r"(^|[._])(attn|attention|self_attn|encoder_attn)([._]|$)")
_ADAPTER = re.compile(r"\.(lora_\w+|ia3_l)(\.|$)")
WHERE = ("all", "attention", "mlp")


def is_matrix(module: nn.Module) -> bool:
    """Whether a module multiplies by a weight: a linear layer, a convolution, or GPT-2's own kind of linear layer."""
    return isinstance(module, (nn.Linear, nn.Conv2d)) or type(module).__name__ == "Conv1D"


def in_attention(name: str) -> bool:
    """Whether a module or parameter belongs to attention, by its dotted name."""
    return bool(_ATTENTION.search(name))


def matrices(net: nn.Module, group: Group) -> list[str]:
    """The names of the modules with a weight matrix in a group, in the order of the network; adapters are none."""
    return [name.removesuffix(".base_layer") for name, module in net.named_modules()
            if is_matrix(module) and not _ADAPTER.search(name)
            and any(name == path or name.startswith(f"{path}.") for path in group.modules)]


def chosen_blocks(layers: LayerMap, last: int, strategy: str) -> list[Group]:
    """The last so many blocks; all of them for 0.

    Raises:
        UserError: There are fewer.
    """
    if last > len(layers.blocks):
        raise UserError(f"{strategy}: last={last}, but this model has {len(layers.blocks)} blocks. 0 takes all.")
    return layers.blocks[-last:] if last else layers.blocks


def choose_targets(model: Any, last: int, where: str, strategy: str) -> list[str]:
    """The modules that get an adapter: of the last blocks, and of those in attention, in the MLP, or all.

    Raises:
        UserError: There are none; says where there are some.
    """
    blocks = chosen_blocks(model.layers, last, strategy)
    found = [name for group in blocks for name in matrices(model.net, group)]
    attention = [name for name in found if in_attention(name)]
    kept = {"all": found, "attention": attention,
            "mlp": [name for name in found if name not in attention] if attention else []}[where]
    if not kept:
        there = "attention or mlp" if attention else "neither attention nor an MLP behind it: use where=all"
        raise UserError(f"{strategy}: no module of {type(model.net).__name__} fits where={where}; it has {there}."
                        if found else f"{strategy}: the blocks of {type(model.net).__name__} have no weight matrices.")
    return kept


def is_transposed(net: nn.Module, name: str) -> bool:
    """Whether a module is GPT-2's kind of linear layer, which keeps its weight as in x out."""
    module = net.get_submodule(name)
    return type(getattr(module, "base_layer", module)).__name__ == "Conv1D"


def adapters_of(layers: LayerMap) -> list[str]:
    """The parameters that adapters brought: see `LayerMap.kinds`."""
    return [name for name, kind in layers.kinds.items() if kind == "adapter"]


def insert(model: Any, config: Any) -> None:
    """Put peft's adapters into a model; the same ones again change nothing, so that a run can go on.

    Args:
        model: Its network keeps its class. Its layer map is made anew: each adapter is in the group of its layer.
        config: A peft configuration.

    Raises:
        UserError: The model has other adapters already.
    """
    if keep_same(model, config):
        return
    from peft import inject_adapter_in_model

    model.adapters = copy.deepcopy(config)  # peft shortens a long list of modules in the one that it is given
    inject_adapter_in_model(config, model.net)
    model.remap()


def keep_same(model: Any, config: Any) -> bool:
    """Whether the model has these very adapters already; raises UserError if it has others."""
    if model.adapters is None:
        return False
    before, now = (_essence(one) for one in (model.adapters, config))
    if before != now:
        differ = [f"{key}={before.get(key)!r}, not {now.get(key)!r}" for key in sorted(before.keys() | now.keys())
                  if before.get(key) != now.get(key)]
        raise UserError(f"This model has other adapters already: {'; '.join(differ)[:300]}. Load the backbone anew, or "
                        "go on from model.merged(), in which they are part of the weights.")
    return True


def _essence(config: Any) -> dict[str, Any]:
    """What makes two configurations the same adapters: not where the base came from, and names in any order."""
    whole = config.to_dict()
    passing = ("base_model_name_or_path", "inference_mode", "modules_to_save", "task_type", "revision", "auto_mapping",
               "peft_version")
    return {key: sorted(value) if isinstance(value, (set, list)) else value for key, value in whole.items()
            if key not in passing}


def by_inner(layers: LayerMap, inner: str | Strategy, epoch: int, trains: Sequence[str]) -> Plan:
    """The plan of another strategy, of which only some parameters train: `inner` says when, `trains` says what.

    Where `inner` begins with a group in which none of them is (a head without weights of its own), its first epochs
    are passed over.
    """
    from ftkit.strategies import make_strategy

    strategy, allowed = make_strategy(inner), set(trains)

    def plan_of(epoch: int) -> Plan:
        return {name: scale if name in allowed else 0.0 for name, scale in strategy.plan(layers, epoch).items()}

    late = next((late for late in range(100) if any(plan_of(late).values())), None)
    if late is None:
        raise UserError(f"By the plan of '{strategy.name}', nothing of what is to train here ever trains.")
    return plan_of(epoch + late)


def check_inner(inner: str | Strategy, outer: str) -> None:
    """Raise UserError unless `inner` is a strategy that only plans."""
    from ftkit.strategies import make_strategy

    if type(made := make_strategy(inner)).adapt is not Strategy.adapt:
        raise UserError(f"{outer}: inner says when which group trains, and {made.name} changes the network itself. "
                        "Such as inner='gradual'.")


def map_for(model: Any, strategy: Strategy) -> LayerMap:
    """The layer map that a strategy plans over: the model's own, or that of a copy that the strategy has changed.

    The copy has shapes and no numbers: it takes neither memory nor time, and the model stays as it is.
    """
    return model.layers if type(strategy).adapt is Strategy.adapt else changed_copy(model, strategy, real=False).layers


def changed_copy(model: Any, strategy: Strategy, real: bool = True) -> Any:
    """A copy of a model, changed as the strategy changes it.

    Args:
        model: Stays as it is, but for requires_grad of its weights if they are shared.
        strategy: What to do to the copy.
        real: The weights are the model's own, shared; False makes them shapes without numbers.
    """
    known: dict[int, Any] = {}
    for tensor in (*model.net.parameters(), *model.net.buffers()):
        shape = tensor if real else torch.empty_like(tensor, device="meta")
        wants = tensor.requires_grad
        known[id(tensor)] = nn.Parameter(shape, wants) if isinstance(tensor, nn.Parameter) and not real else shape
    twin = copy.copy(model)
    twin.net = copy.deepcopy(model.net, known)
    twin.remap()
    with torch.random.fork_rng(devices=[]):
        strategy.adapt(twin)
    return twin

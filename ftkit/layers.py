"""LayerMap: any model as an ordered list of groups, `stem`, `block 0` … `block n-1`, `head`.

Everything else in ftkit speaks in these words. Strategies plan over the map, the training loop freezes by it, and the
pictures draw it. Lesson 00 shows the map of a real model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from ftkit.errors import UnknownName, UserError

Layout = Sequence[tuple[str, Sequence[str]]]
"""Ordered (group name, module names) pairs; a module brings along everything below it."""


@dataclass(frozen=True)
class Group:
    """One step of the map.

    Args:
        name: "stem", "block 3", "head".
        modules: Dotted names of the modules that belong here, outermost only.
        parameters: Dotted names of the parameters that live here; a tied weight is listed once, where it is first.
    """

    name: str
    modules: tuple[str, ...]
    parameters: tuple[str, ...]


class LayerMap:
    """The ordered groups of a model: every parameter belongs to exactly one of them.

    Args:
        net: Any module.
        layout: Which modules form which group, from the input to the head.

    Attributes:
        groups: The groups, input first.
        kinds: For each parameter "weight", "bias", "embedding", "norm" or "batchnorm"; "adapter" for one that a
            strategy such as LoRA has put in beside the network's own.
        sizes: For each parameter how many numbers it holds.

    Raises:
        UserError: A parameter fits no group, or a module in the layout does not exist. Both are named.

    Source: the "stages" of He et al. 2016 and the `freeze_to` of Howard & Ruder 2018, under one name for all
    architectures. Lesson 00.
    """

    def __init__(self, net: nn.Module, layout: Layout) -> None:
        owner = _module_owners(net, layout)
        members: dict[str, list[str]] = {name: [] for name, _ in layout}
        for name, _ in net.named_parameters():  # a tied weight comes once: torch removes duplicates by identity
            members[_owner_of(name, owner)].append(name)
        self.groups = tuple(Group(name, tuple(modules), tuple(members[name])) for name, modules in layout)
        self._group_of = {name: group.name for group in self.groups for name in group.parameters}
        self.kinds = {name: _kind(net, name) for name in self._group_of}
        self.sizes = {name: parameter.numel() for name, parameter in net.named_parameters()}

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[Group]:
        return iter(self.groups)

    def __getitem__(self, name: str) -> Group:
        for group in self.groups:
            if group.name == name:
                return group
        raise UnknownName("layer group", name, self.names)

    def __repr__(self) -> str:
        return f"LayerMap({' > '.join(self.names)})"

    @property
    def names(self) -> list[str]:
        """The names of the groups, input first."""
        return [group.name for group in self.groups]

    @property
    def blocks(self) -> list[Group]:
        """The groups between the stem and the head."""
        return [group for group in self.groups if group.name.startswith("block")]

    @property
    def parameters(self) -> list[str]:
        """Every parameter's name, in the order of the groups."""
        return list(self._group_of)

    def group_of(self, parameter: str) -> str:
        """The name of the group that a parameter belongs to."""
        if parameter not in self._group_of:
            raise UnknownName("parameter", parameter, list(self._group_of))
        return self._group_of[parameter]

    def frozen_prefix(self, plan: dict[str, float]) -> int:
        """How many groups, counted from the input, a plan freezes wholly: what the feature cache may skip."""
        count = 0
        for group in self.groups:
            if any(plan.get(name, 0.0) > 0 for name in group.parameters):
                break
            count += 1
        return count


def _kind(net: nn.Module, parameter: str) -> str:
    module_name, _, attribute = parameter.rpartition(".")
    module = net.get_submodule(module_name)
    if any(part == "prompt" or part.startswith(("lora_", "ia3_")) for part in module_name.split(".")):  # as peft names
        return "adapter"
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return "batchnorm"
    if "Norm" in type(module).__name__:  # LayerNorm, GroupNorm, and each architecture's own RMSNorm
        return "norm"
    if isinstance(module, nn.Embedding):
        return "embedding"
    return "bias" if attribute == "bias" else "weight"


def blocks_of(net: nn.Module, pattern: str) -> list[str]:
    """The modules whose dotted name matches `pattern`, where `*` stands for one number: "encoder.layer.*"."""
    regex = re.compile(re.escape(pattern).replace(r"\*", r"(\d+)"))
    found = [(name, regex.fullmatch(name)) for name, _ in net.named_modules()]
    return [name for name, match in sorted(
        ((name, match) for name, match in found if match), key=lambda pair: [int(part) for part in pair[1].groups()])]


def make_layout(
    net: nn.Module, *, stem: Sequence[str], blocks: Sequence[str], head: Sequence[str], tail: Sequence[str] = ()
) -> Layout:
    """A layout from patterns of module names.

    Args:
        net: The model.
        stem: Modules before the first block.
        blocks: Patterns (see `blocks_of`); each match is one block.
        head: Modules of the head. Names that the model lacks are passed over here and in `stem` and `tail`.
        tail: Modules after the last block that are not the head, such as a final norm: they go with the last block.
    """
    have = {name for name, _ in net.named_modules()}
    matched = [name for pattern in blocks for name in blocks_of(net, pattern)]
    if not matched:
        raise UserError(f"No blocks found: no module of {type(net).__name__} matches {', '.join(blocks)}.")
    layout: list[tuple[str, list[str]]] = [("stem", [name for name in stem if name in have])]
    layout += [(f"block {i}", [name]) for i, name in enumerate(matched)]
    layout[-1][1].extend(name for name in tail if name in have)
    layout.append(("head", [name for name in head if name in have]))
    return layout


def _module_owners(net: nn.Module, layout: Layout) -> dict[str, str]:
    have = {name for name, _ in net.named_modules()} | {name for name, _ in net.named_parameters()}
    owner: dict[str, str] = {}
    for group, modules in layout:
        for module in modules:
            if module not in have:
                raise UnknownName(f"module in group '{group}'", module, sorted(have)[:40])
            if module in owner:
                raise UserError(f"Module '{module}' is in two groups, '{owner[module]}' and '{group}'.")
            owner[module] = group
    return owner


def _owner_of(parameter: str, owner: dict[str, str]) -> str:
    """The group of the nearest enclosing module that the layout names."""
    path = parameter
    while path:
        if path in owner:
            return owner[path]
        path = path.rpartition(".")[0]
    raise UserError(
        f"Parameter '{parameter}' fits no layer group. Name its module in the layout of this architecture."
    )

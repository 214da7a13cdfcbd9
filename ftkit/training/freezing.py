"""Makes a plan come true: requires_grad, the optimizer's groups and BatchNorm's mode, always the three together.

Done one at a time, each of them is a classic mistake: a thawed layer that the optimizer does not know never moves; a
frozen one with an old gradient still does; a frozen BatchNorm in train mode goes on drifting. Lesson 01 shows each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ftkit.errors import UnknownName, UserError
from ftkit.layers import LayerMap
from ftkit.strategies.base import Plan

OPTIMIZERS = ("adamw", "sgd")


def make_optimizer(name: str, net: nn.Module, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019), or SGD with momentum 0.9; `apply_plan` fills its groups.

    Args:
        name: "adamw" or "sgd".
        net: Its first parameter stands in until a plan is applied.
        weight_decay: For matrices; biases and norms have none.
    """
    first = [next(net.parameters())]
    if name == "adamw":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(first, lr=0.0, weight_decay=weight_decay, fused=True)
    elif name == "sgd":
        optimizer = torch.optim.SGD(first, lr=0.0, momentum=0.9, weight_decay=weight_decay)
    else:
        raise UnknownName("optimizer", name, OPTIMIZERS)
    optimizer.param_groups[0]["params"] = []
    return optimizer


def apply_plan(net: nn.Module, layers: LayerMap, plan: Plan, optimizer: torch.optim.Optimizer) -> None:
    """Train what the plan says, freeze the rest.

    Frozen parameters lose their gradient and their place and state in the optimizer. Parameters that go on training
    keep their state. Group modes follow: see `set_modes`.

    Raises:
        UnknownName: The plan names a parameter that the model lacks.
        UserError: The plan freezes everything.
    """
    parameters = dict(net.named_parameters())
    for name in plan:
        if name not in parameters:
            raise UnknownName("parameter in the plan", name, parameters)
    if not any(plan.values()):
        raise UserError("The plan freezes everything: nothing would train.")
    template = {key: value for key, value in optimizer.param_groups[0].items() if key not in {"params", "lr_scale"}}
    decay = max(group["weight_decay"] for group in optimizer.param_groups)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        scale = plan.get(name, 0.0)
        parameter.requires_grad_(scale > 0)
        if scale > 0:
            groups.setdefault((scale, decay if parameter.dim() > 1 else 0.0), []).append(parameter)
        else:
            parameter.grad = None
            optimizer.state.pop(parameter, None)
    optimizer.param_groups = [{**template, "params": members, "lr_scale": scale, "weight_decay": own}
                              for (scale, own), members in groups.items()]
    # The first group carries the decay for the next plan, even when its own members have none.
    optimizer.param_groups.append({**template, "params": [], "lr_scale": 0.0, "weight_decay": decay})
    set_modes(net, layers, plan)


def set_modes(net: nn.Module, layers: LayerMap, plan: Plan) -> None:
    """Put frozen groups into eval mode (no dropout, BatchNorm's statistics fixed) and the others into train mode.

    Inside a group that trains in part, a BatchNorm whose own scale and shift are frozen is put into eval mode too.
    """
    net.train()
    modules = dict(net.named_modules())
    for group in layers:
        frozen = not any(plan.get(name, 0.0) > 0 for name in group.parameters)
        for path in group.modules:
            if frozen and path in modules:
                modules[path].eval()
    for path, module in modules.items():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            own = [f"{path}.{name}" for name, _ in module.named_parameters(recurse=False)]
            if own and not any(plan.get(name, 0.0) > 0 for name in own):
                module.eval()


class NormStatistics:
    """The running statistics of the BatchNorm layers that train, as they were before a step.

    A forward pass moves them even when the step then fails: one broken example would spoil them for good. Copying them
    costs microseconds.
    """

    def __init__(self, net: nn.Module) -> None:
        self.now = [buffer for module in net.modules()
                    if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training
                    for buffer in module.buffers(recurse=False)]
        self.before = [buffer.clone() for buffer in self.now]

    def keep(self) -> None:
        """Remember them as they are."""
        _copy(self.before, self.now)

    def put_back(self) -> None:
        """Make them what they were."""
        _copy(self.now, self.before)


@torch.no_grad()
def _copy(to: list[torch.Tensor], source: list[torch.Tensor]) -> None:
    if to:
        torch._foreach_copy_(to, source)


def named_in(plans: Plan | list[Plan] | None) -> set[str]:
    """The parameters that a plan, or any of a list of plans, trains."""
    whole = [] if plans is None else [plans] if isinstance(plans, dict) else plans
    return {name for plan in whole for name, scale in plan.items() if scale > 0}


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set each group's learning rate to its scale times `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = group["lr_scale"] * rate


def optimizer_state(optimizer: torch.optim.Optimizer, net: nn.Module) -> dict[str, dict[str, Any]]:
    """The optimizer's memory by parameter name: what a checkpoint keeps."""
    return {name: dict(optimizer.state[p]) for name, p in net.named_parameters() if p in optimizer.state}


def restore_optimizer(optimizer: torch.optim.Optimizer, net: nn.Module, state: dict[str, dict[str, Any]]) -> None:
    """Give the optimizer its memory back, of what trains now: a frozen parameter must not keep any."""
    for name, parameter in net.named_parameters():
        if name in state and parameter.requires_grad:
            optimizer.state[parameter] = {
                key: value.to(parameter.device) if isinstance(value, torch.Tensor) else value
                for key, value in state[name].items()}

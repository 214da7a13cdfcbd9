"""A run written out in plain PyTorch: what ftkit does, with nothing of it hidden."""

from __future__ import annotations

import math
from dataclasses import fields

from ftkit.strategies import Plan
from ftkit.training import TrainSession

_HEAD = '''{imports}import torch

from ftkit.training.batches import epoch_batches  # which examples go together

net, task = model.net, {task}
{adapt}encoded = task.encode(data.train.inputs, data.train.targets, model.processor)  # words or pixels as numbers, once
{prepare}
# The layer groups, the input first, and the modules that each consists of.
groups = {{
{groups}
}}
# From which step on (the first one is 0) which group trains, at what share of the rate. What is not named is frozen.
plans = {{
{plans}
}}


def group_of(parameter):
    """The group whose module holds it; of two modules, the inner one."""
    return max((len(path), group) for group, paths in groups.items() for path in paths
               if f"{{parameter}}.".startswith(f"{{path}}."))[1]


def freeze(plan, memory):
    """Make a plan come true: requires_grad, the optimizer and the modes, always the three together."""
    scale = {{name: plan.get(name, plan.get(group_of(name), 0.0)) for name, _ in net.named_parameters()}}
    trained = []
    for name, p in net.named_parameters():
        p.requires_grad_(scale[name] > 0)
        p.grad = None  # an old gradient would move even a frozen weight
        if scale[name] > 0:  # weight decay is for matrices only
            trained.append({{"params": [p], "scale": scale[name], "weight_decay": {decay} if p.dim() > 1 else 0.0}})
    optimizer = {optimizer}
    for part in trained:  # what goes on training keeps its momentum
        for p in part["params"]:
            if p in memory:
                optimizer.state[p] = memory[p]
    net.train()
    alive = {{group_of(name) for name in scale if scale[name] > 0}}
    modules = dict(net.named_modules())
    for path in (path for group, paths in groups.items() for path in paths if group not in alive and path in modules):
        modules[path].eval()  # a frozen group: no dropout, and BatchNorm keeps its statistics
    for path, module in modules.items():  # in a group that trains in part, a frozen BatchNorm rests too
        own = [scale.get(f"{{path}}.{{name}}", 0) for name, _ in module.named_parameters(recurse=False)]
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and own and not any(own):
            module.eval()
    return optimizer


def rate(step):
    """The learning rate: {rate_words}."""
    total, rising = {total}, {rising}
    if step < rising:
        return {lr!r} * (step + 1) / rising
    return {rate}


def logits_of(batch):
    return {logits}


step, losses, optimizer = 0, [], None
'''

_RATES = {"constant": ("it rises, and stays", "{lr!r}"),
          "linear": ("it rises, then falls in a straight line",
                     "{lr!r} * (1 - (step - rising) / max(1, total - rising))"),
          "cosine": ("it rises, then falls as a cosine",
                     "{lr!r} * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising)))")}


def plain_loop(session: TrainSession, stages: dict[int, Plan], steps: int) -> str:
    """The program: needs `model` and `data`, freshly loaded, and ends with the list `losses`.

    Args:
        session: The run's model and settings.
        stages: From which step on which plan holds, by group or parameter names.
        steps: How many steps.
    """
    settings, strategy = session.settings, session.strategy
    changed = {field.name: getattr(session.task, field.name) for field in fields(session.task)
               if getattr(session.task, field.name) != getattr(session.model.task, field.name)}
    task = f"replace(model.task, {', '.join(f'{k}={v!r}' for k, v in changed.items())})" if changed else "model.task"
    words, rate = _RATES[strategy.decay]
    kind = "AdamW(trained, fused=True)" if settings.optimizer == "adamw" else "SGD(trained, lr=0.0, momentum=0.9)"
    lines = strategy.source(session.model)  # a strategy that changes the network says how
    head = _HEAD.format(
        adapt="".join(f"{line}\n" for line in lines) + "\n" * bool(lines),
        imports="".join(line for line, needed in (("import math\n\n", strategy.decay == "cosine"),
                                                  ("from dataclasses import replace\n\n", changed),
                                                  ("import numpy\n", session.task.modality == "audio"
                                                   and session.task.random)) if needed),
        task=task, decay=settings.weight_decay,
        groups="\n".join(f'    "{g.name}": {list(g.modules)!r},' for g in session.layers),
        plans="\n".join(f"    {step}: {plan!r}," for step, plan in stages.items()), optimizer=f"torch.optim.{kind}",
        rate_words=words, total=session.total_steps, rising=round(strategy.warmup * session.total_steps),
        lr=settings.lr, rate=rate.format(lr=settings.lr), logits=_logits(session),
        prepare="task.prepare(net)  # masking as augment says, and no layer is skipped by chance\n"
                if session.task.modality == "audio" else "")
    return head + "\n".join(_loop(session, steps)) + "\n"


def _logits(session: TrainSession) -> str:
    if session.task.generates:
        return 'net(input_ids=batch["input_ids"], use_cache=False).logits'
    if session.task.modality == "text":
        return 'net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits'
    if session.task.modality == "audio":
        mask = ', attention_mask=batch["attention_mask"]' if session.model.processor.mask else ""
        return f'net(input_values=batch["input_values"]{mask}).logits'
    plain = session.model.spec.library == "torchvision"
    return f'net(batch["pixel_values"]){"" if plain else ".logits"}'


def _loop(session: TrainSession, steps: int) -> list[str]:
    """The lines of the loop itself."""
    s = session.settings
    several = s.accumulate > 1
    masked = session.task.modality == "audio" and session.task.random
    share = " * len(indices) / sum(map(len, chunk))" if several else ""
    if several and session.task.generates:  # each token weighs the same: targets holds how many each row has
        share = (" * sum(encoded.targets[i] for i in indices)"
                 " / sum(encoded.targets[i] for part in chunk for i in part)")
    device, cast = session.device.type, "bfloat16" if session.precision == "bf16" else "half"
    inner = [
        "batch = task.collate(encoded, indices, model.processor, train=True)",
        *([f"batch = {{name: tensor.to({device!r}) for name, tensor in batch.items()}}"] if device != "cpu" else []),
        *([f"with torch.autocast({device!r}, dtype=torch.{cast}):", "    logits = logits_of(batch).float()"]
          if session.precision != "fp32" else ["logits = logits_of(batch)"]),
        f"loss = {_loss(session)}{share}", "loss.backward()", *(["mean += loss.item()"] if several else [])]
    body = [
        "if step in plans:", "    optimizer = freeze(plans[step], optimizer.state if optimizer else {})",
        f"torch.manual_seed(({s.seed} * 1_000_003 + step) * 1_009)  # of dropout: the same in each run",
        *([f"numpy.random.seed(({s.seed} * 1_000_003 + step) * 1_009 % 2**32)  # of masking"] if masked else []),
        *(["mean = 0.0", "for indices in chunk:"] if several else []),
        *(f"    {line}" if several else line for line in inner),
        *(["torch.nn.utils.clip_grad_norm_([p for p in net.parameters() if p.requires_grad], " f"{s.clip})"]
          if s.clip else []),
        "for part in optimizer.param_groups:", '    part["lr"] = part["scale"] * rate(step)',
        "optimizer.step()", "optimizer.zero_grad()", f"losses.append({'mean' if several else 'loss.item()'})",
        "step += 1"]
    start = (["    for first in range(0, len(batches), " f"{s.accumulate}):",
              f"        chunk = batches[first : first + {s.accumulate}]"] if several else
             ["    for indices in batches:"])
    size = f"batch_size={session.batch_size}, seed={s.seed}"
    if session.most_tokens < math.inf:
        size += f", most={session.most_tokens!r}"
    return [f"for epoch in range({s.epochs}):", f"    batches = epoch_batches(encoded.lengths, {size}, epoch=epoch)",
            *start, *([f"        if step == {steps}:", "            break"] if steps < session.total_steps else []),
            *(f"        {line}" for line in body), "print(losses[-1])"]


def _loss(session: TrainSession) -> str:
    weights = session.class_weights
    if session.task.name == "ctc":  # the mean over sounds of each one's loss by its number of letters
        return ('(torch.nn.functional.ctc_loss(logits.log_softmax(-1).transpose(0, 1), batch["labels"].clamp(min=0), '
                'batch["frames"], (batch["labels"] >= 0).sum(-1), '
                f'blank={session.task.blank_number}, reduction="none", zero_infinity=True) '  # type: ignore[attr-defined]
                '/ (batch["labels"] >= 0).sum(-1)).mean()')
    if session.task.generates:  # the mean over tokens; -100 stands where nothing is to be learned
        return 'torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=-100)'
    weight = "" if weights is None else f", weight=torch.tensor({weights.tolist()!r})"
    if session.task.multilabel:
        return f'torch.nn.functional.binary_cross_entropy_with_logits(logits, batch["labels"].float(){weight})'
    if weight:  # a weight multiplies an example's loss; torch's own mean would divide by the weights as well
        return f'torch.nn.functional.cross_entropy(logits, batch["labels"]{weight}, reduction="none").mean()'
    return 'torch.nn.functional.cross_entropy(logits, batch["labels"])'

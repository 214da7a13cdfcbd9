"""Exercises of lesson 03: image classification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.lessons.exercise import Exercise, choice

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the photos that image backbones were pretrained on


def judge_input(answer: Any) -> str:
    """The answer is a function from a picture, uint8 (H, W, 3), to what a network takes, float (1, 3, H, W)."""
    if not callable(answer):
        return "The answer is a function: def to_input(picture): …"
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    try:
        made = answer(picture.copy())
    except (RuntimeError, ValueError) as error:
        if "must match" in str(error) or "broadcast" in str(error):
            return (f"{error}. MEAN and STD have three numbers and line up with the last axis: subtract while the "
                    "colours are still last, or give them the shape (3, 1, 1).")
        raise
    if not isinstance(made, Tensor):
        return f"The function returned {type(made).__name__}. A network takes a tensor: torch.from_numpy(picture)."
    return _shape_hint(tuple(made.shape), picture.shape[0], picture.shape[1]) or _value_hint(made, picture)


def _shape_hint(shape: tuple[int, ...], high: int, wide: int) -> str:
    right = (1, 3, high, wide)
    hints = {
        (1, high, wide, 3): "Colours are still last, as in files. PyTorch wants them before rows and columns: "
                            "permute(2, 0, 1).",
        (high, wide, 3): "That is a picture as files hold it (H, W, 3). PyTorch wants (1, 3, H, W): permute, then "
                         "unsqueeze(0).",
        (3, high, wide): "The channels are in place. The batch is missing: a network takes several pictures at a time, "
                         "here one. unsqueeze(0)",
        (1, 3, wide, high): "Rows and columns have changed places: the picture lies on its side. The new order of the "
                            "axes is colour, row, column: permute(2, 0, 1).",
    }
    return "" if shape == right else hints.get(shape, f"The shape is {shape}. For this picture it must be {right}.")


def _value_hint(made: Tensor, picture: np.ndarray) -> str:
    if not made.is_floating_point():
        return f"The numbers are still whole ({made.dtype}). Convolutions need float: divide by 255."
    found = made.detach().double().numpy()
    values = picture / 255
    mean, std, own = np.array(MEAN), np.array(STD), (values.mean((0, 1)), values.std((0, 1)))
    scaled = (values - mean) / std
    if np.allclose(found, _first(scaled), atol=1e-3):
        return ""
    mixed = picture.reshape(3, *picture.shape[:2]).transpose(1, 2, 0)  # what reshape makes of it, colours last again
    own_scale = "The picture's own mean and deviation are not what the network knows. Use MEAN and STD."
    known = [
        (scaled.reshape(3, *picture.shape[:2]), "reshape keeps the numbers in their order and so mixes up colours and "
         "places. permute(2, 0, 1) moves the axes."),
        (_first((mixed / 255 - mean) / std), "reshape keeps the numbers in their order and so mixes up colours and "
         "places. permute(2, 0, 1) moves the axes."),
        (_first(values), "The range is 0 to 1 now. Normalise it as well: subtract MEAN, divide by STD."),
        (_first(picture.astype(float)), "The numbers are still 0 to 255. Divide by 255, then normalise."),
        (_first((picture - mean) / std), "MEAN and STD are for numbers from 0 to 1: divide by 255 first."),
        (_first((scaled - mean) / std), "That is normalised twice. It runs without an error, and every picture looks "
         "wrong to the network."),
        (_first((values / 255 - mean) / std), "Divided by 255 twice: every picture is nearly black now."),
        (_first((values[..., ::-1] - mean) / std), "Red and blue have changed places: the file's order is kept."),
        (_first(values - mean), "MEAN is subtracted. Divide by STD too."),
        (_first(values / std), "STD is in place. Subtract MEAN first."),
        (_first((values - std) / mean), "MEAN and STD have changed places."),
        (_first((values - own[0]) / own[1]), own_scale),
        (_first((values - values.mean()) / values.std()), own_scale),
        (_first((values - 0.5) / 0.5), "0.5 is the convention of other networks. These backbones use MEAN and STD."),
    ]
    return next((hint for wrong, hint in known if np.allclose(found, wrong, atol=1e-3)),
                "The shape is right, the numbers are not: divide by 255, subtract MEAN, divide by STD.")


def _first(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) to (3, H, W)."""
    return picture.transpose(2, 0, 1)


_AUGMENT: dict[str, tuple[Any, dict[Any, str]]] = {
    "signs": ("shift", {True: "True mirrors too: a curve to the left would become one to the right, under its old "
                              "label.",
                        False: "A sign that is moved by a few pixels is the same sign. More can be had for nothing."}),
    "cats and dogs": (True, {"shift": "'shift' is not wrong. But a cat in a mirror is still a cat: you can have more.",
                             False: "A cat moved by a few pixels, or seen in a mirror, is still a cat."}),
    "digits": ("shift", {True: "Mirrored, a 3 is no digit, and a 2 looks like a 5 of a bad hand.",
                         False: "A digit that is moved by a few pixels is the same digit."}),
    "hands, left or right": ("shift", {True: "A left hand in a mirror is a right hand: the label would be wrong.",
                                       False: "A hand that is moved by a few pixels is the same hand."}),
    "where the ball lies": (False, {True: "Here the place is the label. A mirror changes it, and so can a shift.",
                                    "shift": "Here the place is the label: near a border, a shift changes it."}),
}


def judge_augment(answer: Any) -> str:
    """The answer is a dict from each data set of the exercise to True, "shift" or False."""
    if not isinstance(answer, Mapping):
        return f"The answer is a dict, such as {{'signs': …, …}}, with the keys {', '.join(_AUGMENT)}."
    missing = [name for name in _AUGMENT if name not in answer]
    if missing:
        return f"'{missing[0]}' is missing. The keys are {', '.join(_AUGMENT)}."
    for name, (right, hints) in _AUGMENT.items():
        given = answer[name]
        if given is None or given is Ellipsis:
            return f"{name}: no answer yet. Choose True, 'shift' or False."
        if not isinstance(given, (bool, str)) or given not in (True, False, "shift"):
            return f"{name}: {given!r} is no value of augment. Choose True, 'shift' or False."
        if given != right:
            return f"{name}: {hints[given]}"
    return ""


class SmallConvNet(nn.Module):
    """A convolution, BatchNorm and dropout, a head for five classes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                                  nn.Flatten(), nn.Dropout(0.5))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to logits (B, 5)."""
        return self.head(self.body(x))


def judge_accuracy(answer: Any) -> str:
    """The answer is a function of (net, pictures, labels) that measures in mid-training and disturbs nothing."""
    if not callable(answer):
        return "The answer is a function: def accuracy(net, pictures, labels): …"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = SmallConvNet()
        pictures = 2 + torch.randn(40, 3, 8, 8)
        said = net.eval()(pictures).argmax(1)
        labels = torch.where(torch.arange(40) % 4 < 3, said, (said + 1) % 5)  # 30 of 40 are right
        net.train()
        before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        share = answer(net, pictures, labels)
    moved = [name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])]
    if any("running" in name or "batches" in name for name in moved):
        return ("The running statistics of BatchNorm have moved: the network was in train mode while it was measured. "
                "Measuring must not change it: net.eval() first.")
    if moved:
        return f"{moved[0]} has changed. Measuring must not change the network."
    return _share_hint(share) or ("" if all(module.training for module in net.modules()) else (
        "The number is right. But the network stays in eval mode: the training that goes on would have no dropout, and "
        "BatchNorm would learn nothing. Put it back: net.train()."))


def _share_hint(share: Any) -> str:
    try:
        value = float(share)
    except (TypeError, ValueError, RuntimeError):
        if isinstance(share, Tensor) and share.numel() == 40:
            return "That is one answer per picture. The accuracy is their mean: (…).float().mean()."
        return f"The function returned {type(share).__name__}. It must return the share that is right, from 0 to 1."
    if abs(value - 0.75) < 1e-4:
        return ""
    if abs(value - 30) < 1e-3:
        return "That is how many are right. The accuracy is a share: divide by the number of pictures."
    if abs(value - 75) < 1e-2:
        return "That is in percent. Return a share from 0 to 1."
    return "That is not the accuracy in eval mode: argmax(1) is the class of each picture, compare it with labels."


def judge_split(answer: Any) -> str:
    """The answer is a function from one burst's name per picture to the indices of the test pictures."""
    if not callable(answer):
        return "The answer is a function: def test_pictures(bursts): …"
    even = [f"burst {i:02d}" for i in range(12) for _ in range(5)]
    sizes = np.random.default_rng(1).integers(2, 9, 20)
    mixed = np.random.default_rng(2).permutation(np.repeat([f"shot {i:02d}" for i in range(20)], sizes)).tolist()
    return next((hint for bursts in (even, mixed) if (hint := _split_hint(answer(list(bursts)), bursts))), "")


def _split_hint(found: Any, bursts: Sequence[str]) -> str:
    try:
        given = np.asarray(sorted(found) if isinstance(found, (set, frozenset)) else found)
        chosen = np.flatnonzero(given) if given.dtype == bool and len(given) == len(bursts) else given.astype(int)
        assert chosen.ndim == 1
        assert given.dtype == bool or bool((chosen == given).all())
    except (TypeError, ValueError, AssertionError):
        return "Return the indices of the test pictures as one list, such as [0, 1, 2]."
    n = len(bursts)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= n):
        return f"There are {n} pictures: indices run from 0 to {n - 1}."
    if len(set(chosen.tolist())) < len(chosen):
        return "A picture is in the list twice."
    test = {bursts[i] for i in chosen}
    split = sorted(test & {bursts[i] for i in set(range(n)) - set(chosen.tolist())})
    if split:
        return (f"'{split[0]}' has pictures on both sides. Pictures of one burst are nearly the same picture: the test "
                "would reward a network that has learned the training pictures by heart. Choose whole bursts.")
    if not 0.08 <= len(chosen) / n <= 0.4:
        return f"{len(chosen)} of {n} pictures are in the test split. About a fifth is wanted."
    return ""


EXERCISES = {
    "03.1": Exercise(
        "Write to_input(picture): from uint8 (H, W, 3) to what a network takes, normalised float (1, 3, H, W).",
        judge_input, "Axes, range, normalisation, batch: in this order, and each of them once."),
    "03.2": Exercise(
        "Write accuracy(net, pictures, labels): measured in the middle of training, which goes on undisturbed.",
        judge_accuracy, "Measured in eval mode, and put back: that is what ft.fit does after each epoch."),
    "03.3": Exercise(
        "For each of five data sets, the most augmentation that keeps every label: True, 'shift' or False.",
        judge_augment, "What may be changed follows from what the label means, not from the network."),
    "03.4": Exercise(
        "Write test_pictures(bursts): the indices of about a fifth of the pictures, and no burst on both sides.",
        judge_split, "Whole bursts: now the test asks for things that the network has not seen."),
    "03.q1": Exercise(
        "Which pictures are shifted at random? a) those of train  b) those of train and test, so that both are alike  "
        "c) those of test, to make it harder",
        choice("a", {"b": "Then the test would ask about other pictures in each run: no two scores could be compared.",
                     "c": "A test is to be like the real thing, and the same for everybody."}),
        "Augmentation is for learning. What is measured stays as it is."),
    "03.q2": Exercise(
        "Grad-CAM shows that a network looks at the snow when it says 'husky'. What follows? a) the network is broken  "
        "b) it may fail on a husky without snow: try some  c) nothing, as long as the accuracy is high",
        choice("b", {"a": "It does what the data taught it: in them, snow was a good sign of a husky.",
                     "c": "The accuracy was measured on data with the same habit. It cannot show this mistake."}),
        "The map is a suspicion. Pictures in which sign and habit come apart are the proof."),
}

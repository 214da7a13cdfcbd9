"""Exercises of lesson 06: each right answer is taken however it is written, each misconception gets its own hint."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from ftkit.lessons import check
from ftkit.lessons.lesson_06 import ALIGNMENTS, TRUE, VOICES, drawn, next_frame, toy_alignments
from ftkit.speech.mel import MelSettings, log_mel
from ftkit.speech.tacotron import Tacotron, TacotronConfig
from ftkit.speech.wavenet import WaveNetConfig

Decoder = Callable[[float], float]

# --- 06.4: drawing with a teacher and alone -------------------------------------------------------------------------


def by_a_loop(decoder: Decoder, true: Sequence[float], teacher: bool) -> list[float]:
    found, before = [], 0.0
    for frame in true:
        found.append(decoder(before))
        before = frame if teacher else found[-1]
    return found


def by_accumulate(decoder: Decoder, true: Sequence[float], teacher: bool) -> Any:
    if teacher:
        return (decoder(frame) for frame in [0, *true[:-1]])
    return itertools.islice(itertools.accumulate(range(len(true) + 1), lambda last, _: decoder(last), initial=0.0), 1,
                            len(true) + 1)


def by_numpy(decoder: Decoder, true: Sequence[float], teacher: bool) -> np.ndarray:
    return np.array(by_a_loop(decoder, true, teacher))


def by_torch(decoder: Decoder, true: Sequence[float], teacher: bool) -> torch.Tensor:
    return torch.tensor(by_a_loop(decoder, true, teacher), dtype=torch.float64)


DRAWN = [drawn, by_a_loop, by_accumulate, by_numpy, by_torch]
NOT_DRAWN = [
    (lambda decoder, true, teacher: true, "the true frames themselves"),
    (lambda decoder, true, teacher: [decoder(frame) for frame in true], "the frame *before*"),
    (lambda decoder, true, teacher: drawn(decoder, true, not teacher), "wrong way round"),
    (lambda decoder, true, teacher: drawn(decoder, true, True), "wrong way round"),
    (lambda decoder, true, teacher: drawn(decoder, true, False), "wrong way round"),
    (lambda decoder, true, teacher: drawn(decoder, true, teacher)[1:], "One frame for each"),
    (lambda decoder, true, teacher: [*drawn(decoder, true, teacher), 0.0], "One frame for each"),
    (lambda decoder, true, teacher: [decoder(true[0]), *drawn(decoder, true, True)[1:]] if teacher else
     drawn(decoder, true, False), "Only the first frame"),
    (lambda decoder, true, teacher: [0.0] * len(true), "it must be"),
    (lambda decoder, true, teacher: None, "returned None"),
    (lambda decoder, true, teacher: 3, "returned 3"), (lambda decoder, true: [], "raised TypeError"),
    ([1, 2], "is a function"),
]

# --- all ------------------------------------------------------------------------------------------------------------

HEARD, MAY = dict(ALIGNMENTS), dict(VOICES)
RIGHT = [
    *(("06.1", answer) for answer in (64, 65, "64", 2.4 / 0.0125 / 3, np.int64(64), 2.4 * 16_000 / 200 / 3)),
    *(("06.2", answer) for answer in (511, "511", 511.0, 1 + 2 * (2**8 - 1), WaveNetConfig.mini().receptive_field)),
    ("06.3", HEARD), ("06.3", {name.upper(): f" {kind.capitalize()} " for name, kind in HEARD.items()}),
    *(("06.4", answer) for answer in DRAWN), ("06.5", "b"), ("06.5", " B) "),
    ("06.6", MAY), ("06.6", {name.upper(): int(free) for name, free in reversed(MAY.items())}),
    ("06.6", {name: np.bool_(free) for name, free in MAY.items()}), ("06.q1", "b"),
]
WRONG = [
    ("06.1", 192, "the frames"), ("06.1", 576, "divide by three"), ("06.1", 38_400, "the samples"),
    ("06.1", 12_800, "by three"), ("06.1", 80, "a second has"), ("06.1", 32, "not 25"), ("06.1", 7, "192 frames"),
    ("06.1", "many", "a number"), ("06.1", 2.4, "the time"), ("06.1", None, "No answer yet"),
    ("06.2", 255, "There are two"), ("06.2", 256, "one stack"), ("06.2", 510, "is a sample, too"),
    ("06.2", 512, "counts once"), ("06.2", 128, "last layer"), ("06.2", 129, "last layer spans"),
    ("06.2", 16, "the layers"), ("06.2", 32, "Two values"), ("06.2", 2**16, "begin again"),
    ("06.2", 2**16 - 1, "begin again"), ("06.2", 300, "adds its distance"), ("06.2", "all", "a number"),
    ("06.3", {**HEARD, "a": "says something twice"}, "a: The line goes"),
    ("06.3", {**HEARD, "b": "fine"}, "b: The line is straight"), ("06.3", {**HEARD, "c": "fine"}, "jumps upwards"),
    ("06.3", {**HEARD, "d": "leaves something out"}, "falls back"),
    ("06.3", {**HEARD, "d": "stutters"}, "answer with one of 'fine'"),
    ("06.3", {**HEARD, "c": ...}, "No answer yet for c"),
    ("06.3", {}, "a, b, c, d"), ("06.3", "fine", "a dict"), ("06.3", {**HEARD, "a": True}, "answer with one of"),
    *(("06.4", answer, hint) for answer, hint in NOT_DRAWN),
    ("06.5", "a", "does not stop"), ("06.5", "c", "never end"), ("06.5", "d", "one letter"),
    ("06.6", {**MAY, "a": False}, "a: It is your own"), ("06.6", {**MAY, "b": True}, "has not agreed"),
    ("06.6", {**MAY, "c": True}, "cannot be asked"), ("06.6", {**MAY, "d": False}, "licence allows"),
    ("06.6", {**MAY, "e": True}, "everybody may hear"), ("06.6", {**MAY, "e": "no"}, "True or False"),
    ("06.6", [True, False], "a dict"), ("06.6", {**MAY, "b": ...}, "No answer yet for b"),
    ("06.q1", "a", "150 words"), ("06.q1", "c", "anew"),
]


@pytest.fixture(autouse=True)
def _own_progress(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_PROGRESS", str(tmp_path / "progress.json"))


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_right_answers(exercise: str, answer: Any) -> None:
    verdict = check(exercise, answer)
    assert verdict, verdict


@pytest.mark.parametrize(("exercise", "answer", "hint"), WRONG)
def test_each_misconception_has_its_hint(exercise: str, answer: Any, hint: str) -> None:
    verdict = check(exercise, answer)
    assert not verdict
    assert hint in verdict.text


def test_what_the_exercises_say_is_true_of_the_network() -> None:
    """64 steps for 2.4 seconds; and with a teacher a Tacotron does what the exercise says: it sees the frame before."""
    frames = len(log_mel(np.zeros(int(2.4 * 16_000), np.float32), MelSettings()))
    assert -(-frames // TacotronConfig.mini().reduction) in (64, 65)
    torch.manual_seed(0)
    config = TacotronConfig(n_mels=4, embedding=8, encoder_lstm=4, attention=4, location_filters=2, location_kernel=3,
                            prenet=8, decoder=8, postnet=4, postnet_convs=1, reduction=1)
    net = Tacotron(config).eval()
    net.prenet.dropout = 0.0
    given = {"text": torch.tensor([[3, 4, 1]]), "text_lengths": torch.tensor([3]), "mel": torch.randn(1, 4, 4),
             "mel_lengths": torch.tensor([4])}
    first = net(**given).before[0]
    given["mel"] = given["mel"].clone()
    given["mel"][0, 2] += 1
    changed = (net(**given).before[0] - first).abs().amax(1) > 1e-6
    assert changed.tolist() == [False, False, False, True], "frame 2 is seen by step 3 and not before"


def test_the_drawn_alignments_show_what_they_stand_for() -> None:
    shown = {name: np.array(weights) for name, weights in toy_alignments().items()}
    assert list(shown) == list(ALIGNMENTS)
    for weights in shown.values():
        assert weights.shape == (12, 30)
        assert weights.sum(0) == pytest.approx(1)
    paths = {name: weights.argmax(0) for name, weights in shown.items()}
    steps = {name: np.diff(path) for name, path in paths.items()}
    assert set(paths["a"]) == set(range(12))
    assert steps["a"].min() >= 0
    assert steps["a"].max() == 1
    assert steps["b"].min() >= 0
    assert 5 <= paths["b"].max() <= 7
    assert steps["c"].min() >= 0
    assert steps["c"].max() >= 3
    assert paths["c"].max() == 11
    assert steps["d"].min() <= -2
    assert paths["d"].max() == 11


def test_alone_a_mistake_is_carried_on() -> None:
    taught, alone = (drawn(next_frame, TRUE, teacher) for teacher in (True, False))
    assert taught == [2.0, 5.0, 7.0, 6.0]
    assert alone == [2.0, 4.0, 6.0, 8.0]

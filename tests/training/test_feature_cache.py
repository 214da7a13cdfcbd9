"""The frozen-prefix cache: the same losses as without it, for every family; and what turns it off."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from nets import ALL_FAMILIES, IMAGE_FAMILIES, SIZE, TEXT_FAMILIES, Data, data_for, tiny, tokenizer
from torch import Tensor

from ftkit.backbones import BackboneSpec, Model
from ftkit.strategies import BatchNormOnly, Custom, GradualUnfreeze, LinearProbe, Strategy
from ftkit.training import History, TrainSession
from ftkit.training import cache as cache_module
from ftkit.training.cache import PrefixCache, choose_cut


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary files of a test lie in its own folder, so that what is left over can be seen."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("ftkit-cache-*")]


def session_for(model: Model, strategy: Strategy | str, cache: str, data: Data | None = None,
                **settings: Any) -> TrainSession:
    options = {"epochs": 3, "batch_size": 8, "precision": "fp32", "lr": 3e-3, "keep_best": False, **settings}
    return TrainSession(model, data or data_for(model.task.modality), strategy, cache=cache, **options)


def losses(history: History) -> list[float]:
    return [row["loss"] for row in history.steps] + [row["valid_loss"] for row in history.epochs]


def above(model: Model, cut: int) -> Custom:
    """Train everything above the first `cut` groups."""
    return Custom(dict.fromkeys(model.layers.names[cut:], 1))


def cuts_of(family: str) -> list[int]:
    n = len(tiny(family).layers)
    return sorted({1, n // 2, n - 1})  # after the stem, in the middle, at the head


def both(family: str, strategy: Any, **settings: Any) -> tuple[History, History]:
    """The same run without and with the cache."""
    return tuple(session_for(tiny(family), strategy, mode, **settings).run() for mode in ("off", "auto"))  # type: ignore


@pytest.mark.parametrize(("family", "cut"), [(family, cut) for family in ALL_FAMILIES for cut in cuts_of(family)])
def test_cached_and_uncached_losses_agree(family: str, cut: int) -> None:
    plain, cached = both(family, above(tiny(family), cut), epochs=2)  # the second is served from the cache
    assert {row["cached"] for row in cached.epochs} == {cut}
    assert {row["cached"] for row in plain.epochs} == {0}
    assert losses(cached) == pytest.approx(losses(plain), abs=1e-5)
    assert len({round(loss, 4) for loss in losses(plain)}) > 3, "the losses must differ, or the comparison is empty"
    assert any(event.get("cut") == cut for event in cached.events)


@pytest.mark.parametrize("family", ["bert", "gpt2", "roberta", "llama"])
@pytest.mark.parametrize("cut", [1, 3, 4])
def test_texts_of_very_different_lengths(family: str, cut: int) -> None:
    data = data_for("text", n=32, longest=60)
    lengths = [len(tokenizer()(text)["input_ids"]) for text in data.train.inputs]
    assert min(lengths) < 8
    assert max(lengths) > 50
    data.train.inputs[3] = ""  # as short as it gets
    plain, cached = both(family, above(tiny(family), cut), data=data, epochs=2)
    assert cached.epochs[-1]["cached"] == cut
    assert losses(cached) == pytest.approx(losses(plain), abs=1e-5)


@pytest.mark.parametrize("family", ["bert", "gpt2", "vit", "resnet"])
def test_a_cache_on_disk_gives_the_same(family: str, own_temporary_folder: Path) -> None:
    plain = session_for(tiny(family), above(tiny(family), 2), "off").run()
    session = session_for(tiny(family), above(tiny(family), 2), "auto", cache_budget=100)
    session.run(steps=2)
    assert session.features.caches["train"].on_disk
    assert len(left_over(own_temporary_folder)) == 1
    history = session.run()
    assert losses(history) == pytest.approx(losses(plain), abs=1e-5)
    assert left_over(own_temporary_folder) == []


def test_temporary_files_go_when_a_run_is_dropped_half_way(own_temporary_folder: Path) -> None:
    session = session_for(tiny("bert"), LinearProbe(), "auto", cache_budget=100)
    session.run(steps=2)
    assert left_over(own_temporary_folder)
    del session
    gc.collect()
    assert left_over(own_temporary_folder) == []


def test_the_budget_is_for_both_splits_together() -> None:
    session = session_for(tiny("bert"), above(tiny("bert"), 2), "auto", cache_budget=50_000)
    session.run(steps=4)
    assert sum(cache.budget for cache in session.features.caches.values()) <= 50_000
    in_memory = sum(cache.nbytes for cache in session.features.caches.values() if not cache.on_disk)
    assert 0 < in_memory <= 50_000


def test_head_only_keeps_one_token_where_the_head_reads_only_that() -> None:
    for family, width in (("bert", 32), ("vit", 32)):
        session = session_for(tiny(family), LinearProbe(), "auto")
        session.run(steps=3)
        assert session.features.caches["train"].nbytes == len(session.train) * width * 4
    session = session_for(tiny("gpt2"), LinearProbe(), "auto")  # reads the last token: all are kept, without padding
    session.run(steps=3)
    assert session.features.caches["train"].nbytes == session.train.lengths.sum() * 32 * 4


def forwards(session: TrainSession, module: torch.nn.Module, steps: int) -> int:
    """How often a module's own code runs in so many steps."""
    count = [0]
    whole = type(module).forward

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        return whole(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(module), "forward", counted)
        session.run(steps=steps)
    return count[0]


def test_frozen_layers_run_once_per_example() -> None:
    model = tiny("bert")
    session = session_for(model, LinearProbe(), "auto", epochs=4)
    embeddings = model.net.bert.embeddings
    first = forwards(session, embeddings, 3)
    assert first == 3 + 1  # three batches, and the validation split as one
    assert forwards(session, embeddings, 9) == 1  # the one that proves the cache right; nothing else for three epochs
    assert "forward" not in vars(embeddings), "the network must be left as it was"


@pytest.mark.parametrize("family", ["resnet18", "resnet"])
def test_a_frozen_batchnorm_prefix(family: str) -> None:
    """Frozen BatchNorm is in eval mode, so that an example's features do not depend on its batch."""
    plain, cached = both(family, "last_k:k=1", data=data_for("image", 8, 4), batch_size=4, epochs=2)
    assert cached.epochs[-1]["cached"] == len(tiny(family).layers) - 2
    assert losses(cached) == pytest.approx(losses(plain), abs=1e-5)


# --- when it must not be used ---------------------------------------------------------------------------------------


def test_a_thaw_invalidates_it() -> None:
    head, most = {"head": 1}, {"head": 1, "block 0": 1, "block 2": 1}
    plain, cached = both("bert", Custom([head, head, head, most]), epochs=6)
    assert [row["cached"] for row in cached.epochs] == [4, 4, 4, 1, 1, 1]
    assert losses(cached) == pytest.approx(losses(plain), abs=1e-5)


def test_freezing_again_does_not_bring_back_what_was_kept_before() -> None:
    head = {"head": 1}
    plain, cached = both("bert", Custom([head, head, {"head": 1, "stem": 1}, head, head, head]), epochs=6)
    assert [row["cached"] for row in cached.epochs] == [4, 4, 0, 4, 4, 4]
    assert losses(cached) == pytest.approx(losses(plain), abs=1e-5)


def test_a_thaw_in_every_epoch_leaves_only_a_short_prefix() -> None:
    plain, cached = both("bert", GradualUnfreeze(), epochs=4)
    assert [row["cached"] for row in cached.epochs] == [2, 2, 2, 0]  # 2 groups saved twice beat 3 saved once
    assert losses(cached) == pytest.approx(losses(plain), abs=1e-5)


def test_apply_invalidates_it_at_once() -> None:
    histories = []
    for mode in ("off", "auto"):
        session = session_for(tiny("bert"), LinearProbe(), mode, epochs=4)
        session.run(steps=4)  # in the second epoch, where the cache is being served
        session.apply({"head": 1, "block 1": 1})
        session.run(steps=4)
        assert session.cut == (0 if mode == "off" else 2)
        session.apply(None)
        histories.append(session.run())
    assert losses(histories[1]) == pytest.approx(losses(histories[0]), abs=1e-5)
    assert [row["cached"] for row in histories[1].epochs] == [4, 2, 2, 2]  # a shorter one that holds is kept


def test_apply_of_a_plan_above_the_cut_keeps_it() -> None:
    session = session_for(tiny("bert"), above(tiny("bert"), 3), "auto")
    session.run(steps=4)
    kept = session.features.caches["train"]
    session.apply({"head": 1})
    session.run(steps=1)
    assert session.features.caches["train"] is kept


def test_augmentation_turns_it_off_and_says_so() -> None:
    history = session_for(tiny("vit"), LinearProbe(), "auto", augment=True).run()
    assert [row["cached"] for row in history.epochs] == [0, 0, 0]
    assert [e["note"] for e in history.events] == ["feature cache off: augmentation makes every epoch differ"]


def test_no_word_about_a_cache_that_was_not_asked_for() -> None:
    assert session_for(tiny("vit"), LinearProbe(), "off", augment=True).run().events == []
    assert session_for(tiny("bert"), "full", "auto").run().events == []


@pytest.mark.parametrize(("strategy", "epochs"), [("full", 3), ("bitfit", 3), ("discriminative", 3), ("probe", 1)])
def test_none_where_it_would_not_pay(strategy: str, epochs: int) -> None:
    history = session_for(tiny("bert"), strategy, "auto", epochs=epochs).run()
    assert {row["cached"] for row in history.epochs} == {0}


def test_bn_only_has_no_frozen_prefix() -> None:
    history = session_for(tiny("resnet"), BatchNormOnly(), "auto").run()
    assert {row["cached"] for row in history.epochs} == {0}


def test_a_full_disk_turns_it_off_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = session_for(tiny("bert"), LinearProbe(), "off").run()
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    cached = session_for(tiny("bert"), LinearProbe(), "auto", cache_budget=10).run()
    assert losses(cached) == losses(plain)
    assert cached.epochs[-1]["cached"] == 0
    assert "feature cache off" in cached.events[-1]["note"]
    assert "MB free" in cached.events[-1]["note"]


def foreign(model_type: str, **options: Any) -> Model:
    """A model that the tables do not know, as from the hub."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    task = data_for("text").task
    config = AutoConfig.for_model(model_type, vocab_size=len(tokenizer()), pad_token_id=1, hidden_size=32,
                                  num_hidden_layers=3, num_attention_heads=2, initializer_range=0.2, num_labels=2,
                                  **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = AutoModelForSequenceClassification.from_config(config)
    spec = BackboneSpec(model_type, "text", "transformers", model_type, 0.0, "", "")
    return Model(net.eval(), task, tokenizer(), spec)


@pytest.mark.parametrize(("model_type", "options", "cached"), [
    ("mpnet", {"intermediate_size": 48}, 3),  # a table of distances that every block reads
    ("deberta-v2", {"intermediate_size": 48, "relative_attention": True, "position_buckets": 8,
                    "norm_rel_ebd": "layer_norm", "pos_att_type": ["p2c", "c2p"]}, 3),
    ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}, 3),
    ("nystromformer", {"intermediate_size": 48}, 0),  # what it says of a word depends on the padding
    ("squeezebert", {"intermediate_size": 48, "embedding_size": 32, "q_groups": 1, "k_groups": 1, "v_groups": 1,
                     "post_attention_groups": 1, "intermediate_groups": 1, "output_groups": 1}, 0),
])
def test_any_architecture_is_cached_rightly_or_not_at_all(model_type: str, options: Any, cached: int) -> None:
    strategy = Custom({"head": 1, "block 2": 1})
    plain = session_for(foreign(model_type, **options), strategy, "off").run()
    history = session_for(foreign(model_type, **options), strategy, "auto").run()
    assert losses(history) == pytest.approx(losses(plain), abs=1e-5)
    assert history.epochs[-1]["cached"] == cached
    assert cached or "feature cache off" in history.events[-1]["note"]


def test_a_thawed_layer_that_feeds_the_frozen_ones_is_noticed() -> None:
    model = foreign("mpnet", intermediate_size=48)
    feeds = {"mpnet.encoder.relative_attention_bias.weight": 1, "head": 1, "block 2": 1}
    wrong = [(group.name, [m for m in group.modules if "relative" not in m]) for group in model.layers]
    wrong[-2][1].append("mpnet.encoder.relative_attention_bias")  # as if the last block owned it
    from ftkit.layers import LayerMap

    model.layers = LayerMap(model.net, wrong)
    history = session_for(model, Custom(feeds), "auto").run()
    assert history.epochs[-1]["cached"] == 0
    assert history.events[-1]["note"] == "feature cache off: a layer that trains feeds the frozen ones"


def test_bf16_runs_are_cached_in_bf16_and_stay_close() -> None:
    plain, cached = both("bert", above(tiny("bert"), 2), precision="bf16")
    assert cached.epochs[-1]["cached"] == 2
    assert losses(cached) == pytest.approx(losses(plain), abs=0.1)  # eight bits of mantissa, in a tiny network


def test_multilabel_targets() -> None:
    data = data_for("text")
    for split in (data.train, data.valid):
        split.targets = [[t, 1 - t] for t in split.targets]
    runs = [session_for(tiny("bert", multilabel=True), LinearProbe(), mode, data).run() for mode in ("off", "auto")]
    assert losses(runs[1]) == pytest.approx(losses(runs[0]), abs=1e-5)


# --- the parts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("prefixes", "cut"), [
    ([4, 4, 4], 4),
    ([0, 0], 0),
    ([4], 0),  # one epoch: nothing would be served
    ([4, 3, 2, 1, 0], 2),  # 4*0, 3*1, 2*2, 1*3
    ([4, 4, 1, 1, 1, 1], 1),  # a short prefix for long: 1*5 beats 4*1
    ([4, 4, 1, 1], 4),
    ([3, 4, 4, 4], 3),  # what is frozen later, but not now, cannot be kept now
    ([4, 0, 4, 4], 0),
    ([0, 4, 4], 0),
    ([10, 10, 1], 10),
])
def test_choose_cut(prefixes: list[int], cut: int) -> None:
    assert choose_cut(prefixes) == cut


def test_rows_are_kept_without_padding_and_padded_again() -> None:
    model = tiny("bert")
    lengths = np.array([5, 2, 3])
    cache = PrefixCache(model.net, model.layers, 2, lengths, budget=10**6)
    ids = torch.ones(2, 5, dtype=torch.long)
    for indices in ([0, 1], [2]):
        batch = {"input_ids": ids[: len(indices), : lengths[indices].max()]}
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
        assert not cache.has(indices)
        with cache.catch(indices, batch), torch.no_grad():
            model.net(**batch)
    assert cache.has([0, 1, 2])
    assert cache.nbytes == 10 * 32 * 4
    rows = cache._rows([2, 1])
    assert rows.shape == (2, 3, 32)
    assert rows[1, 2].eq(0).all()
    assert not rows[1, 1].eq(0).any()
    cache.close()
    assert cache.nbytes == 0


def test_the_network_is_whole_again_after_an_error_inside() -> None:
    model = tiny("bert")
    session = session_for(model, LinearProbe(), "auto")
    session.run(steps=4)
    cache, batch = session.features.caches["train"], session.task.collate(session.train, [0, 1], model.processor)
    with pytest.raises(ZeroDivisionError), cache.serve([0, 1], batch):
        raise ZeroDivisionError
    assert not any("forward" in vars(module) for module in model.net.modules())
    with pytest.raises(ZeroDivisionError), cache.catch([0, 1], batch):
        raise ZeroDivisionError
    assert not any(module._forward_hooks for module in model.net.modules())


def test_a_stale_cache_would_be_noticed() -> None:
    """The proof has teeth: rows that are wrong are refused before they are used."""
    session = session_for(tiny("bert"), above(tiny("bert"), 2), "auto")
    session.run(steps=3)
    store = session.features.caches["train"]._store
    assert isinstance(store, Tensor)
    store.mul_(1.5)
    plain = session_for(tiny("bert"), above(tiny("bert"), 2), "off").run()
    history = session.run()
    assert "cannot be stepped over" in history.events[-1]["note"]
    assert [row["loss"] for row in history.steps] == [row["loss"] for row in plain.steps]


def test_sizes_of_the_pictures_and_texts_used_here() -> None:
    assert set(IMAGE_FAMILIES) | set(TEXT_FAMILIES) <= set(ALL_FAMILIES)
    assert data_for("image").train.inputs[0].shape == (SIZE, SIZE, 3)

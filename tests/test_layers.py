"""LayerMap: every parameter in exactly one group, for every supported family."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from nets import ALL_FAMILIES, AUDIO_FAMILIES, IMAGE_FAMILIES, TEXT_FAMILIES, tiny
from torch import nn

from ftkit.backbones.layouts import torchvision_layout
from ftkit.errors import UnknownName, UserError
from ftkit.layers import LayerMap, blocks_of, make_layout

_BLOCKS = {**dict.fromkeys(TEXT_FAMILIES, 3), "albert": 1, "vit": 3, "resnet": 3, "resnet18": 8, "vgg11": 5,
           **dict.fromkeys(AUDIO_FAMILIES, 3)}
_TORCHVISION = {"resnet18": 8, "resnet34": 16, "resnet50": 16, "vgg11": 5, "vgg11_bn": 5, "vgg16": 5}


def check_whole(layers: LayerMap, net: nn.Module) -> None:
    """What a LayerMap promises, counted by identity and not by name."""
    seen = Counter(name for group in layers for name in group.parameters)
    assert set(seen.values()) == {1}
    assert set(seen) == {name for name, _ in net.named_parameters()}
    parameters = dict(net.named_parameters(remove_duplicate=False))
    assert len({id(parameters[name]) for name in seen}) == len({id(p) for p in net.parameters()}) == len(seen)
    assert sum(layers.sizes.values()) == sum(p.numel() for p in net.parameters())
    assert set(layers.kinds) == set(seen)
    assert layers.parameters == [name for group in layers for name in group.parameters]
    assert all(layers.group_of(name) == group.name for group in layers for name in group.parameters)
    between = ["projection"] if "projection" in layers.names else []  # of speech networks
    assert layers.names == ["stem", *between, *(f"block {i}" for i in range(len(layers.blocks))), "head"]
    assert all(group.parameters for group in layers), "an empty group would be drawn, and trained, as a lie"


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_every_parameter_is_in_exactly_one_group(family: str) -> None:
    model = tiny(family)
    check_whole(model.layers, model.net)
    assert len(model.layers.blocks) == _BLOCKS[family]


@pytest.mark.parametrize(("name", "blocks"), _TORCHVISION.items())
def test_every_torchvision_network_at_full_size(name: str, blocks: int) -> None:
    from torchvision.models import get_model

    with torch.device("meta"):  # no memory, no random numbers: only the shapes
        net = get_model(name, weights=None)
    layers = LayerMap(net, torchvision_layout(net))
    check_whole(layers, net)
    assert len(layers.blocks) == blocks
    last = "fc" if name.startswith("resnet") else "classifier.6"
    assert layers["head"].parameters == (f"{last}.weight", f"{last}.bias")
    assert layers["stem"].parameters[0].startswith(("conv1", "features.0"))


@pytest.mark.parametrize("family", [*TEXT_FAMILIES, *IMAGE_FAMILIES])
def test_the_stem_holds_the_embeddings_and_the_head_is_fresh(family: str) -> None:
    model = tiny(family)
    assert model.layers["stem"].parameters[0].startswith(f"{model.net.base_model_prefix}.")
    head = [name for name in model.layers["head"].parameters if "pooler" not in name]
    assert head
    assert not any(name.startswith(f"{model.net.base_model_prefix}.") for name in head)
    embeddings = [name for name, kind in model.layers.kinds.items() if kind == "embedding"]
    assert {model.layers.group_of(name) for name in embeddings} <= {"stem"}


@pytest.mark.parametrize("family", AUDIO_FAMILIES)
def test_the_stem_of_a_speech_network_is_its_convolutions(family: str) -> None:
    layers = tiny(family).layers
    assert layers.names[1] == "projection"
    assert all(".feature_extractor." in name or "masked_spec_embed" in name for name in layers["stem"].parameters)
    assert any("pos_conv_embed" in name for name in layers["projection"].parameters)
    norms = [name for name in layers.parameters if ".encoder.layer_norm." in name]
    # The norm stands behind the blocks of one kind, and before those of the other.
    assert {layers.group_of(name) for name in norms} == {"block 2" if family == "wav2vec2" else "projection"}
    assert {name.split(".")[0] for name in layers["head"].parameters} == {"projector", "classifier"}


def test_poolers_belong_to_the_head() -> None:
    for family in ("bert", "albert"):  # ALBERT's pooler is two modules, the second without weights
        model = tiny(family)
        poolers = [name for name, _ in model.net.named_modules() if "pooler" in name.split(".")[-1]]
        assert poolers
        assert set(poolers) <= set(model.layers["head"].modules)


@pytest.mark.parametrize(("model_type", "options", "feeds"), [
    ("mpnet", {}, "encoder.relative_attention_bias"),
    ("deberta-v2", {"relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm",
                    "pos_att_type": ["p2c"]}, "encoder.rel_embeddings"),
    ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}, "decoder.embed_tokens"),
])
def test_what_feeds_all_blocks_is_in_the_stem_wherever_the_code_keeps_it(
    model_type: str, options: dict[str, object], feeds: str) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from ftkit.backbones.layouts import transformers_layout

    config = AutoConfig.for_model(model_type, vocab_size=40, hidden_size=32, num_hidden_layers=2,
                                  num_attention_heads=2, **{"intermediate_size": 48, **options})
    net = AutoModelForSequenceClassification.from_config(config)
    layers = LayerMap(net, transformers_layout(net))
    check_whole(layers, net)
    assert f"{net.base_model_prefix}.{feeds}" in layers["stem"].modules
    assert len(layers.blocks) == 2


def test_final_norms_go_with_the_last_block() -> None:
    for family, norm in (("gpt2", "transformer.ln_f"), ("llama", "model.norm"), ("vit", "vit.layernorm")):
        assert norm in tiny(family).layers.blocks[-1].modules


def test_tied_weights_count_once_and_by_identity() -> None:
    net: Any = nn.ModuleDict({"stem": nn.Linear(4, 4), "body": nn.Linear(4, 4), "head": nn.Linear(4, 4)})
    net["head"].weight = net["stem"].weight  # tied
    nn.init.zeros_(net["stem"].bias), nn.init.zeros_(net["body"].bias)  # equal, but not the same
    layers = LayerMap(net, [("stem", ["stem"]), ("block 0", ["body"]), ("head", ["head"])])
    assert layers["stem"].parameters == ("stem.weight", "stem.bias")
    assert layers["block 0"].parameters == ("body.weight", "body.bias")
    assert layers["head"].parameters == ("head.bias",)
    assert sum(layers.sizes.values()) == 16 + 4 + 16 + 4 + 4


def test_kinds() -> None:
    kinds = tiny("bert").layers.kinds
    assert kinds["bert.embeddings.word_embeddings.weight"] == "embedding"
    assert kinds["bert.embeddings.LayerNorm.bias"] == "norm"
    assert kinds["classifier.weight"] == "weight"
    assert kinds["classifier.bias"] == "bias"
    assert set(tiny("resnet18").layers.kinds.values()) == {"weight", "bias", "batchnorm"}
    assert tiny("llama").layers.kinds["model.norm.weight"] == "norm"  # RMSNorm is each architecture's own class


class _Loose(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.head = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
        self.mask_token = nn.Parameter(torch.zeros(2))


def test_a_parameter_that_fits_no_group_is_named() -> None:
    with pytest.raises(UserError, match="'mask_token' fits no layer group"):
        LayerMap(_Loose(), [("stem", ["stem"]), ("block 0", ["block"]), ("head", ["head"])])


def test_a_bare_parameter_can_be_placed() -> None:
    layers = LayerMap(_Loose(), [("stem", ["stem", "mask_token"]), ("block 0", ["block"]), ("head", ["head"])])
    assert layers.group_of("mask_token") == "stem"


def test_a_module_in_two_groups_is_refused() -> None:
    with pytest.raises(UserError, match="'block' is in two groups, 'stem' and 'block 0'"):
        LayerMap(_Loose(), [("stem", ["stem", "block", "mask_token"]), ("block 0", ["block"]), ("head", ["head"])])


def test_an_unknown_module_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"Unknown module in group 'head' 'heat'\. Did you mean 'head'"):
        LayerMap(_Loose(), [("stem", ["stem", "mask_token"]), ("block 0", ["block"]), ("head", ["heat"])])


def test_the_inner_module_wins_over_the_outer_one() -> None:
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Linear(2, 2))
    layers = LayerMap(net, [("stem", ["0"]), ("block 0", ["0.1"]), ("head", ["1"])])
    assert layers["stem"].parameters == ("0.0.weight", "0.0.bias")
    assert layers["block 0"].parameters == ("0.1.weight", "0.1.bias")


def test_unknown_group_and_unknown_parameter() -> None:
    layers = tiny("bert").layers
    with pytest.raises(UnknownName, match="Did you mean 'block 2'"):
        layers["blok 2"]
    with pytest.raises(UnknownName, match=r"Did you mean 'classifier\.weight'"):
        layers.group_of("classifier.weights")


def test_repr_and_length() -> None:
    layers = tiny("bert").layers
    assert repr(layers) == "LayerMap(stem > block 0 > block 1 > block 2 > head)"
    assert len(layers) == len(list(layers)) == 5


def test_blocks_are_in_numerical_order() -> None:
    net = nn.ModuleDict({"layer": nn.ModuleList(nn.Linear(1, 1) for _ in range(12))})
    assert blocks_of(net, "layer.*") == [f"layer.{i}" for i in range(12)]  # 10 after 9, not after 1


def test_a_layout_without_blocks_is_refused() -> None:
    with pytest.raises(UserError, match=r"No blocks found: no module of Linear matches layer\.\*"):
        make_layout(nn.Linear(1, 1), stem=(), blocks=["layer.*"], head=())


def test_frozen_prefix() -> None:
    layers = tiny("bert").layers
    assert layers.frozen_prefix({}) == 5
    assert layers.frozen_prefix(dict.fromkeys(layers.parameters, 1.0)) == 0
    assert layers.frozen_prefix({"classifier.bias": 0.1}) == 4
    assert layers.frozen_prefix({layers["block 1"].parameters[3]: 1.0, "classifier.bias": 0.0}) == 2
    assert layers.frozen_prefix({**dict.fromkeys(layers["stem"].parameters, 0.0),
                                 **dict.fromkeys(layers["block 0"].parameters, 1.0)}) == 1


def test_other_torchvision_networks_are_refused_by_name() -> None:
    from torchvision.models import get_model

    with torch.device("meta"):
        net = get_model("mobilenet_v2", weights=None)  # has features and a classifier too, as VGG has
    with pytest.raises(UserError, match=r"No layout for torchvision's MobileNetV2\. Known: ResNet, VGG"):
        torchvision_layout(net)

"""Where stem, blocks and head are in each architecture. One function per library; a table where the rule needs help."""

from __future__ import annotations

from torch import nn

from ftkit.errors import UserError
from ftkit.layers import Layout, blocks_of, make_layout

# For these, blocks do not lie in one plain list directly below the body.
_BLOCK_PATTERNS = {"resnet": ("encoder.stages.*.layers.*",), "albert": ("encoder.albert_layer_groups.*",)}

# Modules beside the blocks that every block reads, whatever their place in the code.
_FEEDS_BLOCKS = {"relative_attention_bias", "rel_embeddings", "LayerNorm"}

# The heads of these architectures look only at the first token, so that is all that a cache need keep for them.
FIRST_TOKEN_HEADS = {"bert", "roberta", "distilbert", "electra", "xlm-roberta", "camembert", "vit"}


def transformers_layout(net: nn.Module) -> Layout:
    """The layout of any transformers model with one stack of blocks (BERT, RoBERTa, GPT-2, ViT, Llama, ResNet, …).

    The longest list of modules in the body is the stack. What comes before it is the stem. What follows it inside the
    body (a final norm) goes with the last block, except a pooler: BERT's pooler feeds nothing but the head, so it is
    part of the head. Everything outside the body is the head.

    A network that writes texts has its final norm in the head: most of them use the token table once more as their
    way out, one weight with two uses, which counts as the stem, and the norm is then all that the head owns.
    """
    prefix = str(net.base_model_prefix)
    body: nn.Module = getattr(net, prefix)
    inside = [name for name, _ in body.named_children()]
    model_type = str(net.config.model_type)  # type: ignore[union-attr]
    patterns = _BLOCK_PATTERNS.get(model_type) or (f"{_longest_list(body)}.*",)
    stack = inside.index(patterns[0].split(".")[0])
    deep = inside[stack] != patterns[0].split(".*")[0]  # the list lies inside another module, as in encoder.layer
    # A pooler without weights (ResNet's average) only reshapes what the last block says; ALBERT's comes in two modules.
    poolers = [name for name in inside if "pooler" in name]
    if not any(True for name in poolers for _ in getattr(body, name).parameters()):
        poolers = []
    after = [name for name in inside[stack + 1 :] if name not in poolers]
    outside = [name for name, _ in net.named_children() if name != prefix]
    beside = _beside_blocks(getattr(body, inside[stack])) if deep else {}
    last = [*(f"{inside[stack]}.{name}" for name, before in beside.items() if not before), *after]
    writes = type(net).__name__.endswith(("LMHeadModel", "ForCausalLM"))
    return make_layout(
        net,
        stem=[f"{prefix}.{name}" for name in
              [*inside[:stack], *(f"{inside[stack]}.{name}" for name, before in beside.items() if before)]],
        blocks=[f"{prefix}.{pattern}" for pattern in patterns],
        tail=[] if writes else [f"{prefix}.{name}" for name in last],
        head=[*(f"{prefix}.{name}" for name in [*poolers, *(last if writes else [])]), *outside],
    )


def speech_layout(net: nn.Module) -> Layout:
    """The layout of Wav2Vec2, HuBERT, WavLM and their kin.

    The stem is the stack of convolutions that turns samples into frames: what the papers keep frozen; and the vector
    that stands for masked frames, which nothing uses while nothing is masked. What brings frames to the width of the
    blocks, and tells them their place, is a group of its own, "projection".
    """
    prefix = str(net.base_model_prefix)
    body: nn.Module = getattr(net, prefix)
    names = {name for name, _ in body.named_parameters()}
    last = bool(getattr(net.config, "do_stable_layer_norm", False))  # the encoder's norm stands behind its blocks
    beside = [f"encoder.{name}" for name, child in body.encoder.named_children()  # type: ignore[union-attr,operator]
              if not isinstance(child, nn.ModuleList) and not (last and name == "layer_norm")]
    layout = list(make_layout(
        net, stem=[], blocks=[f"{prefix}.encoder.layers.*"],
        tail=[f"{prefix}.{name}" for name in (["encoder.layer_norm"] if last else []) + ["adapter"]],
        head=[name for name, _ in net.named_children() if name != prefix]))
    stem = ["feature_extractor", *(["masked_spec_embed"] if "masked_spec_embed" in names else [])]
    own = [name for name, _ in net.named_parameters(recurse=False)]  # weights of a sum over layers
    layout[-1] = ("head", [*layout[-1][1], *own])
    return [("stem", [f"{prefix}.{name}" for name in stem]),
            ("projection", [f"{prefix}.{name}" for name in ["feature_projection", *beside]]), *layout[1:]]


def whisper_layout(net: nn.Module) -> Layout:
    """The layout of Whisper: the blocks of the encoder, then those of the decoder, in one row.

    The token table is both the decoder's way in and the way out, one weight with two uses: it counts as the stem.
    """
    encoder, decoder = (blocks_of(net, f"model.{part}.layers.*") for part in ("encoder", "decoder"))
    stem = [f"model.encoder.{name}" for name in ("conv1", "conv2", "embed_positions")]
    blocks = [[name] for name in (*encoder, *decoder)]
    blocks[len(encoder) - 1].append("model.encoder.layer_norm")
    return [("stem", [*stem, "model.decoder.embed_tokens", "model.decoder.embed_positions"]),
            *((f"block {i}", block) for i, block in enumerate(blocks)),
            ("head", ["model.decoder.layer_norm", "proj_out"])]


def is_speech(net: nn.Module) -> bool:
    """Whether this is a network that makes frames of samples by convolutions, and blocks of attention behind them."""
    body = getattr(net, str(getattr(net, "base_model_prefix", "")), None)
    return all(hasattr(body, name) for name in ("feature_extractor", "feature_projection", "encoder"))


def is_whisper(net: nn.Module) -> bool:
    """Whether this is Whisper."""
    return getattr(getattr(net, "config", None), "model_type", "") == "whisper"


def _beside_blocks(stack: nn.Module) -> dict[str, bool]:
    """Modules that lie next to the list of blocks, and whether they feed the blocks (else they follow them).

    OPT keeps its embeddings there, MPNet and DeBERTa the table of distances that every block reads.
    """
    children = list(stack.named_children())
    first = next((i for i, (_, child) in enumerate(children) if isinstance(child, nn.ModuleList)), len(children))
    return {name: name in _FEEDS_BLOCKS or (i < first and "final" not in name)
            for i, (name, child) in enumerate(children) if not isinstance(child, nn.ModuleList)}


def _longest_list(body: nn.Module) -> str:
    lists = [(len(module), name) for name, module in body.named_modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise UserError(f"{type(body).__name__} has no list of blocks: ftkit cannot tell its layers apart.")
    return max(lists, key=lambda pair: (pair[0], -pair[1].count(".")))[1]


def torchvision_layout(net: nn.Module) -> Layout:
    """ResNet: each residual block is a block. VGG: each stage between two poolings, then the two hidden linear layers.

    Raises:
        UserError: Another torchvision architecture.
    """
    children = dict(net.named_children())
    if "layer1" in children:
        return make_layout(net, stem=("conv1", "bn1", "relu", "maxpool"), blocks=[f"layer{i}.*" for i in range(1, 5)],
                           tail=("avgpool",), head=("fc",))
    if type(net).__name__ == "VGG":  # others have features and a classifier too, but other stages
        return _vgg_layout(net)
    raise UserError(f"No layout for torchvision's {type(net).__name__}. Known: ResNet, VGG.")


def _vgg_layout(net: nn.Module) -> Layout:
    stages: list[list[str]] = [[]]
    for name, module in net.features.named_children():  # type: ignore[union-attr,operator]
        stages[-1].append(f"features.{name}")
        if isinstance(module, nn.MaxPool2d):
            stages.append([])
    stages = [stage for stage in stages if stage]
    stages[-1].append("avgpool")
    linear = [f"classifier.{name}" for name, _ in net.classifier.named_children()]  # type: ignore[union-attr,operator]
    blocks = [*stages[1:], linear[:-1]] if len(linear) > 1 else stages[1:]
    return [("stem", stages[0]), *((f"block {i}", block) for i, block in enumerate(blocks)), ("head", linear[-1:])]

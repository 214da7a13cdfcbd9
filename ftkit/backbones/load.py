"""load_backbone and list_backbones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ftkit.backbones.adapters import Held, fill_adapters, held_adapters
from ftkit.backbones.big_voices import big_voice
from ftkit.backbones.letters import sound_preprocess, with_vocabulary
from ftkit.backbones.model import Model
from ftkit.backbones.opened import Opened, fresh_head
from ftkit.backbones.preprocess import CONFIG, ImagePreprocess
from ftkit.backbones.quiet import quiet_transformers
from ftkit.backbones.saving import FACTS, load_weights
from ftkit.backbones.sources import offline_place, open_source
from ftkit.backbones.specs import SPECS
from ftkit.backbones.voice import voice_preprocess
from ftkit.errors import UserError, WeightsError
from ftkit.tasks import CTC, Task, make_task

_SPOKEN = {"package": "the installed package", "folder": "the folder", "cache": "the local cache", "hub": "the hub",
           "bundled": "ftkit itself"}


def load_backbone(
    name: str | Path, task: Task | None = None, *, pretrained: bool = True, image_size: int | None = None, seed: int = 0
) -> Model:
    """A pretrained body with a fresh head for a task; or, without a task, a model that was fine-tuned and saved.

    A text generator (task "causal-lm") keeps the head that it was pretrained with: nothing is fresh.

    Args:
        name: A name of `list_backbones()`, a hub id (owner/name) or a folder.
        task: What the head is for: usually `data.task`. None opens a saved model with the head that it has. A saved
            model for exactly these labels keeps its head, so that its training can go on.
        pretrained: False gives the same architecture with random weights: "from scratch".
        image_size: Another input size in pixels; small ones train faster, with some loss. Images only.
        seed: For the random weights of the head (and of the body, from scratch).

    Returns:
        A Model: `.net` is the PyTorch network, `.layers` its LayerMap.

    Raises:
        WeightsError: Unknown name, damaged file, or the weights are neither here nor in reach.
        UserError: The backbone is for another modality than the task.

    Lesson 00.
    """
    if task is not None and str(name) in SPECS and not Path(name).is_dir():  # said before the weights are looked for
        _check_modality(name, SPECS[str(name)].modality, task)
    opened = open_source(str(name), pretrained)
    if task is None:
        task = _saved_task(opened)
    if opened.spec.name not in SPECS and opened.kind != "folder":  # any hub id: its modality is not known beforehand
        opened = replace(opened, spec=replace(opened.spec, modality=task.modality))
    _check_modality(name, opened.spec.modality, task)
    held = held_adapters(opened.path) if opened.kind == "folder" else None
    base = open_source(held.base, pretrained) if held else opened
    base.check()
    processor = _processor(base if held and not _has_processor(held) else opened, task, image_size)
    if isinstance(task, CTC):
        task = with_vocabulary(task, processor.tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = task.build(base)
        if isinstance(task, CTC) and processor.fresh:
            fresh_head(net)
    if base.kind == "folder" and base.library == "torchvision" and pretrained:
        _fill_from_folder(net, Path(base.path), task)
    config: Any = getattr(net, "config", None)
    if task.modality == "text" and not task.generates and config is not None and config.pad_token_id is None:
        config.pad_token_id = processor.pad_token_id  # GPT-2 classifies at the last token that is not padding
    model = Model(net.eval(), task, processor, replace(base.spec, name=opened.spec.name) if held else opened.spec,
                  _origin(opened) + _head_in_words(net, task, opened), _base(base))
    if held and pretrained:
        fill_adapters(model, held, head=_same_labels(held, task))
        model.origin += f", adapters on {held.base}"
    return model


def list_backbones() -> list[dict[str, Any]]:
    """Every backbone with a name: name, modality, parameters (millions), megabytes, licence, offline, about.

    `offline` says whether its weights are on this machine now. A hub id or a folder works too. Lesson 00.
    """
    return [{"name": spec.name, "modality": spec.modality, "parameters_M": spec.parameters,
             "megabytes": spec.megabytes, "offline": offline_place(spec) is not None, "licence": spec.licence,
             "about": spec.about} for spec in SPECS.values()]


def _base(opened: Opened) -> str:
    """What opens this body again: a name, or a folder wherever one stands then."""
    if not opened.pretrained:
        return ""
    return str(Path(opened.path).resolve()) if opened.kind == "folder" else opened.spec.name


def _has_processor(held: Held) -> bool:
    """Whether the tokenizer or the preprocessing lies beside the adapters; peft leaves them with the base."""
    return any((held.folder / file).is_file() for file in ("tokenizer_config.json", CONFIG))


def _same_labels(held: Held, task: Task) -> bool:
    """Whether the saved head is for this task; peft's own folders do not say, and theirs is taken as it is."""
    file = held.folder / FACTS
    return not file.is_file() or list(_read_json(file).get("labels", [])) == list(task.labels)


def _check_modality(name: str | Path, modality: str, task: Task) -> None:
    if modality != task.modality:
        usable = [spec.name for spec in SPECS.values() if spec.modality == task.modality]
        raise UserError(f"'{name}' is a backbone for {modality} and the task is {task.name}. "
                        f"For {task.modality}: {', '.join(usable)}.")


def _head_in_words(net: Any, task: Task, opened: Opened) -> str:
    """Of a text generator: whether its head came with it. Others have a fresh one, as a rule."""
    if not task.generates or not opened.pretrained:
        return ""
    anew = getattr(net, "drawn_anew", [])
    return f", but with random weights for {', '.join(anew)[:80]}" if anew else ", with its own head: nothing is fresh"


def _origin(opened: Opened) -> str:
    if not opened.pretrained:
        return "from scratch, random weights"
    place = {"package": opened.spec.package.partition(":")[0], "bundled": ""}.get(opened.kind, opened.path)
    return f"pretrained, from {_SPOKEN[opened.kind]} {place}".strip()


def _processor(opened: Opened, task: Task, image_size: int | None) -> Any:
    """The tokenizer or the image preprocessing that belongs to the weights."""
    if task.modality == "text":
        return _tokenizer(opened)
    if task.modality == "audio":
        return sound_preprocess(opened, task)
    if task.modality == "voice":
        return voice_preprocess(opened) if opened.library == "ftkit" else big_voice(opened)
    preprocess = _torchvision_preprocess(opened) if opened.library == "torchvision" else _preprocess(opened)
    return preprocess.at_size(image_size) if image_size else preprocess


def _tokenizer(opened: Opened) -> Any:
    import transformers

    with quiet_transformers():
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                opened.path, local_files_only=opened.kind != "hub", trust_remote_code=False)
        except Exception as error:
            raise WeightsError(f"No tokenizer for {opened.spec.name} in {opened.path}: "
                               f"{str(error).splitlines()[0][:200]}") from error
    if len(tokenizer) <= len(tokenizer.all_special_tokens):  # what transformers makes up when the files are missing
        raise WeightsError(f"No tokenizer for {opened.spec.name} in {opened.path}: its vocabulary is missing. "
                           "Save the tokenizer into the same folder, with tokenizer.save_pretrained.")
    if tokenizer.pad_token_id is None:  # GPT-2 was trained without padding; the mask hides what we pad with
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def _torchvision_preprocess(opened: Opened) -> ImagePreprocess:
    if opened.kind in ("folder", "bundled"):
        return ImagePreprocess.from_config(_read_json(Path(opened.path, CONFIG)))
    import torchvision

    preset = torchvision.models.get_weight(opened.spec.weights).transforms()
    return ImagePreprocess(preset.crop_size[0], preset.resize_size[0], tuple(preset.mean), tuple(preset.std),
                           preset.interpolation.value)


def _preprocess(opened: Opened) -> ImagePreprocess:
    from transformers.image_processing_base import ImageProcessingMixin

    with quiet_transformers():
        try:
            config, _ = ImageProcessingMixin.get_image_processor_dict(
                opened.path, local_files_only=opened.kind != "hub")
        except Exception as error:
            raise WeightsError(f"No {CONFIG} for {opened.spec.name} in {opened.path}.") from error
    return ImagePreprocess.from_config(config)


def _saved_task(opened: Opened) -> Task:
    """The task that a saved model was fine-tuned for, from ftkit.json or from a transformers config."""
    if opened.spec.name == "gpt2-mini" and opened.kind == "bundled":  # it can write as it is
        return make_task("causal-lm", ())
    if opened.spec.modality == "voice" and (opened.kind != "folder" or not Path(opened.path, FACTS).is_file()):
        return make_task("text-to-speech", ())  # there is nothing else that it could be for
    if opened.kind != "folder":
        raise UserError(f"Say what '{opened.spec.name}' is for: load_backbone('{opened.spec.name}', data.task).")
    folder = Path(opened.path)
    if (folder / FACTS).is_file():
        facts = _read_json(folder / FACTS)
        if not {"task", "labels", "multilabel"} <= facts.keys():
            raise WeightsError(f"{folder / FACTS} does not say which task the model is for.")
        task = make_task(facts["task"], facts["labels"], facts["multilabel"])
        options: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value
                                   for key, value in facts.get("options", {}).items() if hasattr(task, key)}
        return replace(task, **options)
    file = folder / "config.json"  # peft's own folders have none
    config = _read_json(file) if file.is_file() or not (folder / "adapter_config.json").is_file() else {}
    architecture = (config.get("architectures") or [""])[0]
    if "conv_kernel" in config:  # a speech network calls its classifier like a text network's
        architecture = architecture.replace("ForSequenceClassification", "ForAudioClassification")
    if architecture.endswith("ForCTC"):
        return make_task("ctc", ())
    if architecture == "WhisperForConditionalGeneration":
        return make_task("speech-to-text", ())
    if architecture.endswith(("LMHeadModel", "ForCausalLM")):
        return make_task("causal-lm", ())
    for suffix, name in (("ForSequenceClassification", "text-classification"),
                         ("ForImageClassification", "image-classification"),
                         ("ForAudioClassification", "audio-classification")):
        if architecture.endswith(suffix) and "id2label" in config:
            labels = [config["id2label"][key] for key in sorted(config["id2label"], key=int)]
            return make_task(name, labels, config.get("problem_type") == "multi_label_classification")
    raise UserError(f"{folder} holds a body without a trained head: pass a task, load_backbone(folder, data.task).")


def _fill_from_folder(net: torch.nn.Module, folder: Path, task: Task) -> None:
    """Load a saved torchvision network; a head for other labels is left fresh."""
    last = [name for name in net.state_dict() if name.endswith("weight")][-1].removesuffix(".weight")
    same = list(_read_json(folder / FACTS).get("labels", [])) == list(task.labels)
    load_weights(net, folder, skip=() if same else (f"{last}.weight", f"{last}.bias"))


def _read_json(file: Path) -> dict[str, Any]:
    """A small file of facts beside the weights; raises WeightsError if it is missing or no JSON object."""
    try:
        facts = json.loads(file.read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{file} cannot be read: {error}.") from error
    if not isinstance(facts, dict):
        raise WeightsError(f"{file} does not hold a JSON object.")
    return facts

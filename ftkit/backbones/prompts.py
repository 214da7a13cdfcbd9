"""A learned prompt in a network: vectors of peft's, put in front of the word vectors by hooks.

peft's own PeftModel would wrap the network, and then neither its class nor its layers would be what they were. It also
hands on vectors without tokens, and a GPT-2 classifier, which looks for the last token of a text, would take padding.
"""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn

from ftkit.errors import UserError

_here = threading.local()  # of the forward pass of this thread: whether to fill in a prompt, and how much to cut off


def add_prompt(net: Any, config: Any) -> None:
    """Put peft's prompt into a network: two hooks, one that makes the text longer and one that fills the place.

    Args:
        net: A transformers network that reads `input_ids`.
        config: A PromptTuningConfig.
    """
    from peft import PromptEmbedding

    table = net.get_input_embeddings()
    table.prompt = PromptEmbedding(config, table)
    table.register_forward_hook(_fill)
    net.register_forward_pre_hook(_lengthen, with_kwargs=True)
    net.register_forward_hook(_shorten, with_kwargs=True)


def _lengthen(net: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Room for the prompt before the text: tokens that stand for nothing, and that attention may see.

    In the middle of writing a text, the prompt is in the cache already, and attention must still see it.
    """
    ids = kwargs.get("input_ids")
    if args or ids is None:
        raise UserError("A network with a prompt takes its texts by name: net(input_ids=…, attention_mask=…).")
    n = len(_vectors(net))
    caches = (kwargs.get(name) for name in ("past_key_values", "cache"))  # by its older and its newer name
    begun = any(cache is not None and cache.get_seq_length() > 0 for cache in caches)
    beside = {"attention_mask": 1, **({} if begun else {"input_ids": int(net.config.pad_token_id == 0),
                                                       "token_type_ids": 0, "labels": -100})}
    longer = {name: nn.functional.pad(kwargs[name], (n, 0), value=value) for name, value in beside.items()
              if kwargs.get(name) is not None}
    _here.fill, _here.cut = not begun, 0 if begun else n
    if kwargs.get("position_ids") is not None:  # they count without the prompt
        places = kwargs["position_ids"] + n
        first = torch.arange(n, device=places.device).expand(len(places), -1)
        longer["position_ids"] = places if begun else torch.cat([first, places], 1)
    return args, {**kwargs, **longer}


def _fill(table: Any, args: Any, output: Tensor) -> Tensor:
    """The prompt's vectors in the place of the first n tokens."""
    if not getattr(_here, "fill", False):
        return output
    _here.fill = False
    vectors = table.prompt.embedding.weight.to(output.dtype)
    return torch.cat([vectors.expand(len(output), -1, -1), output[:, len(vectors) :]], 1)


def _shorten(net: Any, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
    """Scores for the text's own tokens alone, from a network that scores every token."""
    logits = output.logits
    if logits.dim() == 3 and logits.shape[1] == kwargs["input_ids"].shape[1]:  # generation may want the last one alone
        output["logits"] = logits[:, _here.cut :]
    return output


def _vectors(net: Any) -> Tensor:
    weight: Tensor = net.get_input_embeddings().prompt.embedding.weight
    return weight

"""What a language model reads: texts, prompts with completions, or chats, as token ids with marks of what is learned.

A document is one row of ids. It begins with the token that GPT-2's authors put between two texts, so that its first
word is predicted too, and it ends with the token that means "no more".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftkit.errors import DataError

ROLES = ("system", "user", "assistant")
TEMPLATE = (
    "{{ bos_token or '' }}{% for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}")
"""How a chat is written for a model whose tokenizer brings no template: "User: …", "Assistant: …", line by line."""


@dataclass(frozen=True)
class Document:
    """One text as a language model meets it.

    Args:
        ids: Token ids (T,).
        learned: (T,) True where the token is to be predicted; the first one never is.
        size: Bytes of the text that is predicted, in UTF-8.
    """

    ids: np.ndarray
    learned: np.ndarray
    size: int


def documents(inputs: Sequence[Any], targets: Sequence[Any], processor: Any) -> list[Document]:
    """Inputs and targets of a split as documents.

    Args:
        inputs: Texts; prompts, if the target is a text; or chats, lists of {"role", "content"}.
        targets: None, or the completion of a prompt.
        processor: The tokenizer.

    Raises:
        DataError: Something else, or a chat in which the assistant says nothing.

    Lesson 07.
    """
    return [_chat(item, processor) if isinstance(item, (list, tuple)) else _text(item, target, processor)
            for item, target in zip(inputs, targets, strict=True)]


def start_of(processor: Any) -> int:
    """The token that every text begins with: "begin", where the tokenizer has one, else "end".

    Raises:
        DataError: The tokenizer has neither: it does not belong to a text generator.
    """
    if processor.eos_token_id is None:
        raise DataError("This backbone's tokenizer has no end-of-text token: it does not belong to a text generator. "
                        "Use gpt2-mini, gpt2 or distilgpt2.")
    return int(processor.eos_token_id if processor.bos_token_id is None else processor.bos_token_id)


def prompt_ids(prompt: Any, processor: Any) -> list[int]:
    """The ids that a continuation is asked for with: those of training, up to where the answer begins."""
    if isinstance(prompt, (list, tuple)):
        check_chat(prompt)
        return _plain(_written(prompt, processor, True), processor)
    return [start_of(processor), *_plain(prompt, processor)]


def _text(text: Any, completion: Any, processor: Any) -> Document:
    for part in (text, *(() if completion is None else (completion,))):
        if not isinstance(part, str):
            raise DataError(f"A language model learns from texts, prompts with completions, or chats, not from "
                            f"{type(part).__name__}: {part!r:.80}.")
    head = [start_of(processor), *(_plain(text, processor) if completion is not None else [])]
    learned = text if completion is None else completion
    ids = np.array([*head, *_plain(learned, processor), processor.eos_token_id], dtype=np.int64)
    return Document(ids, np.arange(len(ids)) >= len(head), len(learned.encode()))


def _plain(text: str, processor: Any) -> list[int]:
    return list(processor(text, add_special_tokens=False, verbose=False)["input_ids"])


def _chat(messages: Sequence[Any], processor: Any) -> Document:
    """A chat, of which only what the assistant says is learned, and that it then stops."""
    check_chat(messages)
    if not any(message["role"] == "assistant" for message in messages):
        raise DataError(f"A chat needs something that the assistant says: {messages!r:.100}.")
    whole = _written(messages, processor)
    spans = []
    for i, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before, after = _written(messages[:i], processor, True), _written(messages[: i + 1], processor).rstrip()
        if not (whole.startswith(after) and after.startswith(before)):
            raise DataError("The chat template of this tokenizer rewrites what was said before, so that turns cannot "
                            "be told apart. Make one example of each turn, or set tokenizer.chat_template.")
        spans.append((len(before), len(after)))
    found = processor(whole, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    learned = np.array([any(start <= first < end and last > first for start, end in spans)
                        for first, last in found["offset_mapping"]])
    ids = np.array(found["input_ids"], dtype=np.int64)
    learned[0] = False
    return Document(ids, learned, sum(len(m["content"].encode()) for m in messages if m["role"] == "assistant"))


def check_chat(messages: Sequence[Any]) -> None:
    """Raise DataError unless these are messages with a role and a content."""
    for message in messages:
        good = isinstance(message, Mapping) and all(isinstance(message.get(key), str) for key in ("role", "content"))
        if not good or message["role"] not in ROLES:
            raise DataError(f"A message of a chat is {{'role': {' or '.join(map(repr, ROLES))}, 'content': a text}}, "
                            f"not {message!r:.80}.")


def _written(messages: Sequence[Any], processor: Any, ask: bool = False) -> str:
    """The chat as one text, by the tokenizer's own template or ours; `ask` adds what comes before an answer."""
    from jinja2 import TemplateError

    if not messages:  # a chat that the assistant begins
        messages, ask = [], True
    try:
        return str(processor.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=ask,
            chat_template=getattr(processor, "chat_template", None) or TEMPLATE))
    except TemplateError as error:
        raise DataError(f"The chat template of this tokenizer refuses a chat: {error}. {messages!r:.100}") from error

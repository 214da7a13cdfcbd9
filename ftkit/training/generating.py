"""generate and stream: what a text generator writes, token by token, as fast as transformers' own code writes it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ftkit.backbones import Model
from ftkit.errors import DataError, UserError
from ftkit.tasks.logprobs import left_padded
from ftkit.tasks.passages import prompt_ids
from ftkit.tasks.sampling import Sampling, penalised
from ftkit.training.cpu import use_all_cores
from ftkit.training.live_text import LiveText


class Written(NamedTuple):
    """What a text generator wrote. Printed, it is the prompt and what follows it.

    Args:
        prompt: What it was given.
        text: What it wrote after that.
        tokens: How many tokens that is, the end of the text included.
        ended: Why it stopped: "end" (it was done), "length" (`max_new_tokens`), "room" (the network reads no longer
            texts) or "interrupted" (Ctrl-C).
    """

    prompt: Any
    text: str
    tokens: int
    ended: str

    def __str__(self) -> str:
        return f"{self.prompt}{self.text}" if isinstance(self.prompt, str) else self.text.strip()


def generate(model: Model, prompt: Any, *, max_new_tokens: int = 100, temperature: float = 1.0, top_k: int = 0,
             top_p: float = 1.0, repetition_penalty: float = 1.0, seed: int = 0,
             stream: bool | Callable[[str], None] | None = None) -> Any:
    """Let a text generator go on from a prompt. Ctrl-C ends it, and what is written by then is returned.

    Args:
        model: Of the task "causal-lm".
        prompt: A text ("" begins one), a chat (a list of {"role", "content"}), or a list of such prompts, which are
            written together.
        max_new_tokens: Where to stop if the model has not come to an end by itself.
        temperature: See `ftkit.tasks.sampling.Sampling`, as for top_k, top_p and repetition_penalty.
        top_k: How many tokens may be drawn from; 0 is no limit.
        top_p: The probability that these must reach; 1 is no limit.
        repetition_penalty: Above 1, repetitions lose.
        seed: Of the draws: the same prompts with the same seed give the same texts.
        stream: True shows the text while it is written, in a terminal or a notebook; a function is called with each
            new piece. For a single prompt.

    Returns:
        A Written for one prompt, a list of them for a list.

    Raises:
        UserError: The model does not write texts, or a control makes no sense.
        DataError: A prompt is no text and no chat, or it fills the network.

    Lesson 07.
    """
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, repetition_penalty=repetition_penalty)
    single = isinstance(prompt, str) or _is_chat(prompt)
    job = _Job.prepare(model, [prompt] if single else list(prompt), sampling, max_new_tokens, seed)
    if not stream:
        job.write(None)
    elif not single:
        raise UserError("stream shows one text: give one prompt, or leave stream out.")
    elif callable(stream):
        job.write(stream)
    else:
        with LiveText(prompt if isinstance(prompt, str) else "") as shown:
            job.write(shown.add)
    found = job.written()
    return found[0] if single else found


def stream(model: Model, prompt: Any, **controls: Any) -> Iterator[str]:
    """The text in pieces, while it is written: `for piece in ft.stream(model, "Day 1."): ...`.

    Args:
        model: Of the task "causal-lm".
        prompt: One text or chat.
        controls: As in `generate`. Leaving the loop stops the writing.

    Lesson 07.
    """
    pieces: queue.Queue[Any] = queue.Queue()
    left = threading.Event()

    def put(piece: str) -> None:
        if left.is_set():
            raise KeyboardInterrupt  # ends the writing as Ctrl-C does
        pieces.put(piece)

    def work() -> None:
        try:
            generate(model, prompt, stream=put, **controls)
            pieces.put(None)
        except BaseException as error:
            pieces.put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (piece := pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        left.set()
        thread.join()


@dataclass
class _Job:
    """Prompts that are being continued."""

    model: Model
    prompts: list[Any]
    rows: list[list[int]]
    sampling: Sampling
    most: int
    room: bool  # whether the network's length is the limit, not the caller's
    seed: int
    new: list[list[int]]
    interrupted: bool = False

    @classmethod
    def prepare(cls, model: Model, prompts: list[Any], sampling: Sampling, most: int, seed: int) -> _Job:
        """Prompts as ids, once everything that could be wrong has been looked at; see `generate` for the errors."""
        if not model.task.generates:
            raise UserError(f"ft.generate needs a text generator, and this model is for {model.task.name}: load one "
                            "with load_backbone('gpt2-mini'), or train one with task='causal-lm'.")
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise UserError(f"max_new_tokens must be a whole number of at least 1, not {most!r}.")
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise UserError(f"seed must be a whole number of at least 0, not {seed!r}.")
        wrong = next((one for one in prompts if not isinstance(one, str) and not _is_chat(one)), None)
        if wrong is not None or not prompts:
            raise DataError("There is no prompt." if wrong is None else f"A prompt is a text or a chat, not "
                            f"{type(wrong).__name__}: {wrong!r:.80}.")
        rows = [prompt_ids(one, model.processor) for one in prompts]
        longest = max(map(len, rows)) + model.prompt_length
        config: Any = model.net.config
        left = int(getattr(config, "max_position_embeddings", None) or 2**31) - longest
        if left < 1:
            raise DataError(f"The prompt has {longest} tokens, and this network reads {longest + left - 1} at most "
                            "and then writes. Cut its beginning.")
        return cls(model, prompts, rows, sampling, min(most, left), left < most, seed, [[] for _ in rows])

    def write(self, tell: Callable[[str], None] | None) -> None:
        """Run transformers' loop with its cache of keys and values; `tell` gets the first prompt's text in pieces."""
        use_all_cores()
        net: Any = self.model.net
        processor = self.model.processor
        pad = processor.pad_token_id if processor.pad_token_id is not None else processor.eos_token_id
        ids, mask = left_padded(self.rows, pad, net.device)
        s = self.sampling
        training = [module for module in net.modules() if module.training]
        net.eval()
        gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
        try:
            with torch.random.fork_rng(devices=gpus):
                torch.manual_seed(self.seed)
                net.generate(
                    input_ids=ids, attention_mask=mask, max_new_tokens=self.most, do_sample=s.temperature > 0,
                    **({"temperature": s.temperature, "top_k": s.top_k, "top_p": s.top_p} if s.temperature > 0 else {}),
                    num_beams=1, repetition_penalty=1.0, eos_token_id=processor.eos_token_id, pad_token_id=pad,
                    logits_processor=[_Penalty(s.repetition_penalty, mask, processor.eos_token_id)]
                    if s.repetition_penalty != 1 else None, streamer=_Tokens(self, tell))
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            for module in training:
                module.training = True

    def add(self, tokens: Sequence[int]) -> None:
        """Take one more token of each prompt."""
        end = self.model.processor.eos_token_id
        for row, token in zip(self.new, tokens, strict=True):
            if not row or row[-1] != end:  # else it is padding behind a text that has ended
                row.append(token)

    def text(self, i: int) -> str:
        """What was written after a prompt."""
        return str(self.model.processor.decode(self.new[i], skip_special_tokens=True,
                                               clean_up_tokenization_spaces=False))

    def written(self) -> list[Written]:
        """The results by now."""
        end = self.model.processor.eos_token_id
        limit = "interrupted" if self.interrupted else "room" if self.room else "length"
        return [Written(prompt, self.text(i), len(row), "end" if row and row[-1] == end else limit)
                for i, (prompt, row) in enumerate(zip(self.prompts, self.new, strict=True))]


class _Tokens:
    """What transformers hands each new token to."""

    def __init__(self, job: _Job, tell: Callable[[str], None] | None) -> None:
        self.job, self.tell = job, tell
        self.told, self.prompt = 0, True

    def put(self, tokens: Tensor) -> None:
        """One more token of each prompt (B,), at first the prompts themselves."""
        if self.prompt:  # transformers sends the prompt first
            self.prompt = False
            return
        self.job.add(tokens.tolist())
        if self.tell is None:
            return
        text = self.job.text(0)
        if text.endswith("\ufffd"):  # half of a character: the other half comes with the next token
            return
        self.told, piece = len(text), text[self.told :]
        if piece:
            self.tell(piece)

    def end(self) -> None:
        piece = self.job.text(0)[self.told :]
        if piece and self.tell is not None:
            self.tell(piece)


class _Penalty:
    """The repetition penalty, but for the end: GPT-2's texts begin with that token too, and would never come to it."""

    def __init__(self, penalty: float, mask: Tensor, end: int) -> None:
        self.penalty, self.mask, self.end = penalty, mask, end

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        rows = []
        for ids, row, known in zip(input_ids, scores, self.mask, strict=True):
            seen = torch.cat([ids[: len(known)][known.bool()], ids[len(known) :]])
            rows.append(penalised(row, seen[seen != self.end].unique(), self.penalty))
        return torch.stack(rows)


def _is_chat(prompt: Any) -> bool:
    return isinstance(prompt, (list, tuple)) and bool(prompt) and isinstance(prompt[0], dict)

"""Replies drawn from a network, in the shape that PPO needs: the very tokens, and the scores they were drawn by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ftkit.errors import UserError
from ftkit.tasks.logprobs import left_padded, token_logprobs
from ftkit.tasks.passages import prompt_ids


@dataclass
class Written:
    """B prompts and a reply to each. Prompts are padded on the left, so that all replies begin in the same column.

    Args:
        ids: (B, P + R) token ids.
        attention: (B, P + R), 1 where a token is no padding.
        mask: (B, R), 1 for the tokens of the reply; the end-of-text token is the last of them.
        ended: (B,), whether the reply came to its end or was cut off.
        texts: The replies, without special tokens.
    """

    ids: Tensor
    attention: Tensor
    mask: Tensor
    ended: Tensor
    texts: list[str]

    @property
    def replies(self) -> Tensor:
        """(B, R) token ids of the replies."""
        return self.ids[:, -self.mask.shape[1]:]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, chosen: Tensor) -> Written:
        """Some of the rows: a minibatch."""
        texts = [self.texts[i] for i in chosen.tolist()]
        return Written(self.ids[chosen], self.attention[chosen], self.mask[chosen], self.ended[chosen], texts)


def write(net: Any, processor: Any, prompts: Sequence[Any], max_new_tokens: int) -> Written:
    """A reply to each prompt, drawn token by token from the network's own probabilities.

    No temperature, no top-k: PPO compares probabilities, and these must be the ones that the tokens were drawn by. The
    randomness is torch's; see `ftkit.training.control.seeded`.

    Args:
        net: A network that writes texts, in eval mode.
        processor: Its tokenizer.
        prompts: Texts, or chats.
        max_new_tokens: A reply that is not at its end after so many is cut off.

    Raises:
        UserError: No prompts.
    """
    if not len(prompts):
        raise UserError("There are no prompts to reply to.")
    rows = [prompt_ids(prompt, processor) for prompt in prompts]
    end = int(processor.eos_token_id)
    ids, attention = left_padded(rows, end, next(net.parameters()).device)
    with torch.no_grad():
        whole = net.generate(input_ids=ids, attention_mask=attention, do_sample=True, temperature=1.0, top_k=0,
                             top_p=1.0, repetition_penalty=1.0, max_new_tokens=max_new_tokens, eos_token_id=end,
                             pad_token_id=end)
    replies = whole[:, ids.shape[1] :]
    over = (replies == end).cumsum(1) - (replies == end).long()  # how often the text has ended *before* this token
    mask = (over == 0).float()
    attention = torch.cat([attention, (over == 0).long()], dim=1)
    texts = processor.batch_decode(replies.masked_fill(over > 0, end), skip_special_tokens=True)
    return Written(whole, attention, mask, (replies == end).any(1), [text.strip() for text in texts])


@dataclass
class Looked:
    """What a network thinks of replies, token by token: all (B, R).

    Args:
        logprobs: log p of each token of the reply.
        entropy: How undecided the network was before it, in nats.
        hidden: (B, R, H) the state that each token was drawn from, for a value head; None if not asked for.
    """

    logprobs: Tensor
    entropy: Tensor
    hidden: Tensor | None


def look(net: nn.Module, written: Written, *, hidden: bool = False, entropy: bool = False) -> Looked:
    """Run a network over prompts and replies that are already there. Beyond a reply's end the numbers mean nothing."""
    places = (written.attention.cumsum(1) - 1).clamp(min=0)  # left padding: a token's place is not its column
    steps = written.mask.shape[1]
    out = net(input_ids=written.ids, attention_mask=written.attention, position_ids=places, use_cache=False,
              logits_to_keep=steps + 1, output_hidden_states=hidden)
    logits = out.logits[:, :-1].float()  # the scores in one column are for the token in the next
    spread = -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1) if entropy else torch.zeros_like(written.mask)
    states = out.hidden_states[-1][:, -steps - 1 : -1] if hidden else None
    return Looked(token_logprobs(logits, written.replies), spread, states)

"""Listen to sounds side by side, before and after; blind if wished, because expectation colours what one hears."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ftkit.errors import UserError, check_name
from ftkit.viz.audio import RATE, Sound, read
from ftkit.viz.sound import MOST, spectrogram
from ftkit.widgets.markup import button, tag
from ftkit.widgets.small_panel import SmallPanel
from ftkit.widgets.sound_html import encode, equally_loud, player, small_png, strip

NO_DIFFERENCE = "no difference"
_LETTERS = "ABCDEF"


def listen(
    sounds: Mapping[str, Any],
    rate: int = RATE,
    *,
    blind: bool = False,
    seed: int | None = None,
    same_loudness: bool = True,
) -> Listener:
    """Sounds by name, each with its picture and a player: a model's voice before and after fine-tuning, for example.

    Sounds and pictures are in the page, as MP3 and SVG: about 15 kB a second together. The panel says how much it is.

    Args:
        sounds: Up to six by name: {"before": samples (T,), "after": a file, …}.
        rate: Samples a second of arrays; files have their own.
        blind: Hide names and pictures, and shuffle, until the listener has chosen the better one.
        seed: Of the shuffling; None takes one from the sounds themselves, so that it is the same each time.
        same_loudness: Make all equally loud, which the panel says: the louder of two is thought to be better.

    Returns:
        The panel. Without a notebook: `panel.choose("A")`, then `panel.choices`.

    Raises:
        UserError: No sounds by name, more than six, a blind test of one, or samples that cannot be used.
        DataError: A file that is missing or cannot be read.

    Source: ITU-R BS.1116 (why listening tests are blind). Lesson 06.
    """
    return Listener(sounds, rate, blind, seed, same_loudness)


class Listener(SmallPanel):
    """What `listen` returns.

    Attributes:
        sounds: By name, in the order given, as they are played.
        choices: Of each blind round, the name that was chosen, or "no difference".
    """

    title = "Listen"
    commands = ("choose", "again")

    def __init__(self, sounds: Mapping[str, Any], rate: int, blind: bool, seed: int | None, same: bool) -> None:
        super().__init__()
        if not isinstance(sounds, Mapping) or not sounds:
            raise UserError('listen takes sounds by name: {"before": samples, "after": samples}.')
        if len(sounds) > MOST:
            raise UserError(f"listen plays at most {MOST} sounds, not {len(sounds)}.")
        if blind and len(sounds) < 2:
            raise UserError("A blind test needs at least two sounds: there is nothing to choose from.")
        found = {str(name): read(sound, rate, f"The sound '{name}'") for name, sound in sounds.items()}
        self.sounds, self._gains = equally_loud(found) if same else (found, dict.fromkeys(found, 0.0))
        self._same, self._blind, self.choices = same, blind, list[str]()
        self._seed = _seed_of(self.sounds) if seed is None else seed
        self._open = not blind  # whether names may be seen
        self._order = self._shuffled()
        self._encoded: dict[str, bytes] = {}

    def choose(self, which: str) -> str:
        """Which sound is the better one in a blind test: its letter, or "no difference". Then names are shown.

        Returns:
            The name of the sound that was chosen.
        """
        if not self._blind:
            raise UserError("This panel shows the names: make one with blind=True to choose without them.")
        if self._open:
            raise UserError("This round is over. Begin another one: panel.again().")
        check_name("choice", which, [*self._order, NO_DIFFERENCE])
        name = self._order.get(which, NO_DIFFERENCE)
        self.choices.append(name)
        self._open = True
        self.changed("You heard no difference." if which == NO_DIFFERENCE else f"You chose {which}, which is “{name}”.")
        return name

    def again(self) -> None:
        """Another blind round: names are hidden and shuffled anew."""
        if not self._blind:
            raise UserError("This panel shows the names: make one with blind=True for blind rounds.")
        self._open = False
        self._order = self._shuffled()
        self.changed("Shuffled: listen again.")

    def _shuffled(self) -> dict[str, str]:
        """Letters and the names behind them, in this round."""
        names = list(self.sounds)
        if not self._blind:
            return dict(zip(names, names, strict=True))
        order = np.random.default_rng([self._seed, len(self.choices)]).permutation(len(names))
        return {_LETTERS[i]: names[k] for i, k in enumerate(order)}

    def _revealed(self) -> str:
        return ", ".join(f"{letter} is “{name}”" for letter, name in self._order.items()) + "."

    def tally(self) -> str:
        """How often each was chosen so far."""
        counts = ", ".join(f"{name} {self.choices.count(name)}" for name in [*self.sounds, NO_DIFFERENCE])
        return (f"Chosen in {len(self.choices)} round{'s' * (len(self.choices) != 1)}: {counts}. Who "
                "guesses chooses each about equally often: a single round says little.")

    # --- rendering --------------------------------------------------------------------------------------------------

    def regions(self) -> dict[str, str]:
        """A note, the sounds, and in a blind test the choice; a sound that plays is not drawn anew."""
        parts = {"note": tag("p", self._note())}
        for i, (shown, name) in enumerate(self._order.items()):
            picture = "" if self._blind else self._strip(name)
            parts[f"sound {i}"] = tag("h4", self._heading(shown, name)) + picture + self._player(shown, name)
        if self._blind:
            parts["choice"] = self._result() if self._open else self._choice()
        return parts

    def _choice(self) -> str:
        buttons = "".join(button(f"{letter} is better", "choose", f"choose {letter}", {"which": letter})
                          for letter in self._order)
        none = button("I hear no difference", "choose", "choose none", {"which": NO_DIFFERENCE})
        return f'<div class="ft-line" role="group" aria-label="Which sound is better?">{buttons}{none}</div>'

    def _result(self) -> str:
        pictures = "".join(f"{tag('h4', f'{letter}: {name}')}{self._strip(name)}"
                           for letter, name in self._order.items())
        return (tag("p", self._revealed(), class_="ft-good")
                + tag("p", self.tally()) + f'<p>{button("Shuffle and listen again", "again", "again")}</p>' + pictures)

    def _heading(self, shown: str, name: str) -> str:
        if self._blind:  # lengths would tell them apart
            return f"Sound {shown}"
        return f"{shown}, {self.sounds[name].seconds:.1f} s"

    def _player(self, shown: str, name: str) -> str:
        if name not in self._encoded:
            self._encoded[name] = encode(self.sounds[name])
        return player(self._encoded[name], f"sound {shown}" if self._blind else shown)

    def _strip(self, name: str) -> str:
        return strip(self.sounds[name], name, max(sound.seconds for sound in self.sounds.values()))

    def _note(self) -> str:
        said = []
        if not self._open:
            said.append("Names and pictures are hidden until you have chosen.")
        if self._same:
            changed = "" if not self._open else " (" + ", ".join(
                f"{name} {'−' if gain < 0 else '+'}{abs(gain):.1f} dB" for name, gain in self._gains.items()) + ")"
            said.append(f"Made equally loud{changed}.")
        else:
            said.append("Each as loud as it was given.")
        size = sum(len(self._player(shown, name)) for shown, name in self._order.items()) // 1000
        said.append(f"The sounds take {size:,} kB of this page.")
        return " ".join(said)

    def _text(self) -> str:
        if self._open:
            names = ", ".join(f"{name} ({sound.seconds:.1f} s)" for name, sound in self.sounds.items())
            return f"Listen: {names}. {self._note()}" + (f" {self.tally()}" if self._blind else "")
        return f"Listen, blind: {', '.join(self._order)}. {self._note()} panel.choose(\"A\") shows which is which."

    def _html(self) -> str:
        """The same without a kernel: players work, and which is which stands behind a fold."""
        parts = [tag("p", self._note())]
        for shown, name in self._order.items():
            picture = self._strip(name) if self._open else ""
            heading = f"{shown}: {name}" if self._blind and self._open else self._heading(shown, name)
            parts.append(f'<p style="margin:8px 0 2px">{tag("strong", heading)}</p>{picture}')
            parts.append(self._player(shown, name))
        if not self._open:
            fold = tag("summary", "Which is which (choose first)")
            parts.append(f"<details>{fold}{tag('p', self._revealed())}</details>")
        elif self._blind:
            parts.append(tag("p", self.tally()))
        return "".join(parts)

    def _png(self) -> bytes:
        return small_png(spectrogram(self.sounds)) if self._open else b""

    def _make_panel(self) -> Any:
        from ftkit.widgets.sound_view import SoundView

        return SoundView(self)


def _seed_of(sounds: Mapping[str, Sound]) -> int:
    """A number that depends on the sounds: not the same order for every pair of them."""
    whole = hashlib.sha256()
    for name, sound in sounds.items():
        whole.update(name.encode() + sound.samples.tobytes())
    return int.from_bytes(whole.digest()[:4])

"""Sounds in HTML: a player, a small picture, a place to record. All of it is in the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from ftkit.data.folders import SUFFIXES
from ftkit.speech.spoken import mp3
from ftkit.viz.audio import RANGE, Sound, log_mel
from ftkit.viz.sound import INKS, envelope
from ftkit.viz.style import BLUE, INK, LINES, Picture
from ftkit.widgets.markup import attributes, tag

LOUDNESS = 0.1  # root mean square of what is spoken, after `equally_loud`
_WIDE, _WAVE, _BANDS, _FOOT = 600, 46, 96, 20  # pixels of the small picture
_SHADES = 16
_PITCH = (f'<g stroke="white" stroke-width="3" paint-order="stroke" text-anchor="end"><text x="{_WIDE - 3}" '
          f'y="{_WAVE + 13}">{{top:g}} kHz</text><text x="{_WIDE - 3}" y="{_WAVE + _BANDS - 4}">0</text></g>')


def equally_loud(sounds: Mapping[str, Sound]) -> tuple[dict[str, Sound], dict[str, float]]:
    """The sounds with the same root mean square where they are not silent, and how many decibels each was changed by.

    The louder of two sounds the same is said to be the better one. If the peaks of one would be cut off, all are made
    fainter. A silent sound stays as it is.
    """
    now = {name: _loudness(sound) for name, sound in sounds.items()}
    gains = {name: LOUDNESS / level if level > 1e-5 else 1.0 for name, level in now.items()}
    peak = max(float(np.abs(sound.samples).max()) * gains[name] for name, sound in sounds.items() if now[name] > 1e-5
               ) if any(level > 1e-5 for level in now.values()) else 1.0
    shared = min(1.0, 0.97 / peak)
    gains = {name: gain * (shared if now[name] > 1e-5 else 1.0) for name, gain in gains.items()}
    changed = {name: Sound((sound.samples * gains[name]).astype(np.float32), sound.rate)
               for name, sound in sounds.items()}
    return changed, {name: float(20 * np.log10(gain)) for name, gain in gains.items()}


def _loudness(sound: Sound) -> float:
    """Root mean square over the pieces of 20 ms that lie at most 40 decibels below the loudest."""
    step = max(1, sound.rate // 50)
    pieces = np.pad(sound.samples, (0, -len(sound.samples) % step)).reshape(-1, step).astype(np.float64)
    power = (pieces**2).mean(1)
    return float(np.sqrt(power[power >= 1e-4 * power.max()].mean()))


def player(content: bytes, name: str) -> str:
    """The browser's own player for an MP3 file; it works by keyboard and without a kernel."""
    source = f"data:audio/mpeg;base64,{base64.b64encode(content).decode('ascii')}"
    look = "display:block;width:100%;max-width:620px;margin:4px 0"
    return tag("audio", f"{name}: this page cannot play sounds.", controls=True, preload="metadata", src=source,
               aria_label=f"Play: {name}", style=look)


def encode(sound: Sound) -> bytes:
    """The sound as an MP3 file, which every browser plays: about 7 kB a second, a quarter of the samples' own size."""
    return mp3(sound.samples, sound.rate)


def strip(sound: Sound, name: str, seconds: float | None = None) -> str:
    """A small picture: the wave, the spectrogram below it, and seconds. `seconds` is how long its axis is."""
    source = f"data:image/svg+xml;base64,{base64.b64encode(_svg(sound, seconds or sound.seconds).encode()).decode()}"
    told = f"Waveform and spectrogram of {name}: {sound.seconds:.1f} seconds" + (
        "" if np.abs(sound.samples).max() > 1e-4 else ", silent")
    look = "display:block;width:100%;max-width:620px;height:auto;margin:4px 0 6px"
    return f"<img{attributes(src=source, alt=told, style=look)}>"


def with_player(sound: Sound | None, name: str, keep: bool = True) -> str:
    """Picture and player of one sound; "" for None. Without `keep` only the picture, and a sentence that says why."""
    if sound is None:
        return ""
    if keep:
        return strip(sound, name) + player(encode(sound), name)
    return strip(sound, name) + tag("p", "The sound itself is not kept in the notebook: it may be somebody's voice.",
                                    style="margin:2px 0")


def sound_form() -> str:
    """Where sounds come in: files, or the microphone. It never changes, so that a recording goes on."""
    known = attributes(type="file", accept=",".join(SUFFIXES["audio"]), data_upload="upload", data_key="file",
                       class_="ft-unseen")
    drop = f'<label class="ft-drop"><input{known}><span>Choose a sound, or drop one here</span></label>'
    return f'<div class="ft-line"><ft-recorder></ft-recorder>{drop}</div>'


def small_png(picture: Picture) -> bytes:
    """A Picture as a PNG file of 8 colours, which takes a fifth of the room."""
    with Image.open(io.BytesIO(picture.png())) as full:
        file = io.BytesIO()
        full.convert("RGB").quantize(8, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def _svg(sound: Sound, seconds: float) -> str:
    """As an SVG file on white: small, and sharp at every size."""
    wide, tall = _WIDE * sound.seconds / seconds, _WAVE + _BANDS + _FOOT
    image = base64.b64encode(_spectrogram(sound)).decode("ascii")
    ticks = "".join(
        f'<path d="M{x:.0f} {_WAVE + _BANDS}v4" stroke="{LINES}"/><text x="{x:.0f}" y="{tall - 3}" '
        f'text-anchor="{"start" if x < 10 else "end" if x > _WIDE - 30 else "middle"}">{label}</text>'
        for x, label in _ticks(seconds))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {tall}" width="{_WIDE}" height="{tall}" '
            f'font-family="sans-serif" font-size="13" fill="{INK}"><rect width="{_WIDE}" height="{tall}" fill="white"/>'
            f'<path d="{_wave(sound, wide)}" fill="{BLUE}" stroke="{BLUE}" stroke-width=".6"/>'
            f'<image href="data:image/png;base64,{image}" y="{_WAVE}" width="{wide:.0f}" height="{_BANDS}" '
            f'preserveAspectRatio="none"/>{_PITCH.format(top=sound.rate / 2000)}'
            f'<path d="M0 {_WAVE + _BANDS}h{_WIDE}" stroke="{LINES}"/>{ticks}</svg>')


def _wave(sound: Sound, wide: float) -> str:
    """The outline of the wave, from left to right and back; its largest sample fills the height."""
    _, low, high = envelope(sound, max(2, int(wide / 3)))
    x = np.linspace(0, wide, len(low))
    middle, size = _WAVE / 2, 0.46 * _WAVE / max(float(np.abs(sound.samples).max()), 1e-6)
    there = [f"{a:.0f} {middle - size * b:.1f}" for a, b in zip(x, high, strict=True)]
    back = [f"{a:.0f} {middle - size * b:.1f}" for a, b in zip(x[::-1], low[::-1], strict=True)]
    return f"M{'L'.join([*there, *back])}Z"


def _spectrogram(sound: Sound) -> bytes:
    """A PNG of one pixel per band and hundredth of a second, at most one per pixel of the page, in 16 shades."""
    levels = log_mel(sound, bands=48)[::-1]
    if levels.shape[1] > _WIDE:
        edges = np.linspace(0, levels.shape[1], _WIDE + 1).astype(int)[:-1]
        levels = np.maximum.reduceat(levels, edges, axis=1)
    shade = np.round((levels + RANGE) / RANGE * (_SHADES - 1)).astype(np.uint8)
    image = Image.fromarray(shade, "P")
    colours = (np.asarray([INKS(i / (_SHADES - 1))[:3] for i in range(_SHADES)]) * 255).round().astype(int)
    image.putpalette(colours.ravel().tolist())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, bits=4)
    return file.getvalue()


def _ticks(seconds: float) -> list[tuple[float, str]]:
    """About six round times, as (pixels, words)."""
    step = next((step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60) if seconds / step <= 7), 300)
    times = np.arange(0, seconds + 1e-9, step)
    return [(float(time / seconds * _WIDE), f"{time:g} s") for time in times]

"""Synthetic speakers: programs that read English aloud, each with many voices.

They speak the words of the bundled data set `commands` and sentences for the speech recipe. Only who makes these again
needs the programs; who uses them does not.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ftkit.errors import DataError, UserError, check_name
from ftkit.pretraining.vary import RATE, change_voice, resample
from ftkit.speech.recorded import evened

INSTALL = ("apt-get install espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts "
           "(on Debian or Ubuntu)")
PROGRAMS = {"espeak": "espeak-ng", "flite": "flite", "festival": "text2wave"}


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker.

    Args:
        name: Such as "gb-f2".
        engine: "espeak", "flite" or "festival".
        voice: What the program calls it, such as "en-gb+f2" or "slt".
        pitch: Semitones above the program's own choice for this voice.
        speed: As a multiple of the program's own.
        gender: "f" or "m", as it sounds.
    """

    name: str
    engine: str
    voice: str
    pitch: float
    speed: float
    gender: str

    @property
    def person(self) -> str:
        """Who was recorded, or which vocal tract was described: voices of one person belong into one split."""
        name = self.voice.partition("+")[2] or self.voice
        return _SAME_PERSON.get(name, name)


_SAME_PERSON = {"kal16": "kal", "kal_diphone": "kal", "ked_diphone": "ked", "cmu_us_slt_arctic_hts": "slt"}
_ACCENTS = {"gb": "en-gb", "us": "en-us", "scot": "en-gb-scotland", "rp": "en-gb-x-rp", "lanc": "en-gb-x-gbclan",
            "midl": "en-gb-x-gbcwmd", "carib": "en-029", "nyc": "en-us-nyc"}
# Variant and gender, accent, semitones, speed: eSpeak NG makes every voice by formulas, none was recorded.
_ESPEAK = """
f1 f us 0 0.85
f2 f gb 1 0.9
f3 f rp 0 0.85
f4 f scot -1 0.95
f5 f carib 1 0.95
Andrea f us -1 0.7
Annie f nyc 0 0.85
anika f gb -2 0.65
aunty f midl 0 0.95
belinda f lanc -1 0.85
grandma f rp 2 0.75
linda f us -1 0.9
steph f carib 3 0.85
whisperf f gb 0 0.8
m1 m gb 2 0.8
m2 m us 0 0.95
m3 m scot 1 0.75
m4 m rp 3 0.9
m5 m carib -2 0.85
m6 m lanc 4 0.8
m7 m midl 2 0.9
m8 m us 0 0.8
Alex m us 1 0.75
Andy m gb 2 0.95
Lee m us 3 0.9
Mario m lanc 0 0.75
benjamin m gb -1 0.8
david m scot 4 0.85
gustave m rp 0 0.85
klatt m us 1 0.85
norbert m carib 1 0.8
pablo m us -3 0.85
paul m nyc 2 0.75
robert m gb -4 0.85
sandro m midl 0 0.8
travis m rp 3 0.9
"""
# Made from recordings of people; small ones are the same person with a shorter vocal tract.
_RECORDED = (
    Voice("awb", "flite", "awb", 0, 1.0, "m"),
    Voice("awb-small", "flite", "awb", 4, 1.0, "m"),
    Voice("kal", "flite", "kal", 0, 0.9, "m"),
    Voice("kal16", "flite", "kal16", 2, 0.85, "m"),
    Voice("kal16-small", "flite", "kal16", 5, 0.9, "m"),
    Voice("rms", "flite", "rms", 0, 1.0, "m"),
    Voice("rms-small", "flite", "rms", 4, 1.0, "m"),
    Voice("slt", "flite", "slt", 0, 1.0, "f"),
    Voice("kal-festival", "festival", "kal_diphone", -1, 0.95, "m"),
    Voice("ked-festival", "festival", "ked_diphone", 0, 1.0, "m"),
    Voice("ked-small", "festival", "ked_diphone", 4, 1.0, "m"),
    Voice("slt-festival", "festival", "cmu_us_slt_arctic_hts", 0, 0.9, "f"),
)


def _espeak_voices() -> tuple[Voice, ...]:
    rows = (line.split() for line in _ESPEAK.strip().splitlines())
    return tuple(Voice(f"{accent}-{variant.lower()}", "espeak", f"{_ACCENTS[accent]}+{variant}", float(pitch),
                       float(speed), gender) for variant, gender, accent, pitch, speed in rows)


VOICES = (*_espeak_voices(), *_RECORDED)
# Nothing may be trained on these: only so does a score say what a model does with a voice it has never heard.
VALID = ("ked-festival", "ked-small", "carib-f5", "us-andrea", "gb-m1", "rp-gustave")
TEST = ("rms", "rms-small", "slt", "slt-festival", "gb-f2", "nyc-annie", "lanc-belinda", "scot-m3", "midl-m7", "us-lee",
        "us-pablo", "gb-robert")


def split_of(voice: Voice) -> str:
    """Where a voice belongs in every data set that is made with these speakers: "train", "valid" or "test"."""
    return "valid" if voice.name in VALID else "test" if voice.name in TEST else "train"


def speak(voice: Voice, text: str, rate: int = RATE) -> np.ndarray:
    """The text, read aloud: float32 (samples,) in [-1, 1], mono, without the silence at both ends.

    Args:
        voice: One of `VOICES`, or `dataclasses.replace(voice, speed=…)` of one.
        text: English.
        rate: Samples a second.

    Raises:
        UserError: The program is not installed, or it made no sound of this text.
        UnknownName: The program does not have that voice.
    """
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        script, sound = Path(folder) / "text.txt", Path(folder) / "speech.wav"
        script.write_text(text + "\n", encoding="utf8")
        _check_voice(voice)
        _run(_command(voice, script, sound), voice)
        if not sound.is_file() or sound.stat().st_size < 100:
            raise UserError(f"The voice '{voice.name}' made no sound of {text!r}. Is '{voice.voice}' installed? "
                            f"Try: {INSTALL}.")
        audio, own_rate = soundfile.read(sound, dtype="float32")
    audio = resample(audio, rate / own_rate)
    if voice.engine != "espeak":  # the one program that changes pitch and speed itself, in every voice
        audio = change_voice(audio, voice.speed, voice.pitch, rate)
    try:
        return evened(audio, rate)
    except DataError:
        raise UserError(f"The voice '{voice.name}' is silent on {text!r}.") from None


def _command(voice: Voice, script: Path, sound: Path) -> list[str]:
    if voice.engine == "espeak":
        pitch = min(99, max(0, round(50 + voice.pitch * 50 / 12)))  # from 0 to 99, an octave down to an octave up
        return ["espeak-ng", "-v", voice.voice, "-p", str(pitch), "-s", str(round(175 * voice.speed)),
                "-f", str(script), "-w", str(sound)]
    if voice.engine == "flite":
        return ["flite", "-voice", voice.voice, "-f", str(script), "-o", str(sound)]
    return ["text2wave", "-eval", f"(voice_{voice.voice})", "-o", str(sound), str(script)]


def _check_voice(voice: Voice) -> None:
    """Two of the programs take another voice, and say nothing, when they do not have the one that is asked for."""
    if voice.engine == "flite":
        name, said = voice.voice, _run(["flite", "-lv"], voice).stdout.partition(":")[2].split()
    elif voice.engine == "espeak" and "+" in voice.voice:
        name = voice.voice.partition("+")[2]
        listed = _run(["espeak-ng", "--voices=variant"], voice).stdout.split()
        said = [word.removeprefix("!v/") for word in listed if word.startswith("!v/")]
    else:
        return
    check_name(f"voice of {PROGRAMS[voice.engine]}", name, said)


def _run(command: list[str], voice: Voice) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, errors="replace")
    except FileNotFoundError:
        raise UserError(f"The voice '{voice.name}' needs the program {command[0]}, which is not installed. "
                        f"Install it: {INSTALL}.") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]} did not finish within two minutes.") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise UserError(f"{command[0]} failed for the voice '{voice.name}': {said[-1] if said else 'no message'}. "
                        f"Is '{voice.voice}' installed? Try: {INSTALL}.")
    return done

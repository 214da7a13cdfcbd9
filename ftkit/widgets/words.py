"""What a snapshot says, in words and short numbers: the same in every form of the playground."""

from __future__ import annotations

from typing import Any

from ftkit.viz.words import count, percent

Snapshot = dict[str, Any]

# The measured columns of the table: key in a group's row, heading, what it is.
MEASURES = (("grad_norm", "gradient", "L2 norm of the gradients in the last step"),
            ("drift", "drift", "how far the weights have moved from where they began, as a share of their size"),
            ("optimizer_bytes", "optimizer", "memory that the optimizer keeps for this group"),
            ("activation_bytes", "activations", "memory that the backward pass keeps of this group's forward pass"))
BACKWARD = "backward pass"  # heading of the column that says what it does: stored, passes, none
FLOW_NOTE = ("The backward pass starts at the loss, below the head, and runs up. Where gradients are stored, weights "
             "learn; where they only pass, they are computed all the same, for the layers above; the rest is free.")


def short(number: float | None) -> str:
    """Three digits of any number: "0.0123", "1.2e-5"; "–" for what is not known."""
    if number is None:
        return "–"
    size = abs(number)
    if size == 0:
        return "0"
    if size < 0.001 or size >= 100_000:
        base, _, power = f"{number:.1e}".partition("e")
        return f"{base}e{int(power)}"
    return f"{number:.0f}" if size >= 100 else f"{float(f'{number:.3g}'):g}"


def size(number: int | None) -> str:
    """Bytes: "0", "640 B", "1.2 kB", "11.9 MB"."""
    if number is None:
        return "–"
    text = count(number)
    return text if number == 0 else f"{text} B" if number < 999.5 else f"{text}B"


def measure(group: dict[str, Any], key: str) -> str:
    """One measured number of a group."""
    return size(group[key]) if key.endswith("_bytes") else short(group[key])


def state_words(group: dict[str, Any]) -> str:
    """ "frozen", "trains", "trains ×0.3", "frozen, soon trains"."""
    scaled = group["state"] != "frozen" and group["scale"] not in (0, 1)
    words = group["state"] + (f" ×{short(group['scale'])}" if scaled else "")
    return f"{words}, soon {group['pending']}" if group["pending"] else words


def title(snapshot: Snapshot) -> str:
    """Which model, and where the run is."""
    shown = snapshot["step"] if snapshot["showing"] is None else snapshot["showing"]
    epoch = min(snapshot["epochs"], shown // max(1, snapshot["steps_per_epoch"]) + 1)
    where = f"step {shown} of {snapshot['total_steps']}, epoch {epoch} of {snapshot['epochs']}"
    state = snapshot["status"] if snapshot["showing"] is None else "looking back"
    return f"{snapshot['model']['name']}: {state}, {where}"


def facts(snapshot: Snapshot, times: bool = True) -> list[tuple[str, str]]:
    """The header: (what, how much). Without `times` only what is the same each time the run is repeated."""
    head, model = snapshot["header"], snapshot["model"]
    found = [("Trains", "guess first" if head["share"] is None else
              f"{count(head['trainable'])} of {count(model['parameters'])} parameters ({percent(head['share'])})")]
    if head["cached_groups"]:
        groups = "group comes" if head["cached_groups"] == 1 else "groups come"
        found.append(("Saved work", f"{head['cached_groups']} frozen {groups} from the cache"))
    if times:
        found += [("A step costs", _cost(snapshot)), ("Memory", f"{head['memory_mb']:.0f} MB of "
                                                            f"{head['memory_limit_mb']:.0f} MB")]
    return found


def _cost(snapshot: Snapshot) -> str:
    head = snapshot["header"]
    if head["step_ms"] is None:
        return "guess first" if _waits_for_guess(snapshot, "cost") else "not known yet"
    time = f"{short(head['step_ms'])} ms"
    if head["cost"] is None:
        return time
    share = percent(head["cost"]) if head["cost"] < 1 else f"{100 * head['cost']:.0f} %"  # it may well cost more
    return f"{time}, {share} of full fine-tuning"


def _waits_for_guess(snapshot: Snapshot, kind: str) -> bool:
    asked = snapshot["question"]
    return bool(asked) and asked["kind"] == kind and asked["guess"] is None


def warnings(snapshot: Snapshot) -> list[str]:
    """All warnings, each with its group."""
    return [f"{group['name']}: {text}" for group in snapshot["groups"] for text in group["warnings"]]


def curve_words(curve: dict[str, Any]) -> str:
    """How a curve ends, in one sentence."""
    start = f" (from step {curve['from_step']})" if curve["from_step"] else ""
    if not curve["train"]:
        return f"{curve['name']}{start}: no step yet."
    step, loss = curve["train"][-1]
    text = f"{curve['name']}{start}: training loss {loss:.3f} at step {step}"
    if curve["valid"]:
        step, loss, accuracy = curve["valid"][-1]
        text += f"; validation loss {loss:.3f}, accuracy {short(accuracy)} at step {step}"
    return f"{text}."


def event_words(snapshot: Snapshot) -> list[str]:
    """What was frozen or thawed, numbered as in the picture: "1: block 3 thawed at step 24 (now)"."""
    several = len(snapshot["curves"]) > 1
    return [f"{i}: {event['text']} at step {event['step']}{f' ({curve})' if several else ''}"
            for i, (curve, event) in enumerate(numbered_events(snapshot), start=1)]


def numbered_events(snapshot: Snapshot) -> list[tuple[str, dict[str, Any]]]:
    """(curve's name, event) in order of steps: their place in this list is their number in every form."""
    found = [(curve["name"], event) for curve in snapshot["curves"] for event in curve["events"]]
    return sorted(found, key=lambda pair: pair[1]["step"])


def question_words(snapshot: Snapshot) -> str:
    """The open or answered question; "" if there is none."""
    asked = snapshot["question"]
    if not asked:
        return ""
    unit = f" {asked['unit']}" if asked["unit"] else ""
    if asked["guess"] is None:
        return f"{asked['text']} Not guessed yet."
    guess = f"{asked['text']} Guess: {short(asked['guess'])}{unit}."
    if asked["answer"] is None:
        return f"{guess} Not known yet."
    return f"{guess} Measured: {short(asked['answer'])}{unit}. Score: {asked['score']} of 100."

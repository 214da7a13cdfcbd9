"""Exercises of lesson 00: start here."""

from __future__ import annotations

from ftkit.lessons.exercise import Exercise, choice, number

EXERCISES = {
    "00.1": Exercise(
        "How many parameters does the head of bert-mini hold?",
        number(148_610, 148_610, {
            9_842_306: "That is the whole model. Look at the last row of the table only.",
            9_693_696: "That is everything except the head. The question asks for the head.",
            770: "That is the last linear layer (2 x 384 + 2). The head here holds BERT's pooler too.",
            147_840: "That is the pooler alone. The classifier's 770 belong to the head as well.",
            149_000: "Close: that is rounded. Give the exact number from the table.",
            6: "That counts the layer groups. The question asks for the parameters of one of them."},
            "Read the row 'head' of the layer table, column 'parameters'."),
        "The head holds 1.5 % of the model, and the probe trains nothing else."),
    "00.2": Exercise(
        "Why were the later epochs of the probe so fast? a) the model got smaller  b) what frozen layers compute was "
        "kept from the first epoch  c) later epochs use fewer examples",
        choice("b", {"a": "No weight was removed: count them again.",
                     "c": "Every epoch sees all training examples once. That is what an epoch is."}),
        "Frozen layers give the same output for the same text, so ftkit computes it once."),
    "00.3": Exercise(
        "After the probe, how far has 'block 0' drifted from its pretrained weights?",
        number(0, 0, {(0.1, 0.4): "That is the row of the head. Look at the row of block 0.",
                      (0.015, 0.04): "That is block 0 of the fine-tuned model. The probe has the table before it."},
               "Look at the audit of the probe. Block 0 was frozen: what should a frozen layer do?"),
        "Exactly zero: bit by bit the same. That is what frozen means, and the audit proves it."),
    "00.q1": Exercise(
        "Fine-tuning means: a) training a network from random weights  b) going on training a pretrained network on "
        "your own task  c) making a network smaller",
        choice("b", {"a": "That is training from scratch: the bar that lost.",
                     "c": "That is pruning or distillation. Fine-tuning keeps the size."}),
        "You start from weights that already know something."),
    "00.q2": Exercise(
        "Which split may you look at only once, at the very end? a) train  b) valid  c) test",
        choice("c", {"a": "The model sees the training split in every epoch.",
                     "b": "Validation is for choosing: after every epoch, as often as you like."}),
        "A test split that helps you choose is no test any more."),
}

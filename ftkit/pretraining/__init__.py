"""The recipes that made the bundled backbones: `python -m ftkit.pretraining NAME --data FOLDER --out FOLDER`.

Each recipe is one file that can be read as a lesson: what the data are, what is predicted, and why that teaches the
network something that other tasks can use. All of them run in the same loop, see loop.py.
"""

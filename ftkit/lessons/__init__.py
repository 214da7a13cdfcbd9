"""What lessons need beyond the rest of ftkit: exercises that are checked at once, with hints."""

from ftkit.lessons.check import check, exercises
from ftkit.lessons.progress import progress
from ftkit.lessons.quiz import quiz

__all__ = ["check", "exercises", "progress", "quiz"]

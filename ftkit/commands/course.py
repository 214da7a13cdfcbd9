"""`ftkit course`: the lessons without a checkout, in forms for students and teachers, or packed for a class."""

from __future__ import annotations

import argparse
from pathlib import Path

from ftkit.commands.lab import copy_lessons, lessons_source
from ftkit.errors import UserError
from ftkit.lessons.course import build_course


def run(args: argparse.Namespace) -> int:
    """Lay the lessons out, build a form of them, or pack them with all that they need."""
    if args.action == "pack":
        from ftkit.commands.pack import run as pack

        return pack(args)
    source = lessons_source()
    if args.action == "get":
        if not args.folder:
            raise UserError("Where to? ftkit course get DIR.")
        target = copy_lessons(source, Path(args.folder))
        count = len(list(target.glob("[0-9]*.ipynb")))
        print(f"{count} lessons are in {target}. Open them with: ftkit lab {target}")
        return 0
    if args.student == args.teacher or not args.out:
        raise UserError("Which form, and where to? ftkit course build --student --out DIR, or --teacher.")
    form = "student" if args.student else "teacher"
    written = build_course(source, form, Path(args.out))
    print(f"{len(written)} lessons for {form}s are in {args.out}.")
    return 0

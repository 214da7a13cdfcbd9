"""Kernels for tests, started again if one dies before it has run anything.

jupyter_client looks for free ports, and the kernel takes them a second later. If another process was quicker, the
kernel dies at once. That says nothing about what is tested, so another one is started: then, and only then.
"""

from __future__ import annotations

from typing import Any

from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

DIED = "Kernel died before replying to kernel_info"  # in the words of jupyter_client
KERNELS = 3  # are tried


def executed(*sources: str, timeout: int = 120) -> Any:
    """A notebook of these cells, run in a kernel of its own.

    Args:
        sources: What the cells say.
        timeout: Seconds that one cell may take.
    """
    for left in reversed(range(KERNELS)):
        notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
        try:
            NotebookClient(notebook, timeout=timeout, kernel_name="python3").execute()
            break
        except RuntimeError as error:
            if DIED not in str(error) or not left:
                raise
    return notebook

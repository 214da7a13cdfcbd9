"""A class without a network: a folder with ftkit and all that it needs. `ftkit course pack` makes it.

pip finds and fetches every wheel, so its own settings (`pip config`, PIP_INDEX_URL, …) say from where.
"""

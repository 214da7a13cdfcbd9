"""`ftkit list`: backbones and data sets that have a name here."""

from __future__ import annotations

import argparse
import json

from ftkit.backbones import list_backbones
from ftkit.commands.text import table
from ftkit.data import list_data


def run(args: argparse.Namespace) -> int:
    """Print both lists."""
    backbones, data = list_backbones(), list_data()
    if args.json:
        print(json.dumps({"backbones": backbones, "data": data}))
        return 0
    print("Backbones (--backbone; also owner/name on the hub, or a folder)\n")
    print(table([{"name": row["name"], "modality": row["modality"], "parameters": f"{row['parameters_M']:.1f} M",
                  "size": f"{row['megabytes']:,.0f} MB", "offline now": row["offline"], "licence": row["licence"]}
                 for row in backbones]))
    print("\nData (--data; also your own file or folder, or owner/name on the hub)\n")
    print(table([{"name": row["name"], "modality": row["modality"], "examples": row["examples"],
                  "labels": len(row["labels"]), "offline now": True, "about": row["description"]} for row in data]))
    return 0

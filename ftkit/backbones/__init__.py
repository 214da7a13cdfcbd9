"""Pretrained bodies: what there is, and how to get one with a head for your task."""

from ftkit.backbones.load import list_backbones, load_backbone
from ftkit.backbones.model import Model
from ftkit.backbones.specs import SPECS, BackboneSpec

__all__ = ["SPECS", "BackboneSpec", "Model", "list_backbones", "load_backbone"]

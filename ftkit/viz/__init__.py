"""Pictures of plans, runs and mistakes: one file each. Every function returns a Picture, which a notebook shows."""

from ftkit.viz.activations import activations
from ftkit.viz.compare import compare
from ftkit.viz.confusion import confusion
from ftkit.viz.curves import curves
from ftkit.viz.filters import filters
from ftkit.viz.freeze_map import freeze_map
from ftkit.viz.gradcam import gradcam, gradcam_maps
from ftkit.viz.reliability import reliability
from ftkit.viz.style import Picture
from ftkit.viz.top_losses import top_losses, top_losses_frame

__all__ = ["Picture", "activations", "compare", "confusion", "curves", "filters", "freeze_map", "gradcam",
           "gradcam_maps", "reliability", "top_losses", "top_losses_frame"]

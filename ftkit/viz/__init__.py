"""Pictures of plans, runs and mistakes: one file each. Every function returns a Picture, which a notebook shows."""

from ftkit.viz.activations import activations
from ftkit.viz.alignment import alignment
from ftkit.viz.attention import attention
from ftkit.viz.compare import compare
from ftkit.viz.confusion import confusion
from ftkit.viz.curves import curves
from ftkit.viz.filters import filters
from ftkit.viz.freeze_map import freeze_map
from ftkit.viz.gradcam import gradcam, gradcam_maps
from ftkit.viz.next_tokens import next_tokens
from ftkit.viz.preference import margins, ppo_curves
from ftkit.viz.reliability import reliability
from ftkit.viz.sound import spectrogram, waveform
from ftkit.viz.style import Picture
from ftkit.viz.top_losses import top_losses, top_losses_frame
from ftkit.viz.weight_changes import weight_changes
from ftkit.viz.wise_ft import wise_ft

__all__ = ["Picture", "activations", "alignment", "attention", "compare", "confusion", "curves", "filters",
           "freeze_map", "gradcam", "gradcam_maps", "margins", "next_tokens", "ppo_curves", "reliability",
           "spectrogram", "top_losses", "top_losses_frame", "waveform", "weight_changes", "wise_ft"]

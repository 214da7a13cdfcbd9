"""Training: one loop (TrainSession), `fit` over it, and running a model without training."""

from ftkit.training.fitting import fit
from ftkit.training.generating import Written, generate, stream
from ftkit.training.history import History
from ftkit.training.inference import Evaluation, Prediction, evaluate, predict
from ftkit.training.session import TrainSession
from ftkit.training.settings import Settings
from ftkit.training.speaking import speak

__all__ = ["Evaluation", "History", "Prediction", "Settings", "TrainSession", "Written", "evaluate", "fit", "generate",
           "predict", "speak", "stream"]

"""Training: one loop (TrainSession), `fit` over it, and running a model without training."""

from ftkit.training.fitting import fit
from ftkit.training.history import History
from ftkit.training.inference import Evaluation, Prediction, evaluate, predict
from ftkit.training.session import TrainSession
from ftkit.training.settings import Settings

__all__ = ["Evaluation", "History", "Prediction", "Settings", "TrainSession", "evaluate", "fit", "predict"]

"""How good generated pictures are: distances, shares and neighbours, each with its floor and an interval."""

from convexgan.metrics import extractors
from convexgan.metrics.evaluation import evaluate, features
from convexgan.metrics.faces import face_rate
from convexgan.metrics.frechet import frechet_distance
from convexgan.metrics.kernel import kernel_distance
from convexgan.metrics.manifold import PrecisionRecall, precision_recall
from convexgan.metrics.neighbours import Neighbours, nearest_neighbours
from convexgan.metrics.pictures import Extractor, Features
from convexgan.metrics.result import Report, Result
from convexgan.metrics.sliced import sliced_wasserstein

__all__ = [
    "Extractor",
    "Features",
    "Neighbours",
    "PrecisionRecall",
    "Report",
    "Result",
    "evaluate",
    "extractors",
    "face_rate",
    "features",
    "frechet_distance",
    "kernel_distance",
    "nearest_neighbours",
    "precision_recall",
    "sliced_wasserstein",
]

"""The head that is learned: a linear layer on a network's features, and how near an image must be to what was taught.

Pure arithmetic on numpy arrays: `features` are float32 [N, D], `truth` the class of each image, int [N].
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array
from sklearn.covariance import ledoit_wolf
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

FAR_POWER = 32.0  # how fast the logits of an image shrink with its distance beyond `reach`
MIN_SPREAD = 1e-3  # of a feature's standard deviation, as a share of the mean one: some never vary
MAX_ITERATIONS, TOLERANCE = 300, 1e-3  # of logistic regression: a smaller tolerance changed no answer
INVERSE_PENALTIES = (0.01, 0.1)  # of logistic regression: scikit-learn's C
MAX_LOGISTIC = 300_000  # images x classes up to which logistic regression is tried: it takes seconds


@dataclass(frozen=True)
class Head:
    """Logits are `weights` [K, D] x features + `bias` [K]: what the features were divided by is part of them.

    `centres` [K, D] are the mean features of each class as unit vectors. An image whose cosine distance to the nearest
    one is above `reach` is unlike what was taught: its logits shrink, and no class gets a high score.
    """

    weights: np.ndarray
    bias: np.ndarray
    centres: np.ndarray
    reach: float = 1.0

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Return the cosine distance of each image to the nearest centre, float32 [N]."""
        return np.maximum(1 - (unit(features) @ self.centres.T).max(axis=1), 1e-6)

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return the logits [N, K], as the network computes them."""
        return self.linear(features) * nearness(self.distances(features), self.reach)

    def linear(self, features: np.ndarray) -> np.ndarray:
        """Return the logits [N, K] without regard to the distance."""
        return features @ self.weights.T + self.bias

    def sharpened(self, factor: float) -> "Head":
        """Return the head with all logits multiplied by `factor`."""
        return replace(self, weights=self.weights * np.float32(factor), bias=self.bias * np.float32(factor))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return `vectors` [N, D] with length 1; one of zeros stays as it is."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def nearness(distances: np.ndarray, reach: float) -> np.ndarray:
    """Return what the logits of images at `distances` [N] are multiplied by, [N, 1]: 1 within `reach`, less beyond."""
    return np.minimum(np.float32(reach) / distances, 1)[:, np.newaxis] ** np.float32(FAR_POWER)


Fit = Callable[[np.ndarray, np.ndarray], Head]


def methods(images: int, classes: int) -> dict[str, "Method"]:
    """Return every way to learn a head from images as they are, by name, that is not too slow for so many of them."""
    found: dict[str, Fit] = {"nearest class mean": nearest_mean, "linear discriminant": discriminant}
    if images * classes <= MAX_LOGISTIC:
        for penalty in INVERSE_PENALTIES:
            found[f"logistic regression, C {penalty:g}"] = _logistic_with(penalty)
    return {name: Method(fit) for name, fit in found.items()}


@dataclass(frozen=True)
class Method:
    """Learn by `fit` from the first view of each image, or from all."""

    fit: Fit
    all_views: bool = False

    def __call__(self, features: np.ndarray, truth: np.ndarray) -> Head:
        chosen = features if self.all_views else features[:, :1]
        count, views, width = chosen.shape
        return self.fit(chosen.reshape(count * views, width), np.repeat(truth, views))


def nearest_mean(features: np.ndarray, truth: np.ndarray) -> Head:
    """Learn to answer the class whose mean is the nearest, in standardised features."""
    values, mean, spread = standardised(features)
    means = class_means(values, truth)
    return _head(means, -(means**2).sum(axis=1) / 2, mean, spread, features, truth)


def discriminant(features: np.ndarray, truth: np.ndarray) -> Head:
    """Learn by Fisher's linear discriminant with equal priors.

    The covariance within the classes is shrunk as O. Ledoit and M. Wolf describe ("A well-conditioned estimator for
    large-dimensional covariance matrices", 2004).
    """
    values, mean, spread = standardised(features)
    means = class_means(values, truth)
    covariance, _ = ledoit_wolf(values - means[truth], assume_centered=True)
    covariance[np.diag_indices_from(covariance)] += 1e-6
    weights = np.linalg.solve(covariance, means.T.astype(np.float64)).T
    return _head(weights, -(weights * means).sum(axis=1) / 2, mean, spread, features, truth)


def _logistic_with(inverse_penalty: float) -> Fit:
    def learn(features: np.ndarray, truth: np.ndarray) -> Head:
        values, mean, spread = standardised(features)
        model = LogisticRegression(C=inverse_penalty, class_weight="balanced", max_iter=MAX_ITERATIONS, tol=TOLERANCE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # cross-validation judges what it has reached
            warnings.simplefilter("ignore", UserWarning)  # a class may have few images
            model.fit(values, truth)
        weights, bias = model.coef_, model.intercept_
        if len(weights) == 1:  # of two classes it gives the second one's weights
            weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        return _head(weights, bias, mean, spread, features, truth)

    return learn


def standardised(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `features` with mean 0 and standard deviation 1, the mean [D], and the deviation [D]."""
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.maximum(spread, max(MIN_SPREAD * float(spread.mean()), 1e-12))
    return (features - mean) / spread, mean, spread


def class_means(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the mean of the `values` [N, D] of each class, [K, D]."""
    count = np.bincount(truth)
    members = csr_array((np.ones(len(truth)), (truth, np.arange(len(truth)))), shape=(len(count), len(truth)))
    means: np.ndarray = (members @ values / count[:, np.newaxis]).astype(np.float32)
    return means


def _head(
    weights: np.ndarray,
    bias: np.ndarray,
    mean: np.ndarray,
    spread: np.ndarray,
    features: np.ndarray,
    truth: np.ndarray,
) -> Head:
    """Return the head whose `weights` and `bias` are for standardised features, as one for features."""
    folded = weights / spread
    centres = unit(class_means(features, truth))
    return Head(folded.astype(np.float32), (bias - folded @ mean).astype(np.float32), centres.astype(np.float32))

"""Games with ReLU discriminators or mixture generators behind `solve`: read, and the methods that apply."""

from __future__ import annotations

from collections.abc import Callable

from convexgan._tools.deadline import Deadline
from convexgan.discriminators.activation import is_kinked, needs_rows
from convexgan.games.game import Answer, Call, Family, Method, Options
from convexgan.games.moment.reading import check_sums
from convexgan.games.sample.certificate import read_sample_game
from convexgan.games.sample.gaussian_certificate import is_centred
from convexgan.games.sample.methods import (
    SampleSetting,
    cutting_planes,
    double_oracle,
    fixed_patterns,
    partial_sums,
    program,
    semi_infinite,
)
from convexgan.generators import GeneratorClass, LawClass
from convexgan.statistics.latents import GaussianLatent, SampleLatent

SEARCH_TIME = 0.6  # share of the time limit; the certificate has to prove again what one search has proved


def covers(call: Call) -> bool:
    """Games in which more of a law is seen than its moments, or whose laws are mixtures."""
    return needs_rows(call.activation) or call.spec.form == "law"


def read(call: Call) -> SampleSetting:
    """The checked game with its latents; raises ``ValueError`` naming the argument and the repair."""
    game = read_sample_game(call)
    if call.regularizer != "output":
        raise ValueError(f"regularizer has no meaning for {call.players}: leave it out.")
    latent, spec = call.latent(), call.spec
    rows = len(latent.rows) if isinstance(latent, SampleLatent) else 0
    points = (call.points() or len(game.data)) if spec.form == "rows" else rows
    setting = SampleSetting(game, spec, latent, points)
    if needs_rows(game.activation) and not is_kinked(game.activation):
        _check_particles(game.activation.name, spec)
    if spec.form == "law":
        _check_mixture(setting, spec)
    elif not _on_the_line(setting):
        _check_rows(setting)
    return setting


def _check_particles(name: str, spec: GeneratorClass) -> None:
    """Raise for generators that answer only neurons that are linear on either side of their hyperplanes."""
    if spec.form != "law":
        raise ValueError(
            f"generator={spec.name!r} against {name} neurons has no convex game: use generator='mixture', a law on "
            "given particles, or certify for the rows of any generator."
        )
    if spec.support == "continuous":
        raise ValueError(
            f"support='continuous' is for ReLU neurons, not {name} ones: give particles, generators.Mixture(points)."
        )


def _check_mixture(setting: SampleSetting, spec: LawClass) -> None:
    """Raise for mixtures that no method is for."""
    game = setting.game
    if game.rows > 1:
        raise ValueError("reduction='sum' needs as many generated rows as real ones; a mixture has none: 'mean'.")
    if spec.support == "continuous" and not needs_rows(game.activation):
        raise ValueError("support='continuous' is for ReLU neurons: use generator='free', rows anywhere.")


def _check_rows(setting: SampleSetting) -> None:
    """Raise for generators of rows, or with Gaussian latents, that no method is for."""
    game, spec = setting.game, setting.spec
    if game.bias == "free":
        raise ValueError(
            "bias='free' with ReLU neurons is for generators 'mixture' and 'free', the latter on one column with slope "
            f"0 and as many rows as X, {len(game.data)}: use bias='penalized' or 'none'."
        )
    if _gaussian(setting):
        if game.bias != "none" or game.relu.slope != 0 or game.rows > 1:
            raise ValueError(
                "Gaussian latents against ReLU neurons need bias='none', slope 0 and reduction='mean': pass Z as an "
                "array of draws for other games."
            )
        return
    if not setting.points:
        raise ValueError(f"a {spec.name} generator against ReLU neurons needs its latents as rows: pass Z as an array.")
    if game.rows > 1:
        check_sums(len(game.data), setting.points, "the generator")
    if game.relu.slope > 1:
        raise ValueError(f"slope={game.relu.slope:g} makes neurons that are not convex: use a slope of at most 1.")


def _on_the_line(setting: SampleSetting) -> bool:
    """Free points, as many as the data, on the line against neurons with free biases."""
    game = setting.game
    line = is_kinked(game.activation) and game.relu.slope == 0 and game.data.shape[1] == 1
    return line and game.bias == "free" and setting.spec.form == "rows" and setting.points == len(game.data)


def _gaussian(setting: SampleSetting) -> bool:
    return setting.spec.form == "affine" and isinstance(setting.latent, GaussianLatent)


def _mixed(setting: SampleSetting) -> bool:
    return setting.spec.form == "law"


def _fixed_mean(setting: SampleSetting) -> bool:
    """Whether the mean is held at that of the data, so that the bound comes from laws anywhere."""
    biased = setting.spec.form == "affine" and setting.spec.bias
    return _gaussian(setting) and biased and not is_centred(setting.game.data)


def _method(
    run: Callable[[SampleSetting, Options, Deadline], Answer],
    applies: Callable[[SampleSetting], bool],
    reason: str,
    *uses: str,
) -> Method[SampleSetting]:
    """The method of a function's name."""
    return Method(run.__name__, lambda setting, _: reason if applies(setting) else "", run, uses, SEARCH_TIME)


COVARIANCE = "each ReLU neuron's constraint is linear in the covariance of a Gaussian law"
METHODS = (
    _method(
        program,
        lambda setting: _mixed(setting) and not needs_rows(setting.game.activation),
        "smooth neurons see the mean and second moment, which are linear in a mixture's weights",
        *("solver", "solver_options"),
    ),
    _method(
        cutting_planes,
        lambda setting: (
            setting.spec.form == "law" and setting.spec.support != "continuous" and needs_rows(setting.game.activation)
        ),
        "each ReLU neuron's constraint is linear in the weights of given particles",
    ),
    _method(
        double_oracle,
        lambda setting: setting.spec.form == "law" and setting.spec.support == "continuous",
        "particles may lie anywhere: both players' best responses are added until they agree",
        *("gap", "solver", "solver_options"),
    ),
    _method(
        partial_sums,
        _on_the_line,
        "ReLU neurons with a free bias see the partial sums of sorted rows on the line",
    ),
    _method(semi_infinite, _fixed_mean, COVARIANCE, "gap", "solver", "solver_options"),
    _method(semi_infinite, _gaussian, COVARIANCE, "solver", "solver_options"),
    _method(
        fixed_patterns,
        lambda setting: not (_mixed(setting) or _gaussian(setting) or _on_the_line(setting)),
        "the rows are a function of weights: local optima, the activation patterns held fixed",
        *("gap", "rng", "solver", "solver_options"),
    ),
)
FAMILY = Family(covers, read, METHODS)

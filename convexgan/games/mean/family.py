"""Two-layer ReLU generators with weight decay behind `solve`."""

from __future__ import annotations

from convexgan._tools.deadline import Deadline
from convexgan.discriminators.activation import needs_rows
from convexgan.games.game import Answer, Call, Family, Method, Options
from convexgan.games.mean.certificate import make_mean_certificate
from convexgan.games.mean.matching import MeanGame, latent_rows, solve_mean_matching, unit_reach
from convexgan.games.moment.reading import check_bias, common_rows
from convexgan.records.certificate import Certificate
from convexgan.records.solution import Status
from convexgan.statistics.latents import GaussianLatent, as_latent
from convexgan.statistics.moments import Moments


def covers(call: Call) -> bool:
    """Networks whose weights are penalised; against ReLU neurons they are refused with the games of rows."""
    weighed = call.spec.form == "network" and call.regularizer == "weights"
    return weighed and not needs_rows(call.activation)


def read(call: Call) -> MeanGame:
    """The checked game; raises ``ValueError`` naming the argument and the repair."""
    activation, spec = call.activation, call.spec
    if needs_rows(activation) or spec.form != "network":
        raise TypeError("such games are not of this family.")
    if activation.coefficients[0] != 0:
        raise ValueError(
            f"regularizer='weights' with a two-layer ReLU generator against {activation.name} neurons is not convex: "
            "use regularizer='output', or a linear discriminator."
        )
    check_bias(call.bias, activation)  # without effect: the constants cancel
    data, latent = Moments.from_array(call.X, name="X"), as_latent(call.Z)
    if not isinstance(latent, GaussianLatent) and not spec.augmented(latent_rows(latent)).any():
        raise ValueError("Z is zero everywhere, so every generator is: pass latents that vary, or a bias.")
    rows = common_rows(data, latent, None) if call.summed else 1
    return MeanGame(
        data.mean,
        spec,
        latent,
        activation,
        None if call.beta is None else call.beta / rows,
        None if call.lam is None else call.lam * rows,
        call.penalty,
        rows,
        data.mean_error,
        data.columns,
    )


def _run(game: MeanGame, options: Options, deadline: Deadline) -> Answer:
    reach = unit_reach(game, deadline.left)
    network, critic = solve_mean_matching(game, reach)

    def judge(_: float | None) -> Certificate:
        return make_mean_certificate(game, network, critic, reach, tol=options.tol)

    status = Status.STOPPED if reach.status == "stopped" else Status.OPTIMAL
    return Answer(network, critic, judge, {"unit_reach": [reach.value, reach.upper_bound]}, status, 1 / game.rows)


REASON = "a linear discriminator matches means: one neuron has the largest mean for its weight"
FAMILY = Family(covers, read, (Method("closed_form", lambda game, options: REASON, _run),))

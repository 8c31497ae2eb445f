"""What the benchmarks compute themselves: gradients, outcomes of runs, gradient ascent, tuning, exact laws."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scipy.stats import ttest_ind

import convexgan as cg
from benchmarks import _records, claims, faces, machines, nonconvex_cells, profiles, progressive_gda, smallest_beta
from benchmarks._report import RESULTS
from benchmarks.optimizers import PLAIN, RIVALS, Counted, best, merit, run, summary
from benchmarks.relu_against_scip import ascend
from benchmarks.relu_ipm import sample
from benchmarks.relu_toy import BETA, OPTIMUM, PRICE, Net, Points, ToyGame, X, exact_bound, judge, outcomes
from benchmarks.rings import LAWS, count
from benchmarks.rings import draw as draw_modes
from benchmarks.width_sweep_images import LATENTS, NETWORKS, Residual, is_level, level, oscillation, ratio, reached
from tests.generators import seeds


def payoff(generator, x, y):
    """The game's value from its definition, for parameters without leading axes."""
    u, b, v = y
    w = generator.points(x)
    scores = [float(np.mean([v @ np.maximum(u * point + b, 0) for point in points])) for points in (X, w)]
    return scores[0] - scores[1] + float(np.mean(w**2)) - BETA / 2 * float(u @ u + v @ v)


@pytest.mark.parametrize("generator", [Points(), Net()], ids=["points", "net"])
@given(seed=seeds)
@settings(max_examples=15)
def test_the_toy_game_has_the_gradients_of_its_payoff(generator, seed):
    rng = np.random.default_rng(seed)
    x, y = tuple(part[0] for part in generator.draw(rng, 1)), tuple(rng.standard_normal((3, 4)))
    game, h = ToyGame(generator), 1e-7
    dx, dy = (tuple(rng.standard_normal(part.shape) for part in player) for player in (x, y))
    slopes = [
        sum(float(np.sum(g * d)) for g, d in zip(grad, move, strict=True))
        for grad, move in ((game.grad_x(x, y), dx), (game.grad_y(x, y), dy))
    ]
    for slope, moves in zip(slopes, ((dx, None), (None, dy)), strict=True):
        ends = []
        for sign in (1, -1):
            places = [
                player if move is None else tuple(p + sign * h * m for p, m in zip(player, move, strict=True))
                for player, move in zip((x, y), moves, strict=True)
            ]
            ends.append(payoff(generator, *places))
        assert (ends[0] - ends[1]) / (2 * h) == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_runs_of_one_batch_do_not_mix():
    rng, generator = np.random.default_rng(0), Net()
    x, y = generator.draw(rng, 3), tuple(rng.standard_normal((3, 3, 5)))
    game = ToyGame(generator)
    for k in range(3):
        alone = tuple(p[k] for p in x), tuple(p[k] for p in y)
        for grad in (game.grad_x, game.grad_y):
            for whole, part in zip(grad(x, y), grad(*alone), strict=True):
                assert whole[k] == pytest.approx(part)


def test_outcomes_by_their_definition():
    t = np.linspace(0, 40, 200)
    wave = np.sin(t)[:, None] * [-1, 1]
    runs = {
        "reach": OPTIMUM + 0.005 * wave,
        "oscillate": OPTIMUM + 0.02 * wave,
        "stuck": 0 * wave + 0.3 * X,
        "diverge": 0 * wave + 11 * X,
    }
    assert list(outcomes(np.stack(list(runs.values()), axis=1))) == list(runs)
    late = OPTIMUM + np.where(t < 20, 0.0, np.nan)[:, None]
    crawl = OPTIMUM * (0.5 + 0.4 * t / 40)[:, None]
    assert list(outcomes(np.stack([late, crawl], axis=1))) == ["diverge", "stuck"]


def test_gaps_of_the_toy_game():
    bound = exact_bound()
    assert bound == pytest.approx((1 - 2 * BETA) ** 2 + PRICE * BETA, rel=1e-7)
    assert judge(OPTIMUM, bound) == pytest.approx((0, 0), abs=1e-7)
    assert judge(np.zeros(2), bound) == pytest.approx((0.4, 0.5 - BETA), abs=1e-7)  # 1 - .96 / 1.6
    for points in np.random.default_rng(0).standard_normal((50, 2)):
        assert judge(points, bound)[0] >= -1e-7


@pytest.mark.parametrize(("p", "shifted"), [(2, True), (3, False)])
def test_ascent_climbs_to_the_maximum_and_not_beyond(p, shifted):
    pair = sample(p, 8, shifted, p)
    U = np.random.default_rng(0).standard_normal((100, p))
    U /= np.linalg.norm(U, axis=1)[:, None]
    best, exact = ascend(*pair, U), cg.ipm(*pair).value
    start = np.abs(np.subtract(*(np.maximum(rows @ U.T, 0).mean(axis=0) for rows in pair)))
    assert (best >= start * (1 - 1e-12)).all() and best.max() <= exact * (1 + 1e-12)
    assert best.max() == pytest.approx(exact, rel=1e-3)


# -- optimizers ----------------------------------------------------------------------------------------------------


def test_gradients_of_a_step_are_counted():
    """One for each point, two for second derivatives."""
    problem, counts = cg.problems.load("bilinear"), {}
    for name, step in (PLAIN | RIVALS).items():
        game = Counted(problem.game())
        step(game, problem.start(0), 0.1)
        counts[name] = game.count
    assert list(counts.values()) == [1, 2, 2, 2, 2, 1, 3, 16, 12]


def test_a_run_ends_where_it_arrives_or_is_lost_or_has_spent_its_gradients():
    arrived = run("convex-concave", "extragradient", RIVALS["extragradient"], (0.1, 0.1), 0, 1000)
    assert arrived["arrived"] and arrived["curve"][-1][1] <= 1e-3 < arrived["curve"][-2][1]
    assert arrived["curve"][-1][0] == 2 * arrived["steps"] < 1000
    lost = run("bilinear", "simultaneous", PLAIN["simultaneous"], (1.0, 1.0), 0, 1000)
    growth = [distance for _, _, distance in lost["curve"]]
    assert not lost["arrived"] and growth[-1] >= 1e6 > growth[-2] and lost["steps"] < 100
    assert growth[1] == pytest.approx(np.hypot(5, 7) * 2**5)  # sqrt 2 each step, looked at after ten
    spent = run("bilinear", "alternating", PLAIN["alternating"], (0.1, 0.1), 0, 300)
    assert not spent["arrived"] and (spent["steps"], spent["curve"][-1][0]) == (150, 300)
    mean = run("bilinear", "alternating, averaged", PLAIN["alternating, averaged"], (0.1, 0.1), 0, 300)
    assert mean["curve"][-1][2] < 0.3 * spent["curve"][-1][2]


def found(arrived, seconds, *curve):
    return {"arrived": arrived, "rates": (0.1, 0.1), "steps": 7, "seconds": seconds, "curve": list(curve)}


def test_the_best_step_size_and_the_best_method():
    slow, fast = found(True, 1.0, (90, 1e-4, 1e-4)), found(True, 2.0, (80, 9e-4, 1.0))
    near, far = found(False, 1.0, (5, 0.01, 1.0), (99, 0.5, 1.0)), found(False, 1.0, (99, 0.1, 1.0))
    lost = found(False, 0.1, (5, 1e-2, 1.0), (9, 1e9, np.inf))
    assert sorted([lost, far, slow, near, fast], key=merit) == [fast, slow, near, far, lost]
    runs = {"one": [slow, lost, far], "two": [fast, fast, far], "three": [slow, slow, slow], "none": [near, lost, far]}
    methods = {name: summary(each) for name, each in runs.items()}
    assert [methods[name]["arrived"] for name in runs] == [1, 2, 3, 0]
    assert best(methods, ["one", "two", "none"], 0.5) == ["two", "2 of 3", "0.1, 0.1", 7, 2.0, 4.0]
    assert best(methods, methods, np.nan)[0] == "three" and best(methods, methods, np.nan)[-1] == ""
    assert best(methods, ["none"], 0.5)[3:] == ["not reached in 7", "error 0.5", ""]


def test_stages_are_judged_as_the_law_they_sample():
    torch.manual_seed(0)
    before = progressive_gda.Law(np.array([1.0, -2.0, 0.5]), np.random.default_rng(0).standard_normal((2, 3)))
    stage = progressive_gda.Stage(before, 4, bias=True).double()
    with torch.no_grad():
        stage.map.bias += torch.arange(4.0)
        rows = stage(torch.randn(200_000, 2, dtype=torch.float64)).numpy()
    law = stage.law()
    assert np.allclose(rows.mean(axis=0), law.mean, atol=0.03)
    assert np.allclose(np.cov(rows.T), law.factor.T @ law.factor, atol=0.05)


def test_the_optimum_has_no_gap_and_batches_without_noise_play_the_same_game():
    level = progressive_gda.levels("ORL, grey", (4, 8))[8]
    optimum = progressive_gda.Law(
        level.before.mean @ level.solution.generator.weights, level.solution.generator.weights
    )
    optimum = optimum._replace(factor=level.before.factor @ optimum.factor)
    assert level.gap(optimum) == pytest.approx(0, abs=1e-9)
    assert level.solution.certificate.kind == "saddle" and np.linalg.matrix_rank(optimum.factor) == level.rank
    assert level.gap(optimum._replace(factor=1.1 * optimum.factor)) > 1e-3
    curve = progressive_gda.without_noise(level, 60, 0, "exact response")
    assert curve[0][0] == 0 and 0 < curve[-1][2] < curve[0][2] < 1
    rows, latents = progressive_gda.exact_batches(level)
    assert np.allclose(rows.T @ rows / len(rows), level.rows.T @ level.rows / len(level.rows))
    assert np.allclose(latents.T @ latents / len(latents), np.eye(len(level.before.factor)))


def test_finished_runs_are_recalled_and_lines_cut_short_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(_records, "BUILD", tmp_path / "build")
    made = []
    for seed in (0, 1, 0):
        assert _records.recall("x", {"seed": seed}, lambda seed=seed: made.append(seed) or [seed, 0.5]) == [seed, 0.5]
    assert made == [0, 1]
    assert _records.recall("x", {"seed": 2}, None) is None and _records.recall("x", {"seed": 1}, None) == [1, 0.5]
    path = tmp_path / "build" / "x.jsonl"
    path.write_text(path.read_text()[:-8])
    assert _records.recall("x", {"seed": 1}, lambda: [9]) == [9]
    assert _records.recall("x", {"seed": 0}, lambda: [9]) == [0, 0.5] and _records.recall("x", {"seed": 1}, list) == [9]
    _records.forget("x")
    assert not path.exists()


def test_when_warm_is_as_good_as_cold_ever_was():
    pictures = np.zeros((4, 4, 4), dtype=np.uint8)
    task = faces.Task("set", pictures, pictures)
    curves = {"cold": [[0, 1.0, 90.0], [10, 5.0, 40.0], [20, 8.0, 60.0]], "warm": [[0, 2.0, 50.0], [10, 3.0, 40.0]]}
    found = [faces.Run(task, method, 0, {"curve": curve}) for method, curve in curves.items()]
    assert "cold is best at step 10 (5 s) with 40; warm is as good at step 10, 3 s, ratio 0.6" in faces.answers(found)
    found[1].found["curve"][1][2] = 41.0
    assert "warm is as good never" in faces.answers(found)


def test_the_published_baseline_keeps_its_earlier_stages():
    rng = np.random.default_rng(0)
    first = faces.stage_laws(rng.standard_normal((40, 4)), None, 31, 0)
    assert [row[0] for row in first] == list(range(32))
    assert [row[1] for row in first] == sorted(row[1] for row in first)
    law = first[-1][2]
    second = faces.stage_laws(rng.standard_normal((40, 6)), law, 2, 0)[-1][2]
    assert law.factor.shape == (48, 4) and second.factor.shape == (48, 6)
    assert np.linalg.norm(second.factor - law.factor @ np.linalg.pinv(law.factor) @ second.factor) < 1e-9


@pytest.mark.parametrize(("size", "channels", "layers"), [(8, 1, 2), (16, 1, 2), (32, 3, 3)])
def test_networks_of_base_width_k(size, channels, layers):
    k, parts, latents = 3, {}, torch.randn(2, LATENTS)
    for name, makers in NETWORKS.items():
        net, opponent = (make(k, size, channels) for make in makers)
        pictures = net(latents)
        assert pictures.shape == (2, channels, size, size) and pictures.abs().max() < 1
        assert opponent(pictures).shape == (2, 1)
        parts[name] = [*net.modules()], [*opponent.modules()]
    up = [part.in_channels for part in parts["dcgan"][0] if isinstance(part, torch.nn.ConvTranspose2d)]
    down = [part.out_channels for part in parts["dcgan"][1] if isinstance(part, torch.nn.Conv2d)]
    assert up[::-1] == down == [k * 2**i for i in range(layers)]
    for modules, last in zip(parts["residual"], (pictures[0].numel(), 1), strict=True):
        units = [part.out_features for part in modules if isinstance(part, torch.nn.Linear)]
        assert sorted(units) == sorted([*[4 * k] * 5, last])


def test_residual_blocks_add_what_they_make():
    h = torch.randn(5, 8)
    for network in NETWORKS["residual"]:
        blocks = [part for part in network(2, 8, 1).eval() if isinstance(part, Residual)]
        assert len(blocks) == 2 and all(torch.allclose(block(h), h + block.layers(h)) for block in blocks)


def curve(*distances):
    """A look every ten steps."""
    return [[10 * i, distance, 0.0] for i, distance in enumerate(distances)]


def test_ends_of_curves_by_their_definition():
    run = {"outcome": "finished", "curve": curve(50.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 4.0, 1.0)}
    assert level(run) == pytest.approx(2.0) and oscillation(run) == pytest.approx(np.log(4) / np.sqrt(2))
    assert level(run | {"outcome": "diverged"}) == oscillation(run | {"outcome": "diverged"}) == np.inf
    assert [reached(run, threshold) for threshold in (60, 4, 3, 0.5)] == [10, 70, 80, np.inf]


def test_a_run_is_at_a_plateau_if_its_last_third_is_hardly_lower_than_the_third_before():
    assert is_level(curve(50, 9, 9, 4, 1, 4, 0.97)) and not is_level(curve(50, 9, 9, 4, 1, 4, 0.90))
    assert not is_level(curve(50, 9, 9, 1, 8, 3, 2))  # that one look was lower before is no plateau


def test_ratios_of_runs_have_the_interval_of_welch():
    wide, narrow = [1.0, 2.0, 3.0], [8.0, 7.0, 20.0]
    low, high = np.exp(ttest_ind(np.log(wide), np.log(narrow), equal_var=False).confidence_interval())
    found = np.exp(np.log(wide).mean() - np.log(narrow).mean())
    assert ratio(wide, narrow) == f"{found:.3g} ({low:.3g} to {high:.3g})"
    assert ratio([2.0, 2.0], [8.0, 8.0]) == "0.25"
    assert ratio(wide, [8.0, 8.0, np.inf]) == ratio([1.0, np.inf], narrow) == ""


# -- profiles ------------------------------------------------------------------------------------------------------


def ran(*spent):
    """Runs on so many instances, with gradients to the finest tolerance; None where it is not reached."""
    costs = [None if cost is None else [cost, cost / 1000] for cost in spent]
    return {str(i): {"reached": dict.fromkeys(profiles.TOLERANCES, cost)} for i, cost in enumerate(costs)}


def test_profiles_are_those_of_their_definition():
    table = {"one": ran(10, 40, None, None), "two": ran(20, 10, 30, None), "three": ran(None, None, None, None)}
    spent = profiles.costs(table, "1e-2", 0)
    shares = profiles.profiles(spent, (1, 2, 3.9, 4))
    assert shares.tolist() == [[0.25, 0.25, 0.25, 0.5], [0.5, 0.75, 0.75, 0.75], [0, 0, 0, 0]]
    assert (profiles.costs(table, "1e-2", 1)[:2, 0] == (0.01, 0.02)).all()
    assert [row[0] for row in profiles.rows(table)] == ["two", "one", "three"]
    assert profiles.rows(table)[0] == ["two", 3, 3, 3, 0.5, 0.75, 0.5, 0.75]


def test_a_run_of_a_profile_notes_what_it_had_spent_at_each_tolerance():
    found = profiles.play("convex-concave", "extragradient", RIVALS["extragradient"], (0.1, 0.1), 1, 1000)
    gradients = [found["reached"][tolerance][0] for tolerance in profiles.TOLERANCES]
    assert gradients == sorted(gradients) and gradients[-1] < 1000 and found["least"] <= 1e-3
    circles = profiles.play("bilinear", "simultaneous", PLAIN["simultaneous"], (0.1, 0.1), 1, 100)
    assert set(circles["reached"].values()) == {None} and profiles.merit(found) < profiles.merit(circles)
    names = ["bilinear/08", "bilinear/09"]  # curvature 1: larger steps are better
    runs = profiles.played("extragradient", RIVALS["extragradient"], names)
    assert list(runs) == names and {run["rates"] for run in runs.values()} == {(0.1, 0.1)}


def test_the_table_of_profiles_is_made_of_their_runs():
    runs = json.loads((RESULTS / "profiles.json").read_text())["runs"]
    with (RESULTS / "profiles.csv").open() as file:
        columns, *rows = csv.reader(file)
    assert columns == profiles.COLUMNS and rows == [[str(cell) for cell in row] for row in profiles.rows(runs)]
    assert runs.keys() == profiles.METHODS.keys()
    assert all(each.keys() == set(cg.problems.suite()) - {"ridge-2"} for each in runs.values())


def test_the_profiles_are_of_the_whole_suite_and_of_strangers_too():
    groups = profiles.settings()
    assert sorted(name for names in groups.values() for name in names) == sorted(set(cg.problems.suite()) - {"ridge-2"})
    assert all(len({name.split("/")[0] for name in names}) == 1 for names in groups.values())
    assert len(profiles.METHODS) >= 12 and {"torch SGD, momentum 0.9", "optimistic Adam"} <= profiles.METHODS.keys()


# -- rings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "modes"), [("ring", 8), ("grid", 25)])
def test_modes_and_samples_of_high_quality_are_counted(name, modes):
    law = centres, deviation = LAWS[name]()
    found, share = count(draw_modes(law, 5000, 0), law)
    assert found == modes == len(centres)
    assert share == pytest.approx(1 - np.exp(-4.5), abs=0.005)  # |z| <= 3 in the plane
    ends = centres[[0, 0, 1]] + deviation * np.array([[2.9, 0.0], [0.0, 3.1], [3.1, 0.0]])
    assert count(ends, law) == (1, pytest.approx(1 / 3))
    assert count(np.zeros((4, 2)) + 1.0, law) == (0, 0.0)


# -- nonconvex cells -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["beta", "lam"])
@pytest.mark.parametrize("cell", nonconvex_cells.CELLS)
def test_the_other_search_has_the_gradient_of_a_payoff_that_tends_to_the_exact_one(cell, kind):
    X, Z, options = nonconvex_cells.draw(4, cell, kind)
    payoff, h = nonconvex_cells.smoothed(X, Z, options), 1e-6
    x = np.random.default_rng(0).standard_normal((5, Z.shape[1] * X.shape[1] + 2))
    slopes = payoff(x, 0.1, 2.0)[1]
    for i, move in enumerate(np.eye(x.shape[1])):
        difference = payoff(x + h * move, 0.1, 2.0)[0] - payoff(x - h * move, 0.1, 2.0)[0]
        np.testing.assert_allclose(difference / (2 * h), slopes[:, i], rtol=1e-5, atol=1e-5)
    if kind == "lam":
        for row in x:
            W = row[:-2].reshape(Z.shape[1], X.shape[1])
            cost = np.sum(W**2) if "regularizer" in options else np.mean(np.sum((Z @ W) ** 2, axis=1))

            def of_shifts(t, row=row):
                value, gradient = payoff(np.append(row[:-2], t)[None], 1e-5, 0.0)
                return value, gradient[:, -2:]

            least = of_shifts(nonconvex_cells.bfgs(of_shifts, row[None, -2:], 300))[0]
            assert least == pytest.approx(cost + options["lam"] * nonconvex_cells.ipm(X, Z @ W, options), rel=1e-3)


# -- machines, smallest_beta ---------------------------------------------------------------------------------------


def test_the_lowest_versions_are_those_of_pyproject():
    found = machines.lowest("numpy==9.9\nPillow==99\npillow-simd==1\nscs==3\n").split()
    assert found == ["numpy==2.2", "pillow==10.1", "pillow-simd==1", "scs==3"]
    assert not any("torch" in line for line in machines.requirements(False))
    assert {"torch", "torchmetrics", "pytest"} <= set(machines.requirements(True))


def test_kernels_of_one_architecture_are_one_and_results_are_read_back(tmp_path):
    found = machines.kernels(machines.sys.executable)
    assert [names.count("default") for names in found.values()] == [1] + [0] * (len(found) - 1)
    assert all(kernel in names or names == ["default"] for kernel, names in found.items())
    case = '<testcase classname="tests.test_x" name="test_{}">{}</testcase>'
    cases = [case.format("a", ""), case.format("b[1]", "<failure/>"), case.format("c", "<skipped/>")]
    (tmp_path / "r.xml").write_text(f'<s><testsuite tests="3" skipped="1" time="130">{"".join(cases)}</testsuite></s>')
    assert machines.outcome(tmp_path / "r.xml") == [1, 1, 1, 2, "tests/test_x.py::test_b[1]"]


@pytest.mark.parametrize("name", [name for name, (_, games) in smallest_beta.CELLS.items() if games == 10_000])
def test_levels_are_counted_and_refusals_are_told(name):
    draw = smallest_beta.CELLS[name][0]
    assert smallest_beta.count(draw, 3)[:4] == [3, 3, 0, "none"]
    play = draw(np.random.default_rng(0))[0]
    refused = smallest_beta.attempt(lambda beta: play(0.5 * beta), smallest_beta_of(play))
    assert refused.startswith("InfeasibleError")


def smallest_beta_of(play):
    with pytest.raises(cg.InfeasibleError) as error:
        play(0.0)
    return error.value.smallest_beta


def test_the_page_of_claims_is_what_its_script_makes():
    assert claims.PAGE.read_text() == claims.page()


def test_verdicts_follow_from_the_figures(monkeypatch):
    """A result that turns round turns the verdict round."""
    real = claims.rows

    def turned(name, **where):
        swaps = {"falls": "2", "test error": "1", "iterations (gap)": "1", "false": "1", "Nash": "yes"}
        swaps |= {"level": "2 (1.5 to 3)", "steps to a common level": "0.9 (0.5 to 1.6)"}
        return [row | {key: value for key, value in swaps.items() if key in row} for row in real(name, **where)]

    before = {claim.text: claim.read()[0] for claim in claims.CLAIMS}
    monkeypatch.setattr(claims, "rows", turned)
    after = {claim.text: claim.read()[0] for claim in claims.CLAIMS}
    assert before["in some cases triple descent"] == "reproduced" and after["in some cases triple descent"] == "refuted"
    assert after["overparameterisation improves samples across architectures and data"] == "refuted"
    assert after["faster on pictures too"] == "not tested"  # the intervals decide nothing
    changed = {text for text in before if before[text] != after[text]}
    assert {
        "for many generators the game is solved exactly by convex optimisation",
        "and accelerate training",
    } <= changed

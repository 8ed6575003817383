"""Recipes: what comes out of JSON is the same landscape, to the bit, and what cannot be the same says why."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lossatlas as la
from lossatlas.geometry import CHOICES, Turn
from lossatlas.recipe import differences, recipe_text, recipe_vectors
from tests.zoo import F, classification, mlp, normal

X, Y = classification(60)
O = la.Objective(mlp(6, 5, 3), F.cross_entropy, (X, Y))  # noqa: E741
SAME = la.Objective(mlp(6, 5, 3), F.cross_entropy, (X, Y))
ANEW = la.Objective(mlp(6, 5, 3, seed=1), F.cross_entropy, (X, Y))
OTHER_DATA = la.Objective(mlp(6, 5, 3), F.cross_entropy, (X[:40], Y[:40]))


def run() -> la.Trajectory:
    thetas = [O.theta + step * normal(O.size, seed=step) / 9 for step in range(6)]
    return la.Trajectory.from_states([O.parameters.unflatten(theta) for theta in thetas])


def trained() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    model = mlp(6, 5, 3)
    optimizer = torch.optim.Adam(model.parameters())
    F.cross_entropy(model(X), Y).backward()
    optimizer.step()
    return model, optimizer


def along(u: la.Direction, v: la.Direction, **options: Any) -> la.Plane:
    return la.Plane.along(O, u, v, **options)


OWN = normal(O.size, seed=7)
D = la.Direction
# How each plane is made, and which vectors its recipe cannot make.
PLANES: dict[str, tuple[Callable[[], la.Plane | la.Line], set[str]]] = {
    "random": (lambda: la.Plane.random(O, 4), set()),
    "orthogonal": (lambda: la.Plane.random(O, 4, orthogonal=True), set()),
    "by layer": (lambda: la.Plane.random(O, 1, normalize="layer", ignore=False), set()),
    "by tensor": (lambda: la.Plane.random(O, 1, normalize="tensor", orthogonal=True), set()),
    "by model": (lambda: la.Plane.random(O, 1, normalize="model", layers=["0"]), set()),
    "not scaled": (lambda: la.Plane.random(O, 1, normalize=None, ignore=["*.bias"]), set()),
    "gradient": (lambda: la.Plane.gradient(O, 2), set()),
    "eigen": (lambda: la.Plane.eigen(O), set()),
    "eigen, others": (lambda: la.Plane.eigen(O, 1, 2), set()),
    "weights": (lambda: la.Plane.weights(O, "0.weight[3, 5]", "2.bias[1]"), set()),
    "along random and weight": (lambda: along(D.random(O, 3, 2), D.weight(O, "0.bias[0]")), set()),
    "along, orthogonal": (lambda: along(D.gradient(O), D.random(O, 3), orthogonal=True), set()),
    "along your own": (lambda: along(D.random(O), D.own(OWN)), {"v"}),
    "along your own, orthogonal": (lambda: along(D.own(OWN), D.random(O), orthogonal=True), {"u"}),
    "your own made orthogonal": (lambda: along(D.random(O), D.own(OWN), orthogonal=True), {"v"}),
    "momentum": (lambda: along(D.momentum(O, trained()[1]), D.adam(O, trained()[1])), {"u", "v"}),
    "towards": (lambda: along(D.towards(O, mlp(6, 5, 3, seed=2)), D.gradient(O)), {"u"}),
    "through": (lambda: la.Plane.through(O, OWN, mlp(6, 5, 3, seed=2)), {"u", "v"}),
    "through, orthonormal": (
        lambda: la.Plane.through(O, OWN, mlp(6, 5, 3, seed=2), orthonormal=True), {"u", "v"},
    ),
    "pca": (lambda: la.Plane.pca(O, run()), {"u", "v"}),
    "your own": (lambda: la.Plane(O.theta, OWN, normal(O.size, seed=8)), {"u", "v"}),
    "your own, elsewhere": (
        lambda: la.Plane(OWN, O.theta, normal(O.size, seed=8), names=("α", "β")), {"origin", "u", "v"},
    ),
    "your own recipe": (
        lambda: la.Plane(O.theta, OWN, normal(O.size, seed=8), recipe={"kind": "mine", "of": (1, 2)}),
        {"u", "v"},
    ),
    "of another θ": (lambda: la.Plane.random(ANEW, 4), {"origin", "u", "v"}),
    "of other data": (lambda: la.Plane.gradient(OTHER_DATA), {"u"}),
    "turned before": (lambda: la.Plane.random(O).turned(O, Turn(30, -20, 0.5)), set()),
    "turned along": (lambda: la.Plane.gradient(O).turned(O, Turn(30, -20)), set()),
    "moved along": (lambda: la.Plane.gradient(O).turned(O, Turn(30, -20, 0.5)), {"origin", "u", "v"}),
    "turned, of your own": (
        lambda: along(D.random(O), D.own(OWN)).turned(O, Turn(30)), {"origin", "u", "v"},
    ),
    "line": (lambda: la.Line.along(O, D.random(O, 5)), set()),
    "line of your own": (lambda: la.Line.along(O, D.own(OWN)), {"u"}),
    "line by bytes": (lambda: la.Line(OWN, O.theta, name="my u"), {"origin", "u"}),
    "line between": (lambda: la.Line.between(O, mlp(6, 5, 3, seed=2)), {"u"}),
}  # fmt: skip
MADE = {name: make() for name, (make, _) in PLANES.items()}


def again(landscape: la.Landscape, objective: Any = None) -> la.Landscape:
    """What another process would make of it: the recipe as text, the vectors as other tensors."""
    text = json.dumps(landscape.recipe)
    vectors = {name: vector.clone() for name, vector in recipe_vectors(landscape).items()}
    return la.from_recipe(text, objective or landscape.objective, vectors)


def check_same(made: la.Landscape, landscape: la.Landscape) -> None:
    assert made.scene.hash == landscape.scene.hash
    assert made.slice.hash == landscape.slice.hash
    assert (made.home, made.title, made.slice.points) == (
        landscape.home,
        landscape.title,
        landscape.slice.points,
    )
    assert (made.slice.names, made.slice.about) == (landscape.slice.names, landscape.slice.about)
    pairs = zip((made.slice.origin, *made.slice.directions), (landscape.slice.origin, *landscape.slice.directions), strict=True)  # fmt: skip
    assert all(torch.equal(one, other) for one, other in pairs)
    assert recipe_text(made) == recipe_text(landscape)


@pytest.mark.parametrize("kind", PLANES)
def test_every_kind_of_plane_and_line_comes_back_to_the_bit(kind: str) -> None:
    landscape = la.Landscape(O, MADE[kind])
    assert set(recipe_vectors(landscape)) == PLANES[kind][1]
    made = again(landscape, SAME)
    check_same(made, landscape)
    at = (0.25,) if landscape.on_line else (0.25, -0.5)
    assert made.evaluate(*at) == landscape.evaluate(*at)


ENDS = st.floats(-50, 50, allow_nan=False).map(lambda x: round(x, 6))
WIDTHS = st.floats(1e-3, 50).map(lambda x: round(x, 6))
EXTENTS = st.none() | st.tuples(ENDS, WIDTHS, ENDS, WIDTHS).map(
    lambda e: (e[0], e[0] + e[1], e[2], e[2] + e[3])
)
ANGLES = st.integers(-180, 180)
# Names that every plane can be turned by, and one that is added.
NAMES = st.sampled_from(["", "", "random 1", "random 4", "gradient", "bottom eigenvector", "mine", "noise"])
TITLES = st.none() | st.text(min_size=1, max_size=20)


@settings(max_examples=120)
@given(
    st.sampled_from(sorted(PLANES)), EXTENTS, TITLES, ANGLES, ANGLES, st.integers(-128, 128),
    st.fixed_dictionaries(dict.fromkeys(CHOICES, NAMES)),
)  # fmt: skip
def test_what_a_recipe_makes_is_what_it_was_written_of(
    kind: str, extent: Any, title: Any, turn_u: int, turn_v: int, offset: int, chosen: dict[str, str]
) -> None:
    where = MADE[kind]
    if isinstance(where, la.Line):
        landscape = la.Landscape(O, where, extent=extent and extent[:2], title=title)
    else:
        first = la.Landscape(O, where, extent=extent, title=title)
        first.directions.add("mine", normal(O.size, seed=9))
        first.directions.add("noise", D.random(O, 8, normalize="layer"))
        try:
            landscape = first.turned(Turn(turn_u, turn_v, offset / 128, **chosen))
        except ValueError as error:
            assert "parallel" in str(error) or "zero" in str(error)
            return
    check_same(again(landscape, SAME), landscape)
    used = {getattr(landscape._turn.settled, choice) for choice in CHOICES}
    assert ("direction mine" in recipe_vectors(landscape)) == ("mine" in used)


def test_a_landscape_that_came_back_turns_as_the_first_one() -> None:
    for kind in ("random", "pca", "gradient", "your own"):
        landscape = la.Landscape(O, MADE[kind])
        turn = Turn(25, -40, 0.25, u_to="gradient", v_to="random 2")
        check_same(again(landscape).turned(turn), landscape.turned(turn))


def test_a_gradient_on_other_data_is_carried_as_bytes_also_where_a_name_stands_for_it() -> None:
    here = la.Landscape(O, la.Plane.random(O)).turned(Turn(40, u_to="gradient"))
    there = here.on((X[:40], Y[:40]))
    assert set(recipe_vectors(here)) == set()
    assert set(recipe_vectors(there)) == {"direction gradient"}
    check_same(again(there, OTHER_DATA), there)
    # The gradient on its own data is another direction: the scene is another one.
    own = la.Landscape(OTHER_DATA, la.Plane.random(OTHER_DATA)).turned(Turn(40, u_to="gradient"))
    assert own.scene.hash != there.scene.hash


def test_planes_of_one_recipe_that_hold_other_points_have_other_hashes() -> None:
    on_train, on_less = la.Plane.gradient(O), la.Plane.gradient(OTHER_DATA)
    assert torch.equal(on_train.origin, on_less.origin)
    assert on_train.hash != on_less.hash
    flat = la.Objective.from_function(lambda t: t @ t, O.theta)
    assert la.Plane.random(O).hash != la.Plane.random(flat).hash  # without shapes there are no filters
    assert la.Plane.along(O, D.random(ANEW), D.own(OWN)).hash != along(D.random(O), D.own(OWN)).hash
    plain = la.Plane(O.theta, OWN, normal(O.size, seed=8))
    scaled = la.Plane(O.theta, OWN, normal(O.size, seed=8), scaling=MADE["random"].scaling)
    assert plain.turned(O, Turn(30)).hash != scaled.turned(O, Turn(30)).hash
    assert plain.turned(O, Turn(30)).hash != plain.turned(ANEW, Turn(30)).hash
    swapped = la.Plane(O.theta, OWN, normal(O.size, seed=8), names=("v", "u"))
    by_u = [la.Landscape(O, one).turned(Turn(30, v_from="u", u_from="v")) for one in (plain, swapped)]
    assert not torch.equal(by_u[0].plane.u, by_u[1].plane.u)
    assert by_u[0].scene.hash != by_u[1].scene.hash


def test_an_offset_of_one_is_the_same_plane_however_it_is_written() -> None:
    landscape = la.Landscape(O, la.Plane.random(O))
    assert landscape.turned(Turn(offset=1)).scene.hash == landscape.turned(Turn(offset=1.0)).scene.hash
    plane = landscape.plane
    assert plane.turned(O, Turn(offset=1)).hash == plane.turned(O, Turn(offset=1.0)).hash


def test_a_difference_holds_both_objectives_and_comes_back_from_the_two() -> None:
    first = la.Landscape(O, la.Plane.gradient(O), title="train")
    gap = (first.on((X[:40], Y[:40])) - first).turned(Turn(30, u_to="top eigenvector"))
    found = gap.recipe["objective"]
    assert [term["hash"] for term in found["terms"]] == [OTHER_DATA.hash, O.hash]
    assert found["parts"] == {"kind": "difference", "terms": [OTHER_DATA.hash, O.hash]}
    made = again(gap, (OTHER_DATA, SAME))
    check_same(made, gap)
    check_same(again(gap), gap)
    assert made.evaluate(0.5, 0.5) == gap.evaluate(0.5, 0.5)
    assert differences(gap.recipe, (OTHER_DATA, ANEW)) == [
        "of the second: the parameters θ differ (the model was trained on or initialised anew)"
    ]
    assert "of a difference there, of a model, a loss and data here" in differences(gap.recipe, O)[0].replace("objective ", "")  # fmt: skip


def test_what_is_turned_in_a_difference_turns_by_its_own_first_term() -> None:
    first, other = la.Landscape(O, la.Plane.random(O)), la.Landscape(OTHER_DATA, la.Plane.random(O))
    gap = (first - other).turned(Turn(20, u_to="gradient"))
    assert recipe_vectors(gap) == {}
    check_same(again(gap, (O, OTHER_DATA)), gap)


def test_functions_and_steps_have_recipes() -> None:
    center = torch.tensor([1.0, 2.0], dtype=torch.float64)
    objective = la.Objective.from_function(lambda t: (t - center) @ (t - center), torch.zeros(2).double())
    landscape = la.Landscape(objective, la.Plane.random(objective))
    check_same(again(landscape), landscape)
    step = la.Objective.from_step(mlp(6, 5, 3), lambda m, b: F.cross_entropy(m(b[0]), b[1]), [(X, Y)])
    landscape = la.Landscape(step, la.Plane.random(step))
    check_same(again(landscape), landscape)


# Vectors.


def test_without_its_vectors_a_recipe_says_which_and_what_they_are() -> None:
    landscape = la.Landscape(O, MADE["pca"])
    with pytest.raises(ValueError, match=r"cannot make 'u' \(principal component 1 .*'v' \(principal component 2") as found:  # fmt: skip
        la.from_recipe(landscape.recipe, O)
    assert "recipe_vectors(landscape)" in str(found.value)
    landscape = la.Landscape(O, MADE["random"])
    landscape.directions.add("mine", OWN)
    turned = landscape.turned(Turn(10, u_to="mine"))
    with pytest.raises(ValueError, match=r"cannot make 'direction mine' \(user-given\): only the bytes determine it"):  # fmt: skip
        la.from_recipe(turned.recipe, O)


def test_vectors_are_checked_against_their_hashes() -> None:
    landscape = la.Landscape(O, MADE["along your own"])
    right = recipe_vectors(landscape)["v"]
    wrong = right.clone()
    wrong[0] = torch.nextafter(wrong[0], torch.tensor(1.0))
    for vectors, error, words in (
        ({"v": wrong}, ValueError, r"vectors\['v'\] is not the vector of the recipe: its hash is"),
        ({"v": right.double()}, ValueError, r"dtype torch.float64. Pass \(53,\) of torch.float32"),
        ({"v": right[:3]}, ValueError, r"has shape \(3,\)"),
        ({"v": right.tolist()}, TypeError, r"vectors\['v'\] is a list. Pass a \(P,\) tensor"),
        ({"v": right, "u": right}, ValueError, "vectors holds 'u', which the recipe does not need. It needs 'v'"),
        ([right], TypeError, "vectors is a list. Pass a mapping"),
    ):  # fmt: skip
        with pytest.raises(error, match=words):
            la.from_recipe(landscape.recipe, O, vectors)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind", ["along your own", "momentum", "towards", "through", "line between", "your own"]
)
def test_other_bytes_with_a_hash_of_their_own_are_not_taken_for_the_scene(kind: str) -> None:
    landscape = la.Landscape(O, MADE[kind])
    changed, vectors = copy.deepcopy(landscape.recipe), recipe_vectors(landscape)
    other = la.Landscape(O, la.Line(O.theta, 2 * OWN) if landscape.on_line else la.Plane(O.theta, 2 * OWN, -OWN + 1))  # fmt: skip
    bytes_of_other = recipe_vectors(other)
    changed["plane"]["vectors"] = {name: other.recipe["plane"]["vectors"][name] for name in vectors}
    with pytest.raises(ValueError, match="One of them was changed since|It was changed since it was written"):
        la.from_recipe(changed, O, {name: bytes_of_other[name] for name in vectors})


def test_bytes_are_not_taken_for_what_the_recipe_makes() -> None:
    other = la.Landscape(O, la.Plane(O.theta, OWN, normal(O.size, seed=8)))
    hashes, vectors = other.recipe["plane"]["vectors"], recipe_vectors(other)
    for kind in ("random", "gradient", "turned before"):
        changed = copy.deepcopy(la.Landscape(O, MADE[kind]).recipe)
        changed["plane"]["vectors"] = hashes
        with pytest.raises(ValueError, match="which it makes itself"):
            la.from_recipe(changed, O, vectors)
    first = la.Landscape(O, la.Plane.random(O))
    changed = copy.deepcopy(first.turned(Turn(30, u_to="random 4")).recipe)
    changed["turn"]["directions"]["random 4"]["vector"] = hashes["u"]
    with pytest.raises(ValueError, match="which it makes itself"):
        la.from_recipe(changed, O, {"direction random 4": vectors["u"]})


# Another objective.


def test_another_objective_is_refused_in_words() -> None:
    recipe = la.Landscape(O, MADE["random"]).recipe
    assert differences(recipe, SAME) == []
    for other, words in (
        (ANEW, r"the parameters θ differ \(the model was trained on or initialised anew\)"),
        (OTHER_DATA, r"the data differ \(60 samples there, 40 here\)"),
        (la.Objective(mlp(6, 5, 3), F.cross_entropy, (X, Y), dtype=torch.float64), "dtype is 'float32' there, 'float64' here"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"The recipe is not of this objective: .*{words}"):
            la.from_recipe(recipe, other)
    with pytest.raises(TypeError, match="objective is a Sequential. Pass a lossatlas.Objective"):
        la.from_recipe(recipe, mlp(6, 5, 3))  # type: ignore[arg-type]


def test_versions_are_a_remark_where_nothing_else_explains_another_hash() -> None:
    recipe = copy.deepcopy(la.Landscape(O, MADE["random"]).recipe)
    recipe["objective"]["hash"] = "0" * 16
    recipe["versions"]["torch"] = "1.0"
    (said,) = differences(recipe, O)
    assert f"made by torch 1.0, this is {torch.__version__}" in said
    assert differences(recipe, ANEW) == [
        "the parameters θ differ (the model was trained on or initialised anew)"
    ]
    recipe["versions"] = la.Landscape(O, MADE["random"]).recipe["versions"]
    assert "the recipe was changed since it was written" in differences(recipe, O)[0]


def test_another_python_is_named_where_code_has_another_hash() -> None:
    recipe = copy.deepcopy(la.Landscape(O, MADE["random"]).recipe)
    recipe["objective"]["parts"]["loss"] = "0" * 16
    assert differences(recipe, O) == ["the loss function differs"]
    recipe["versions"]["python"] = "3.2.1"
    assert "made by Python 3.2.1, this is 3." in differences(recipe, O)[1]


# Another process.

PROCESS = """
import json, sys, torch
import lossatlas as la
from lossatlas.recipe import recipe_text, recipe_vectors
from lossatlas.geometry import Turn
from tests.test_recipe import MADE, O

made = []
for name in ("random", "by model", "gradient", "eigen", "weights", "along your own, orthogonal", "line between"):
    landscape = la.Landscape(O, MADE[name])
    if not landscape.on_line:
        landscape.directions.add("mine", O.theta + 1)
        landscape = landscape.turned(Turn(10, 20, 0.5, u_to="mine", v_to="gradient"))
    made.append([recipe_text(landscape), {n: v.tolist() for n, v in recipe_vectors(landscape).items()}])
print(json.dumps(made))
"""


def test_the_same_recipe_is_written_and_understood_in_another_process() -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS], env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, text=True
        )
        for seed in ("1", "2")
    ]  # fmt: skip
    first, second = (process.communicate()[0] for process in started)
    assert [process.returncode for process in started] == [0, 0]
    assert first == second
    for text, vectors in json.loads(first):
        landscape = la.from_recipe(text, O, {name: torch.tensor(v) for name, v in vectors.items()})
        assert landscape.scene.hash == json.loads(text)["scene"]

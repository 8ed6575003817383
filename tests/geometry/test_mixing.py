"""Mixing: u and v turned between named directions, a pure function of the positions."""

from __future__ import annotations

import threading

import pytest
import torch

import lossatlas as la
from lossatlas.geometry import Direction, NamedDirections, Turn
from tests.zoo import F, classification, mlp, normal


def landscape() -> la.Landscape:
    objective = la.Objective(
        mlp(6, 5, 3, dtype=torch.float64), F.cross_entropy, classification(40, dtype=torch.float64)
    )
    return la.Landscape(objective, la.Plane.random(objective, seed=4))


def test_the_names_are_the_planes_own_random_ones_the_gradient_and_eigenvectors_of_a_small_model() -> None:
    names = landscape().directions.names
    assert names == (
        "random 1", "random 2", "random 3", "random 4", "random 5", "gradient", "top eigenvector", "bottom eigenvector",
    )  # fmt: skip
    objective = landscape().objective
    plane = la.Plane.weights(objective, "0.weight[1, 2]", "2.bias[1]")
    assert la.Landscape(objective, plane).directions.names[:3] == ("0.weight[1, 2]", "2.bias[1]", "random 1")


@pytest.mark.parametrize("name", ["random 5", "gradient", "top eigenvector", "mine"])
def test_a_quarter_turn_is_the_direction_at_the_length_of_the_one_that_is_turned(name: str) -> None:
    surface = landscape()
    surface.directions.add("mine", normal(surface.objective.size, seed=9, dtype=torch.float64))
    to = surface.directions[name].vector
    turned = surface.turned(Turn(turn_u=90, u_to=name)).plane
    torch.testing.assert_close(turned.u, to * (surface.plane.u.norm() / to.norm()))
    assert torch.equal(turned.v, surface.plane.v)


def test_no_turn_is_the_direction_that_is_turned_from() -> None:
    surface = landscape()
    turned = surface.turned(Turn(v_from="gradient")).plane
    assert torch.equal(turned.v, surface.directions["gradient"].vector)
    assert turned.names == ("random 1", "gradient")
    # What it would turn towards says nothing as long as it is not turned.
    assert surface.turned(Turn(u_to="gradient")).scene.hash == surface.scene.hash


def test_half_way_lies_between_both() -> None:
    surface = landscape()
    u, w = (surface.directions[name].vector for name in ("top eigenvector", "gradient"))
    found = surface.turned(Turn(turn_u=60, u_from="top eigenvector", u_to="gradient")).plane.u
    expected = 0.5 * u + 3**0.5 / 2 * w * (u.norm() / w.norm())
    torch.testing.assert_close(found, expected)


def test_a_turned_axis_is_named_by_its_angle_with_the_hyphens_of_the_names_kept() -> None:
    turned = landscape().turned(Turn(turn_u=-30, turn_v=45)).plane
    assert turned.names == ("random 1, −30° towards random 3", "random 2, 45° towards random 4")
    assert all("filter-normalised" in about for about in turned.about)


def test_the_plane_moves_along_what_is_chosen() -> None:
    surface = landscape()
    moved = surface.turned(Turn(offset=-0.5, offset_along="gradient")).plane
    torch.testing.assert_close(
        moved.origin, surface.plane.origin - 0.5 * surface.directions["gradient"].vector
    )


def test_the_same_position_is_the_same_plane_whatever_came_before() -> None:
    position = Turn(
        turn_u=35, u_from="gradient", u_to="random 5", turn_v=10, v_to="top eigenvector", offset=0.25
    )
    surface = landscape()
    straight = landscape().turned(position)
    around = surface.turned(Turn(turn_u=-90)).turned(Turn(v_from="gradient")).turned(position)
    assert around.scene == straight.scene
    assert torch.equal(around.plane.u, straight.plane.u)
    assert around.turned(Turn()).scene == landscape().scene


def test_switching_between_two_planes_evaluates_nothing_twice() -> None:
    surface, position = landscape(), Turn(turn_u=35, u_to="gradient")
    first = surface.grid(shape=(5, 5))
    surface.turned(position).grid(shape=(5, 5))
    for _ in range(2):
        assert surface.turned(position).evaluated == 25
        assert surface.turned(position).turned(Turn()).evaluated == 25
    assert surface.turned(position).turned(Turn()).grid(shape=(5, 5)).tobytes() == first.tobytes()


def test_on_other_data_the_plane_is_the_same_also_where_it_is_turned_to_a_gradient() -> None:
    surface = landscape()
    surface.directions.add("mine", normal(surface.objective.size, seed=9, dtype=torch.float64))
    turned = surface.turned(Turn(u_from="gradient", v_from="mine"))
    other = turned.on(classification(30, seed=5, dtype=torch.float64))
    assert torch.equal(other.plane.u, turned.plane.u)
    assert torch.equal(other.plane.v, surface.directions["mine"].vector)
    assert other.plane.hash == turned.plane.hash
    assert other.scene.hash != turned.scene.hash
    again = Turn(turn_v=30, v_to="gradient")
    assert torch.equal(other.turned(again).plane.v, surface.turned(again).plane.v)


def test_a_choice_that_does_nothing_is_the_same_plane_and_makes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    surface = landscape()
    surface.grid(shape=(5, 5))
    monkeypatch.setattr(surface.objective, "gradient", lambda theta: pytest.fail("It is not needed."))
    chosen = surface.turned(Turn(u_to="gradient", offset_along="gradient"))
    assert (chosen.scene.hash, chosen.evaluated) == (surface.scene.hash, 25)
    assert chosen.scene.turns == ("gradient", "random 4", "gradient")
    turned = surface.turned(Turn(turn_v=10, u_to="gradient"))
    assert turned.scene.hash == surface.turned(Turn(turn_v=10)).scene.hash


def test_names_are_told_while_a_direction_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    surface, begun, go_on = landscape(), threading.Event(), threading.Event()

    def slow(theta: torch.Tensor) -> torch.Tensor:
        begun.set()
        assert go_on.wait(20)
        return torch.ones_like(theta)

    monkeypatch.setattr(surface.objective, "gradient", slow)
    thread = threading.Thread(target=lambda: surface.directions["gradient"])
    thread.start()
    assert begun.wait(20)
    assert surface.directions.making == "gradient"
    # Whoever waited for the direction here would wait for ever.
    assert "gradient" in surface.directions
    surface.directions.add("mine", torch.ones(surface.objective.size, dtype=torch.float64))
    assert surface.scene.directions[-1] == "mine"
    go_on.set()
    thread.join()
    assert surface.directions.making == ""


def test_a_plane_that_was_looked_at_is_remembered_through_a_long_drag() -> None:
    surface, looked_at = landscape(), Turn(turn_u=35, u_to="gradient")
    surface.turned(looked_at).grid(shape=(5, 5))
    for degrees in range(-180, 181):
        surface.turned(Turn(turn_v=degrees)).evaluate(0.5, 0.5)
    assert surface.turned(looked_at).evaluated == 25


def test_an_axis_that_shares_its_name_can_be_told_from_the_other() -> None:
    objective = landscape().objective
    u, v = (Direction.own(normal(objective.size, seed=k, dtype=torch.float64), "x") for k in (1, 2))
    named = la.Landscape(objective, la.Plane.along(objective, u, v)).directions
    assert named.names[:2] == ("x (u)", "x (v)")
    assert torch.equal(named["x (v)"].vector, v.vector)


@pytest.mark.parametrize("kind", ["random", "gradient", "twice", "added", "own"])
def test_a_turned_plane_is_renewed_from_its_recipe_where_that_says_all(kind: str) -> None:
    first = landscape().objective
    other = la.Objective(
        mlp(6, 5, 3, dtype=torch.float64, seed=8), F.cross_entropy, classification(40, dtype=torch.float64)
    )
    position = Turn(turn_u=30, u_to="top eigenvector", v_from="random 5", turn_v=-20, offset=0.5)

    def made(objective: la.Objective) -> la.Plane:
        if kind == "own":
            return (
                la.Landscape(objective, la.Plane(objective.theta, *landscape().plane.directions))
                .turned(position)
                .plane
            )
        plane = (
            la.Plane.gradient(objective, seed=2) if kind == "gradient" else la.Plane.random(objective, seed=2)
        )
        surface = la.Landscape(objective, plane)
        if kind == "added":
            surface.directions.add("mine", normal(objective.size, seed=9, dtype=torch.float64))
            return surface.turned(Turn(v_from="mine")).plane
        turned = surface.turned(position).plane
        return la.Landscape(objective, turned).turned(Turn(turn_v=15)).plane if kind == "twice" else turned

    plane = made(first)
    if kind in ("added", "own"):
        assert plane.renewed(other) is plane
    else:
        expected = made(other)
        assert plane.renewed(other).hash == expected.hash != plane.hash
        assert torch.equal(plane.renewed(other).u, expected.u)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda s: s.turned(Turn(u_from="up")), ValueError, "There is no direction 'up'. There are: random 1, random 2"),
        (lambda s: s.turned(Turn(u_to="up")), ValueError, "There is no direction 'up'"),
        (lambda s: s.turned(Turn(u_from="gradient", v_from="gradient")), ValueError, "must not be parallel"),
        (lambda s: s.directions.add("gradient", s.plane.u), ValueError, "There is a direction 'gradient' already"),
        (lambda s: s.directions.add("", s.plane.u), TypeError, "Pass what the direction is to be called"),
        (lambda s: s.directions.add("short", torch.ones(3, dtype=torch.float64)), ValueError, "short"),
        (lambda s: s.plane.turned(s.objective, Turn(u_from="gradient")), ValueError, "Pass named="),
        (lambda s: Turn(u_to=3), TypeError, "u_to is 3. Pass the name of a direction"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_named_with_its_value_and_the_cure(call, error, words) -> None:
    with pytest.raises(error, match=words):
        call(landscape())


def test_a_direction_is_made_once_and_only_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    surface, made = landscape(), []
    monkeypatch.setattr(surface.objective, "gradient", lambda theta: made.append(1) or torch.ones_like(theta))
    named = NamedDirections(surface.objective, surface.plane)
    assert "gradient" in named
    assert made == []
    assert named["gradient"] is named["gradient"]
    assert made == [1]

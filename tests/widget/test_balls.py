"""Balls from the kernel's side: rows as the optimizer takes its steps, an end in words, and an answer to every request."""

import json
import math

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas import jobs
from lossatlas.features import Drop
from lossatlas.geometry import Turn
from lossatlas.widget import balls
from lossatlas.widget.ball_request import OPTIMIZERS, Ball
from lossatlas.widget.balls import rolled
from lossatlas.widget.explorer import Explorer
from lossatlas.widget.session import Session
from tests.widget.helpers import Page, bowl, landscape
from tests.widget.test_protocol import head as fixture_head


def ask(req=-1, **more):
    head = {
        "v": 1, "k": "ball", "client": "page", "req": req, "epoch": 1, "at": [0.5, -0.25], "optimizer": "sgd", "lr": 0.1,
        "steps": 40, "batch_size": None, "confined": False, "seed": 0,
    }  # fmt: skip
    return {**head, **more}


def ended(page, req=-1):
    """The last word on a request."""

    def found():
        return [
            head
            for head, _ in list(page.messages)
            if head.get("req") == req and (head["k"] == "error" or head.get("done"))
        ]

    return page.wait_for(found, f"the end of {req}")[0]


def told(page, kind, name):
    """The rows of a run as a page has them, by column."""
    rows, columns = {}, []
    for head, buffers in list(page.messages):
        if head["k"] == kind and head["name"] == name:
            columns = head["columns"]
            values = np.frombuffer(buffers[0], "<f8").reshape(head["n"], len(columns))
            if head["from"] == 0:
                rows = {}
            rows.update({head["from"] + i: row for i, row in enumerate(values)})
    assert list(rows) == list(range(len(rows)))
    return dict(zip(columns, np.array([rows[i] for i in range(len(rows))]).T, strict=True))


@pytest.fixture
def page():
    return Page()


@pytest.fixture
def session(page):
    made = Session(landscape(size=5), page.receive)
    yield made
    made.close()


@pytest.mark.parametrize("more", [{}, {"optimizer": "adam", "lr": 0.02}, {"confined": True}])
def test_the_rows_that_are_told_are_those_of_the_ball(session, page, more):
    session.handle(ask(**more))
    answer = ended(page)
    drop = Drop(
        session.landscape.objective, session.landscape.slice, (0.5, -0.25), steps=40,
        **{"optimizer": "sgd", "lr": 0.1, **more},
    )  # fmt: skip
    descent = jobs.worker.submit(drop.run()).wait()
    path, curves = told(page, "path", answer["name"]), told(page, "curves", answer["name"])
    np.testing.assert_array_equal(path["step"], descent.kept)
    np.testing.assert_array_equal(np.stack([path["a"], path["b"]], 1), descent.points)
    np.testing.assert_array_equal(path["distance"], descent.distance)
    np.testing.assert_array_equal(path["loss"], descent.loss)
    np.testing.assert_array_equal(np.stack([path["down_a"], path["down_b"]], 1), descent.arrows)
    np.testing.assert_array_equal(curves["loss"], descent.curves.loss)
    np.testing.assert_array_equal(curves["lr"], descent.curves.lr)
    np.testing.assert_array_equal(curves["grad_norm"], descent.gradient_norm)
    assert answer == {
        "v": 1, "k": "ball", "client": "page", "req": -1, "name": descent.name, "steps": 40, "end_loss": descent.end_loss,
        "diverged": False, "message": "40 steps", "done": True,
    }  # fmt: skip
    assert {head["scene"] for head in page.heads("path")} == {session.landscape.scene.hash}


def test_a_ball_on_a_quadratic_follows_its_closed_form(page):
    session = Session(landscape(lambda theta: (theta**2).sum()), page.receive)
    session.handle(ask(lr=0.2, steps=10))
    path = told(page, "path", ended(page)["name"])
    # θ ← (1 − 2 lr) θ
    np.testing.assert_allclose(path["a"], 0.5 * 0.6 ** np.arange(11), rtol=1e-12)
    session.close()


def test_a_rate_beyond_the_edge_diverges_and_says_so(page):
    # λ = 2 in every direction: steps of plain descent come back below a rate of 1.
    session = Session(landscape(lambda theta: (theta**2).sum()), page.receive)
    session.handle(ask(-1, lr=0.99, steps=300))
    assert not ended(page)["diverged"]
    session.handle(ask(-2, lr=1.2, steps=300))
    answer = ended(page, -2)
    assert answer["diverged"]
    assert answer["message"].startswith("diverged after ")
    assert answer["steps"] < 300
    session.close()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_that_a_page_can_choose_rolls_downhill(session, page, optimizer):
    schedule = None if optimizer == "lbfgs" else "linear"  # which chooses its own steps
    session.handle(ask(optimizer=optimizer, lr=0.01, schedule=schedule))
    answer = ended(page)
    assert answer["done"]
    assert not answer["diverged"]
    curves = told(page, "curves", answer["name"])
    assert answer["end_loss"] < curves["loss"][0]
    falling = 1 - np.arange(40) / 40 if schedule else np.ones(40)
    np.testing.assert_allclose(curves["lr"][:40], 0.01 * falling, rtol=1e-12)


def test_a_loss_that_is_not_finite_leaves_heads_that_json_can_say(page):
    session = Session(landscape(lambda theta: torch.log(1 - (theta**2).sum())), page.receive)
    session.handle(ask(lr=0.5, optimizer="momentum"))
    answer = ended(page)
    assert answer["diverged"]
    assert answer["end_loss"] is None
    json.dumps([head for head, _ in page.messages], allow_nan=False)
    session.close()


def test_balls_with_the_same_settings_have_names_of_their_own(session, page):
    session.handle(ask(-1))
    session.handle(ask(-2, at=[0.1, 0.2]))
    session.handle(ask(-3, optimizer="adam"))
    names = {ended(page, req)["name"] for req in (-1, -2, -3)}
    assert names == {"SGD · lr 0.1", "SGD · lr 0.1 · 2", "Adam · lr 0.1"}


def test_a_ball_that_is_cancelled_keeps_what_it_has(session, page):
    session.handle(ask(steps=10_000))
    page.wait_for(lambda: page.heads("path"), "a first row")
    session.handle({"v": 1, "k": "cancel", "client": "page", "req": -1})
    answer = ended(page)
    assert 0 < answer["steps"] < 10_000
    assert answer["message"] == f"not finished, {answer['steps']} steps"
    assert answer["end_loss"] is None
    assert len(told(page, "path", answer["name"])["a"]) > 0


def test_several_balls_roll_at_the_same_time(session, page):
    for req in (-1, -2):
        session.handle(ask(req, steps=10_000))
    page.wait_for(lambda: len({head["name"] for head in page.heads("path")}) == 2, "rows of both")
    assert not [head for head in page.heads("ball") if head["done"]]
    session.handle({"v": 1, "k": "bye", "client": "page", "removed": False})
    assert {ended(page, req)["message"].split(",")[0] for req in (-1, -2)} == {"not finished"}


def test_more_balls_than_can_be_followed_are_refused_in_words(session, page):
    for req in range(1, balls.MOST + 2):
        session.handle(ask(-req, steps=10_000))
    assert (
        ended(page, -balls.MOST - 1)["text"] == "8 balls roll already. Stop one, or wait until one has ended."
    )


def test_what_cannot_be_rolled_is_answered_in_words(page):
    def broken(theta):
        if float(theta.detach()[0]) > 0.4:
            raise RuntimeError("no such place")
        return bowl(theta)

    session = Session(landscape(broken), page.receive)
    session.handle(ask(-1))
    answer = ended(page, -1)
    assert answer["k"] == "ball"  # what it has, which is nothing
    problem = page.wait_for(lambda: [h for h in page.heads("error") if h.get("req") == -1], "the error")[0]
    assert problem["code"] == "eval_failed"
    assert "no such place" in problem["text"]
    session.handle(ask(-2, batch_size=7))
    assert ended(page, -2)["k"] == "error"
    session.handle(ask(-3, epoch=9))
    assert ended(page, -3)["code"] == "stale_epoch"
    session.close()


def test_a_page_that_comes_later_is_told_all_of_what_rolls(session, page):
    session.handle(ask(steps=10_000))
    page.wait_for(lambda: len(page.heads("path")) > 2, "some rows")
    page.messages.clear()
    session.handle(page.hello())
    page.wait_for(
        lambda: [head for head in page.heads("path") if head["from"] == 0], "rows from the first on"
    )
    assert page.heads("ball")[0]["name"] == "SGD · lr 0.1"
    session.close()


def test_rows_belong_to_the_plane_where_the_ball_was_dropped_also_when_it_turns(session, page):
    before = session.landscape.scene.hash
    session.handle(ask(steps=10_000))
    page.wait_for(lambda: page.heads("path"), "a first row")
    session.turn(Turn(turn_u=30))
    page.wait_for(lambda: page.heads("scene"), "the turned plane")
    count = len(page.heads("path"))
    page.wait_for(lambda: len(page.heads("path")) > count + 1, "further rows")
    assert session.landscape.scene.hash != before
    assert {head["scene"] for head in page.heads("path")} == {before}


def test_a_request_that_is_asked_again_is_told_again_and_rolled_once(session, page):
    session.handle(ask())
    answer = ended(page)
    page.messages.clear()
    session.handle(ask())
    assert ended(page) == answer
    assert not page.heads("path")


def test_a_long_way_is_told_at_some_of_its_steps_the_last_among_them(session, page):
    session.handle(ask(steps=2500, lr=1e-3))
    answer = ended(page)
    steps = told(page, "path", answer["name"])["step"]
    np.testing.assert_array_equal(steps, [*range(0, 2500, math.ceil(2500 / balls.POINTS)), 2500])


def test_a_ball_on_a_line_stays_on_it_when_confined(page):
    origin = torch.zeros(2, dtype=torch.float64)
    objective = la.Objective.from_function(lambda t: (t**2).sum(), origin)
    session = Session(la.Landscape(objective, la.Line(origin, torch.ones(2).double())), page.receive)
    session.handle(ask(confined=True))
    path = told(page, "path", ended(page)["name"])
    assert (path["b"] == 0).all()
    assert (path["distance"] == 0).all()
    session.close()


def test_a_ball_that_has_ended_stays_in_the_explorers_traits():
    explorer = Explorer(landscape())
    page = Page()
    explorer._session._send = page.receive
    explorer._session.handle(ask())
    name = ended(page)["name"]
    page.wait_for(lambda: explorer.paths, "the path")
    assert [path["name"] for path in explorer.paths] == [run["name"] for run in explorer.runs] == [name]
    assert explorer.paths[0]["scene"] == explorer.landscape.scene.hash
    assert len(explorer.paths[0]["points"]) == 41
    explorer.close()


def test_the_fixture_of_an_end_is_what_is_sent():
    class Ended:
        taken, end_loss, diverged = 12, math.inf, True

        def descent(self):
            return self

        message = "diverged after 12 steps: the loss is inf"

    request = Ball(
        client="c1f09", req=-1000001, epoch=3, at=(0.25, -0.5), optimizer="momentum", lr=0.1, steps=200, batch_size=64
    )  # fmt: skip
    head, buffers = rolled(request, "SGD, momentum 0.9 · lr 0.1 · batch 64", Ended(), done=True)
    assert (head, buffers) == (fixture_head("ball_rolled"), [])

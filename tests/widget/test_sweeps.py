"""Sweeps from the kernel's side: ends at many rates, the edge where balls run away, and the line of the quadratic beside it."""

import math

import numpy as np
import pytest

from lossatlas.widget.ball_request import Sweep
from lossatlas.widget.session import Session
from lossatlas.widget.sweeps import swept
from tests.widget.helpers import Page, bowl, landscape
from tests.widget.test_balls import ended
from tests.widget.test_protocol import head as fixture_head


def ask(req=-2, **more):
    head = {
        "v": 1, "k": "sweep", "client": "page", "req": req, "epoch": 1, "at": [0.5, -0.25], "optimizer": "sgd", "steps": 60,
        "batch_size": None, "schedule": None, "confined": False, "seed": 0,
    }  # fmt: skip
    return {**head, **more}


@pytest.fixture
def page():
    return Page()


# λ = 2 in every direction: 2 / λ of plain descent, (2 + 2β) / λ of the heavy ball, (2 + 2β) / ((1 + 2β) λ) of Nesterov.
@pytest.mark.parametrize(("optimizer", "limit"), [("sgd", 1.0), ("momentum", 1.9), ("nesterov", 1.9 / 2.8)])
@pytest.mark.parametrize("confined", [False, True])
def test_on_a_quadratic_the_edge_is_at_the_line(page, optimizer, limit, confined):
    session = Session(landscape(lambda theta: (theta**2).sum(), size=4), page.receive)
    session.handle(ask(optimizer=optimizer, confined=confined, steps=600))
    found = ended(page, -2)
    assert found["limit"] == pytest.approx(limit, rel=1e-6)
    assert found["sharpness"] == pytest.approx(2, rel=1e-6)
    rates, gone = np.array(found["rates"]), np.array(found["diverged"])
    assert found["of"] == len(rates) == 16
    assert rates[~gone].max() < limit < rates[gone].min()
    assert rates[gone].min() / rates[~gone].max() < 1.4
    session.close()


def test_a_slowed_optimizer_has_ends_and_a_reason_in_place_of_a_line(page):
    session = Session(landscape(bowl), page.receive)
    session.handle(ask(optimizer="adam"))
    found = ended(page, -2)
    assert (found["limit"], found["sharpness"]) == (None, None)
    assert found["reason"].startswith("Adam scales each parameter's step")
    assert all(
        loss < found["start_loss"]
        for loss, rate in zip(found["end_loss"], found["rates"], strict=True)
        if rate < 0.1
    )
    session.close()


def test_a_sweep_that_is_stopped_or_followed_by_another_keeps_what_it_has(page):
    session = Session(landscape(lambda theta: (theta**2).sum(), size=50), page.receive)
    session.handle(ask(-2, steps=10_000))
    page.wait_for(lambda: page.heads("sweep"), "a first word")
    session.handle(ask(-3, steps=20))
    assert ended(page, -2)["done"]
    assert len(ended(page, -3)["rates"]) == 16
    session.handle(ask(-4, steps=10_000))
    session.handle({"v": 1, "k": "cancel", "client": "page", "req": -4})
    answer = ended(page, -4)
    assert answer.get("done") or answer["text"] == "The sweep was stopped before it began."
    session.close()


def test_a_sweep_that_is_asked_for_again_goes_on_and_can_still_be_stopped(page):
    session = Session(landscape(lambda theta: (theta**2).sum(), size=50), page.receive)
    session.handle(ask(steps=10_000))
    page.wait_for(lambda: page.heads("sweep"), "a first word")
    session.handle(ask(steps=10_000))
    assert not page.heads("sweep")[-1]["done"]
    assert session._sweeps._orders.under_way == {"page": -2}
    session.handle({"v": 1, "k": "cancel", "client": "page", "req": -2})
    last = ended(page, -2)
    count = len(page.heads("sweep"))
    session.handle(ask(steps=10_000))  # its end was lost on the way
    assert page.wait_for(lambda: page.heads("sweep")[count:], "the end again") == [last]
    session.close()


def test_what_cannot_be_rolled_is_said(page):
    session = Session(landscape(bowl), page.receive)
    session.handle(ask(batch_size=7))
    assert "batch_size" in ended(page, -2)["text"]
    session.close()


def test_the_fixture_is_what_is_sent():
    class Stability:
        limit, label, reason = 0.375, "2 / λmax", "gradient descent on all data"

    class Drop:
        start_loss = 1.5

        def __init__(self, finished, end_loss, diverged):
            self.finished, self.end_loss, self.diverged = finished, end_loss, diverged

    class Sweeping:
        lrs, sharpness, stability = np.array([0.25, 0.5, 1.0]), 5.25, Stability
        drops = (Drop(True, 0.125, False), Drop(True, math.inf, True), Drop(False, math.nan, False))

    request = Sweep(client="c1f09", req=-1000002, epoch=3, at=(0.25, -0.5), optimizer="momentum", steps=200)
    assert swept(request, Sweeping, done=False) == (fixture_head("swept"), [])

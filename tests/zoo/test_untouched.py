"""Law 1 over the zoo: everything of the user's model, and the random streams, are bit for bit as before."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import lossatlas as la
from tests.zoo import plain
from tests.zoo.kinds import ZOO


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", ZOO)
def test_a_map_leaves_the_model_and_the_random_streams_as_they_were(name: str, training: bool) -> None:
    kind = ZOO[name]
    model = kind.build().train(training)
    before, streams = plain.state(model), (torch.get_rng_state(), np.random.get_state(), random.getstate())  # noqa: NPY002
    objective = kind.objective(model)
    landscape = la.Landscape(objective, la.Plane.random(objective))
    landscape.grid(shape=(2, 3))
    objective.gradient(objective.theta)
    after = plain.state(model)
    assert after == before
    assert torch.equal(torch.get_rng_state(), streams[0])
    assert np.array_equal(np.random.get_state()[1], streams[1][1])  # noqa: NPY002
    assert random.getstate() == streams[2]
    assert not objective.model_changed

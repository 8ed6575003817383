"""Maps beside each other, in plain Python. What needs a page is in tests/browser."""

import pytest
import torch
from ipywidgets.widgets.widget import _instances
from torch import nn

import lossatlas as la
from tests.widget.helpers import bowl, landscape


def data(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 4, generator=generator), torch.randint(0, 3, (count,), generator=generator)


def network(width=5, seed=0, **options):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))
    objective = la.Objective(model, nn.functional.cross_entropy, data(40, 1))
    return la.Landscape(objective, la.Plane.random(objective), **options)


@pytest.fixture
def opened():
    made = []
    yield lambda *args, **kwargs: made.append(la.compare(*args, **kwargs)) or made[-1]
    for comparison in made:
        comparison.close()


def test_two_landscapes_on_one_plane_stand_beside_their_difference(opened):
    train = network(title="train")
    held_out = train.on(data(30, 2), title="validation")
    comparison = opened([train, held_out])
    assert [explorer.scene["title"] for explorer in comparison.shown] == [
        "train",
        "validation",
        "validation − train",
    ]
    gap = comparison.difference.landscape
    assert gap.evaluate(0.3, 0.1) == held_out.evaluate(0.3, 0.1) - train.evaluate(0.3, 0.1)
    assert comparison.notes == ()
    assert comparison.difference.colormap == "vik"
    assert comparison.explorers[0].colormap == "viridis"
    assert comparison.difference.linked == ["view", "field", "plane"]
    assert comparison.explorers[0].linked == ["view", "domain", "levels", "field", "plane"]
    assert len({explorer.group for explorer in comparison.shown}) == 1
    assert opened([train, held_out], difference=False).difference is None


def test_their_nodes_are_those_of_the_landscapes(opened):
    train, other = network(), network()
    before = train.evaluate(0.5, 0.5)
    comparison = opened([train, other], difference=False)
    assert comparison.explorers[0].landscape.knows([(0.5, 0.5)])
    assert comparison.explorers[0].landscape.evaluate(0.5, 0.5) == before
    comparison.explorers[0].landscape.evaluate(0.25, 0.5)
    assert train.knows([(0.25, 0.5)])


def test_turning_one_plane_turns_all_that_lie_on_it(opened):
    train = network()
    other = la.Landscape(train.objective.on(data(30, 2)), train.plane)  # with directions of its own
    comparison = opened([train, other], names=("train", "other"))
    comparison.explorers[1].turn_u = 40
    comparison.explorers[1].u_to = "gradient"
    assert {(explorer.turn_u, explorer.u_to) for explorer in comparison.shown} == {(40, "gradient")}
    directions = {id(explorer.landscape.directions) for explorer in comparison.shown}
    assert len(directions) == 1
    assert other.directions is not train.directions  # those of the landscapes themselves stay


def test_view_field_and_scale_are_one_for_all(opened):
    comparison = opened([network(), network(7), network(9)], names=["a", "b", "c"], height=300, scale="log")
    first, second, third = comparison.explorers
    assert (first.height, second.scale) == (300, "log")
    second.view = {"center": [0.5, 0], "span": 1}
    second.field, third.scale = "trace", "linear"
    assert {explorer.field for explorer in comparison.explorers} == {"trace"}
    assert {explorer.scale for explorer in comparison.explorers} == {"linear"}
    assert first.view == third.view == {"center": [0.5, 0], "span": 1}
    assert comparison.difference is None
    assert "turn_u" not in comparison.link.what


def test_what_differs_in_the_axes_is_said_and_shown_as_text(opened):
    comparison = opened([network(5), network(50)], names=("small <b>", "wide"))
    assert (
        "The same a and b are not corresponding weights: 43 parameters in “small <b>”, 403 parameters in “wide”."
        in comparison.notes
    )
    assert len(comparison.notes) == 1  # filter-normalised directions are as long as θ in either
    words = comparison.box.children[-1].value
    assert "small &lt;b&gt;" in words
    assert "<b>" not in words
    units = [la.Plane.random(one.objective, normalize=None, ignore=None) for one in (network(5), network(50))]
    other = opened(
        [
            la.Landscape(one.objective, plane)
            for one, plane in zip((network(5), network(50)), units, strict=True)
        ],
        names=("small", "wide"),
    )
    assert any(note.startswith("1 along a is ") and "‖θ‖ in “wide”" in note for note in other.notes)


def test_titles_that_are_the_same_are_numbered(opened):
    comparison = opened([network(), network(seed=1)])
    assert [explorer.scene["title"] for explorer in comparison.explorers] == [
        "Sequential · 43 parameters · 1",
        "Sequential · 43 parameters · 2",
    ]


def test_rows_wrap_unless_their_length_is_chosen(opened):
    pair = [network(), network(seed=1)]
    assert "auto-fit" in opened(pair).box.children[0].layout.grid_template_columns
    assert opened(pair, columns=2).box.children[0].layout.grid_template_columns == "repeat(2, minmax(0, 1fr))"
    bundle = opened(pair)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in (bundle[0] if isinstance(bundle, tuple) else bundle)


def test_closed_it_leaves_no_widget_behind():
    before = set(_instances)
    comparison = la.compare([network(), network(7)])
    assert comparison.notes
    box = comparison.box
    comparison.explorers[0].close()  # as when its cell runs again
    assert all(explorer.closed for explorer in comparison.shown)
    assert box.comm is None
    comparison.close()
    assert set(_instances) <= before


def test_lines_are_compared_too(opened):
    pair = [network(), network(seed=1)]
    lines = [la.Landscape(one.objective, la.Line(one.plane.origin, one.plane.u)) for one in pair]
    assert len(opened(lines, names=("a", "b")).shown) == 2


def test_what_cannot_be_compared_is_said_in_words():
    one = network()
    with pytest.raises(ValueError, match="There is no landscape to compare. Pass two or more"):
        la.compare([])
    with pytest.raises(ValueError, match="There is one landscape to compare"):
        la.compare([one])
    with pytest.raises(ValueError, match="There is one landscape to compare"):
        la.compare(one)
    with pytest.raises(TypeError, match="Landscape 2 is a str. Pass a list of lossatlas.Landscape"):
        la.compare([one, "two"])
    wide = network(extent=(-2, 2, -2, 2))
    with pytest.raises(ValueError, match=r"different home views, \(-1, 1, -1, 1\) and \(-2, 2, -2, 2\)"):
        la.compare([one, wide])
    line = la.Landscape(one.objective, la.Line(one.plane.origin, one.plane.u))
    with pytest.raises(ValueError, match="Some landscapes lie on lines, others on planes"):
        la.compare([one, line])
    with pytest.raises(ValueError, match="names is .*'a'.* Pass a text for each of the 2 landscapes"):
        la.compare([one, one], names=["a"])
    with pytest.raises(ValueError, match="columns is 0"):
        la.compare([one, one], columns=0)
    with pytest.raises(ValueError, match="these are 2 on different planes. Subtract two of them"):
        la.compare([one, network(7)], difference=True)
    with pytest.raises(ValueError, match="needs two landscapes on one plane, and these are 3. Subtract"):
        la.compare([one, one, one], difference=True)
    with pytest.raises(ValueError, match=r"link is \('plane',\). Pass some of 'view', 'domain', 'levels'"):
        la.compare([one, one], link=("plane",))
    with pytest.raises(TypeError, match="compare got an unknown keyword 'colour'. Beside names, columns"):
        la.compare([one, one], colour="red")


def test_a_landscape_of_a_function_is_compared_like_any(opened):
    comparison = opened([landscape(), landscape(lambda t: bowl(t) + 0.1 * t[0])], names=("bowl", "tilted"))
    assert comparison.difference.landscape.evaluate(0.5, 0.25) == pytest.approx(0.05)

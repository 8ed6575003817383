"""The wire against the fixtures that the page's tests read too."""

import base64
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from lossatlas.geometry import TileAddress, Turn
from lossatlas.sampling import Pass, Sample
from lossatlas.scene import Scene
from lossatlas.widget import protocol
from lossatlas.widget.ball_request import Ball, Sweep
from lossatlas.widget.checked import BadRequest
from lossatlas.widget.protocol import (
    Bases,
    Cancel,
    Caption,
    Command,
    Hello,
    Part,
    Point,
    Probe,
    Towards,
    View,
    Want,
)
from lossatlas.widget.run_request import Follow, Measure
from lossatlas.widget.surface import surfaced
from lossatlas.widget.surface_request import Surface
from tests.sampling.passes import agreeing

FIXTURES = Path(__file__).parent.parent / "fixtures" / "protocol"

SCENE = Scene(
    hash="7f3a91c2d4e5f607",
    title="digits MLP",
    axes=(("random 1", 0.31, "‖θ‖"), ("random 2", 0.3, "‖θ‖")),
    fields=("loss",),
    home=(-1.0, 1.0, -1.0, 1.0),
    levels=(-20, 16),
    dtype="float32",
    samples=1797,
    turns=("random 3", "random 4", "random 5"),
    directions=("random 1", "random 2", "random 3", "gradient"),
    at=Turn(24, 0, 0.0),
    notes=("evaluation mode",),
    mode="eval",
    points=(("θ", 0.0, 0.0),),
    about=(
        "u: random Gaussian 1 of seed 0; 89.9° between u and v",
        "v: random Gaussian 2 of seed 0; 89.9° between u and v",
    ),
)


def fixture(name: str) -> dict:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def head(name: str) -> dict:
    return fixture(name)["head"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hello", Hello("c1f09", None)),
        ("probe", Probe("c1f09", 5, 3, (0.1, 0.2))),
        ("caption", Caption("c1f09", 6, 3)),
        ("spectrum", Point("c1f09", -7, 3, (0.125, -0.5), 2.5)),
        ("towards", Towards("c1f09", -8, -7, 4)),
        (
            "surface",
            Surface(
                "c1f09",
                12,
                3,
                (-1.0, 0.5, -0.25, 0.25),
                "loss",
                "symlog:0.01",
                "viridis",
                (0.5, 4.0),
                {"eye": {"x": -1.25, "y": -1.5, "z": 1.0}},
                (480.0, 360.0),
                "dark",
            ),
        ),
        (
            "ball",
            Ball(
                client="c1f09",
                req=-1000001,
                epoch=3,
                at=(0.25, -0.5),
                optimizer="momentum",
                lr=0.1,
                steps=200,
                batch_size=64,
                schedule="cosine",
                seed=1,
            ),
        ),
        (
            "sweep",
            Sweep(
                client="c1f09",
                req=-1000002,
                epoch=3,
                at=(0.25, -0.5),
                optimizer="momentum",
                steps=200,
                seed=1,
            ),
        ),
        ("follow", Follow("c1f09", -2000001, ("SGD", "Adam"))),
        ("measure", Measure("c1f09", -2000002, ("SGD",), "norm:0.*")),
        ("part", Part("c1f09", 9, "instrument")),
        ("cancel", Cancel("c1f09", -7)),
        ("pause", Command("c1f09", "pause")),
        ("resume", Command("c1f09", "resume")),
        ("refresh", Command("c1f09", "refresh")),
        ("back", Command("c1f09", "back")),
        ("forward", Command("c1f09", "forward")),
        ("bye", Command("c1f09", "bye", removed=True)),
    ],
)
def test_a_page_is_understood(name, expected):
    assert protocol.parse(head(name), SCENE) == expected


def test_a_want_is_understood():
    want = protocol.parse(head("want"), SCENE)
    assert isinstance(want, Want)
    assert want.tiles == (
        TileAddress(0, -1, -1),
        TileAddress(0, 0, -1),
        TileAddress(0, -1, 0),
        TileAddress(0, 0, 0),
    )
    assert want.shown == (TileAddress(1, 0, 0),)
    assert (want.epoch, want.rev, want.credit, want.seen) == (3, 17, 64, 12)
    assert want.view == View((0.125, -0.25), 2.5, 720.0, 480.0)
    assert want.tolerance == protocol.Tolerance(0.01, "log", 0.0625)
    signs = protocol.parse(head("want_of_both_signs"), SCENE)
    assert signs == dataclasses.replace(want, tolerance=protocol.Tolerance(0.01, "symlog:0.001", 0.0625))
    exact = {**head("want"), "tolerance": None}
    assert protocol.parse(exact, SCENE).tolerance is None


@pytest.mark.parametrize("path", sorted((FIXTURES / "bad").glob("*.json")), ids=lambda path: path.stem)
def test_a_bad_message_is_refused_in_words(path):
    case = json.loads(path.read_text(encoding="utf-8"))
    if case["code"] == "stale_epoch":
        assert protocol.parse(case["head"], SCENE).epoch < 0  # well formed; the session knows the epoch
        return
    scene = dataclasses.replace(SCENE, axes=SCENE.axes[: case.get("axes", 2)])
    with pytest.raises(BadRequest, match=r"[.!]$") as caught:
        protocol.parse(case["head"], scene)
    assert caught.value.code == case["code"]


@pytest.mark.parametrize(
    "value",
    [10**400, float("nan"), float("inf"), "1", None, True, [], {}, 1.5, -(10**30), "x" * 10**6],
    ids=lambda value: str(value)[:12],
)
@pytest.mark.parametrize(
    "place", ["tile", "z", "epoch", "credit", "span", "center", "fields", "tiles", "view", "client"]
)
def test_no_value_in_any_place_gets_past_the_parser_or_breaks_it(value, place):
    message = json.loads(json.dumps(head("want")))
    match place:
        case "tile":
            message["tiles"] = [value]
        case "z":
            message["tiles"] = [[value, 0, 0, 2]]
        case "span":
            message["view"]["span"] = value
        case "center":
            message["view"]["center"] = [value, 0]
        case _:
            message[place] = value
    try:
        want = protocol.parse(message, SCENE)
    except BadRequest as error:
        assert len(str(error)) < 400
        return
    assert isinstance(want, Want)
    assert all(abs(tile.z) <= 20 for tile in want.tiles)
    assert math.isfinite(want.view.span)


def test_a_million_tiles_are_refused():
    with pytest.raises(BadRequest, match="1000000 tiles. Send at most 256"):
        protocol.parse({**head("want"), "tiles": [[0, 0, 0, 2]] * 10**6}, SCENE)


def test_ready_and_scene_are_what_the_page_reads():
    assert protocol.ready("c1f09", "b7d1", 3, SCENE)[0] == head("ready")
    assert protocol.scene_changed(4, SCENE)[0] == head("scene")


def test_tiles_are_what_the_page_reads():
    wanted = fixture("tiles")
    first = np.array([[1.5, 1.25, 1.5], [1.0, 0.5, 1.0], [1.5, 1.25, np.nan]])
    second = np.add.outer(np.arange(3) * 2.0, np.arange(3))
    centres = np.array([[1.5, 2.5], [3.5, 4.5]])
    bases = Bases()
    bases._bases[0, 0, 0, 0] = 0.5
    message, buffers = protocol.tiles(
        3,
        13,
        [
            (0, Pass(TileAddress(0, -1, 0), first, None, 2.0**-24)),
            (0, agreeing(Pass(TileAddress(2, 3, -4), second, centres, 2.0**-24))),
        ],
        bases,
    )
    assert message == wanted["head"]
    assert [base64.b64encode(buffer).decode() for buffer in buffers] == wanted["buffers"]


def test_tiles_of_a_line_are_what_the_page_reads():
    wanted = fixture("tiles_of_a_line")
    bases = Bases()
    bases._bases[0, 1, 0, 0] = 0.5
    values = np.array([[1.5, 0.5, np.nan]])
    row = Pass(TileAddress(1, -2, 0), values, None, 2.0**-24)
    message, buffers = protocol.tiles(3, 14, [(0, row)], bases)
    assert message == wanted["head"]
    assert np.frombuffer(buffers[0], "<f4")[:2].tolist() == [1.0, 0.0]
    assert [base64.b64encode(buffer).decode() for buffer in buffers] == wanted["buffers"]


def test_tiles_of_a_preview_say_what_they_rest_on_and_what_is_unknown_is_null():
    wanted = fixture("tiles_of_a_preview")
    values = np.array([[1.5, 1.25, 1.5], [1.0, 0.5, 1.0], [1.5, 1.25, 1.75]])
    passes = [
        (
            0,
            Pass(
                TileAddress(0, 0, 0),
                values,
                None,
                2.0**-24,
                Sample(0, "512 of 9\u202f000 samples", 0.0625, 0.25),
            ),
        ),
        (
            0,
            Pass(
                TileAddress(0, -1, 0),
                values,
                None,
                2.0**-24,
                Sample(1, "64 of 400 batches", float("inf"), 0.125),
            ),
        ),
    ]
    message, buffers = protocol.tiles(3, 15, passes, Bases())
    assert message == wanted["head"]
    assert [tile["q"] for tile in message["head"]] == [0, 1]
    assert message["head"][1]["se_level"] is None
    assert [base64.b64encode(buffer).decode() for buffer in buffers] == wanted["buffers"]


def test_a_probe_is_answered_as_the_page_reads_it():
    request = Probe("c1f09", 5, 3, (0.1, 0.2))
    assert protocol.probed(request, {"loss": 1.274}, 1797)[0] == head("probed")
    beyond = Probe("c1f09", 6, 3, (9.0, 9.0))
    assert protocol.probed(beyond, {"loss": math.nan}, 1797)[0] == head("probed_not_finite")


def test_a_caption_is_answered_as_the_page_reads_it():
    assert protocol.captioned(Caption("c1f09", 6, 3), head("captioned")["text"])[0] == head("captioned")


def test_status_and_errors_are_what_the_page_reads():
    status = protocol.status(
        3,
        "sampling",
        queue=3000,
        done=1225,
        rate=1340.5,
        eta=2.2,
        model_changed=False,
        heard={"c1f09": 7},
        making="gradient",
    )
    assert status[0] == head("status")
    wanted = head("error")
    error = protocol.error(wanted["code"], wanted["text"], client="c1f09", req=7)
    assert error[0] == wanted


def test_heads_are_json_whatever_the_values():
    values = np.array([[np.nan, np.inf], [-np.inf, np.nan]])
    message, _ = protocol.tiles(1, 1, [(0, Pass(TileAddress(0, 0, 0), values, None, 2.0**-24))], Bases())
    text = json.dumps(message, allow_nan=False)
    assert json.loads(text)["head"][0]["bad"] == 4


def test_a_deep_zoom_keeps_its_digits_and_neighbours_agree():
    rng = np.random.default_rng(0)
    level = 1234.5678901234567
    left = level + 1e-9 * rng.standard_normal((33, 33))
    right = level + 1e-9 * rng.standard_normal((33, 33))
    right[:, 0] = left[:, -1]
    bases = Bases()
    passes = [
        (0, Pass(TileAddress(9, x, 5), values, None, 2.0**-24)) for x, values in ((6, left), (7, right))
    ]
    message, (buffer,) = protocol.tiles(1, 1, passes, bases)
    assert message["head"][0]["base"] == message["head"][1]["base"]
    numbers = np.frombuffer(buffer, "<f4").reshape(2, 33, 33)
    assert (numbers[0][:, -1] == numbers[1][:, 0]).all()
    # Differences of 1e-9 carry float32's seven digits; the float64 values carry 2e-13 themselves.
    assert (
        np.abs(numbers[0].astype(float) + (message["head"][0]["base"] - level) - (left - level)).max() < 1e-12
    )


def test_a_surface_is_answered_as_the_page_reads_it():
    request = protocol.parse(head("surface"), SCENE)
    assert surfaced(request, "4f5a0c1e2b", 0.0625)[0] == head("surface_shown")
    assert surfaced(request, "4f5a0c1e2b", math.inf)[0]["error"] is None
    needed = {name: head("surface")[name] for name in ("v", "k", "client", "req", "view", "field", "scale")}
    plain = Surface("c1f09", 12, None, (-1.0, 0.5, -0.25, 0.25), "loss", "symlog:0.01")
    assert protocol.parse(needed, SCENE) == plain
    assert protocol.parse({**needed, "domain": [], "size": {"width": 9, "height": 9}}, SCENE) == plain

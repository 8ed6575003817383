"""What is no recipe: every wrong key and value is named, and nothing that comes in is trusted or run."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lossatlas as la
from lossatlas.geometry import Turn
from tests.zoo import F, classification, mlp, normal

O = la.Objective(mlp(6, 5, 3), F.cross_entropy, classification(60))  # noqa: E741


def landscape() -> la.Landscape:
    first = la.Landscape(O, la.Plane.random(O, 4, ignore=["*.bias"], layers=["0", "2"]))
    first.directions.add("mine", la.Direction.random(O, 9))
    return first.turned(Turn(20, 10, 0.5, u_from="gradient", u_to="mine"))


RECIPE = landscape().recipe
TURNED = la.Landscape(O, la.Plane.gradient(O).turned(O, Turn(20))).recipe


def changed(path: list[Any], value: Any, recipe: Any = None) -> dict[str, Any]:
    """The recipe with another value at a path of keys."""
    found = copy.deepcopy(RECIPE if recipe is None else recipe)
    inner: Any = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return dict(found)


WRONG: list[tuple[list[Any], Any, type[Exception], str]] = [
    (["colour"], "red", ValueError, "recipe has the unknown key 'colour', which is 'red'. Its keys are 'format', 'versions'"),
    (["plane", "seed"], 3, ValueError, r"recipe\['plane'\] has the unknown key 'seed', which is 3"),
    (["plane", "recipe", "sed"], 3, ValueError, r"recipe\['plane'\]\['recipe'\] has the unknown key 'sed', which is 3"),
    (["objective", "parts", "moon"], "full", ValueError, r"recipe\['objective'\]\['parts'\] has the unknown key 'moon'"),
    (["turn", "chosen", "w_from"], "mine", ValueError, r"recipe\['turn'\]\['chosen'\] has the unknown key 'w_from', which is 'mine'"),
    (["format"], 2, ValueError, r"recipe\['format'\] is 2: it was made by a newer lossatlas, and this one reads format 1. Update"),
    (["format"], 0, ValueError, r"recipe\['format'\] is 0. It is one of 1"),
    (["format"], True, ValueError, r"recipe\['format'\] is True. It is one of 1"),
    (["format"], "1", ValueError, r"recipe\['format'\] is '1'"),
    (["home"], [0, 1], ValueError, r"recipe\['home'\] is \[0, 1\]. It has 4 entries"),
    (["home"], [1, 0, 0, 1], ValueError, "The extent runs from 1 to 0 along a"),
    (["home", 0], float("nan"), ValueError, r"recipe\['home'\]\[0\] is nan. Numbers of a recipe are finite"),
    (["home", 0], float("inf"), ValueError, r"recipe\['home'\]\[0\] is inf"),
    (["home", 0], 10**400, ValueError, r"recipe\['home'\]\[0\] is 1000.*000. Numbers of a recipe are those of float64"),
    (["home", 0], "0", TypeError, r"recipe\['home'\]\[0\] is '0'. It is a number"),
    (["home", 0], True, TypeError, r"recipe\['home'\]\[0\] is True. It is a number"),
    (["title"], 3, TypeError, r"recipe\['title'\] is 3. It is text"),
    (["title"], None, TypeError, r"recipe\['title'\] is None. It is text"),
    (["title"], object, TypeError, r"recipe\['title'\] is <class 'object'>. Pass JSON values"),
    (["scene"], "x", ValueError, r"recipe\['scene'\] is 'x'. It is a hash of 16 hexadecimal digits"),
    (["scene"], "0" * 16, ValueError, r"recipe\['scene'\] is '0000000000000000', but what the recipe says makes"),
    (["plane", "kind"], "ball", ValueError, r"recipe\['plane'\]\['kind'\] is 'ball'. It is one of 'plane', 'line'"),
    (["plane", "kind"], "line", ValueError, r"recipe\['plane'\]\['kind'\] is 'line', but its recipe is of kind 'random'"),
    (["plane", "names"], ["u"], ValueError, r"it has the names \['u'\]"),
    (["plane", "recipe", "seed"], 1.5, TypeError, r"\['seed'\] is 1.5. It is a whole number"),
    (["plane", "recipe", "seed"], 5, ValueError, "but what the recipe says makes"),
    (["plane", "recipe", "normalize"], "fliter", ValueError, r"\['normalize'\] is 'fliter'. It is one of 'filter', 'layer'"),
    (["plane", "recipe", "layers"], "0", TypeError, r"\['layers'\] is '0'. It is a list"),
    (["plane", "recipe", "layers"], ["9"], ValueError, "No parameter matches '9'"),
    (["plane", "recipe", "origin"], "0" * 16, ValueError, "cannot be made at this objective"),
    (["plane", "recipe", "kind"], "mine", ValueError, "does not say how to make u, nor that it needs its bytes"),
    (["plane", "vectors", "w"], "0" * 16, ValueError, r"\['vectors'\] has the unknown key 'w'"),
    (["plane", "scaling", "ignore"], 3, TypeError, r"\['ignore'\] is 3. It is a list"),
    (["plane", "scaling", "layers"], [], ValueError, "layers is empty. Pass at least one name"),
    (["turn", "turn_u"], 200, ValueError, "turn_u is 200. Pass whole degrees"),
    (["turn", "turn_u"], 20.0, TypeError, r"\['turn_u'\] is 20.0. It is a whole number"),
    (["turn", "turn_u"], 21, ValueError, "but what the recipe says makes"),
    (["turn", "offset"], 0.3, ValueError, "offset is 0.3. Pass a multiple of 1/128"),
    (["turn", "chosen", "u_to"], "nobody", ValueError, "There is no direction 'nobody'"),
    (["turn", "directions", "mine", "vector"], 3, TypeError, r"\['mine'\]\['vector'\] is 3. It is text"),
    (["turn", "directions", "mine", "recipe", "seed"], 10, ValueError, "but what the recipe says makes"),
    (["objective", "parts", "kind"], "poem", ValueError, r"\['kind'\] is 'poem'. It is one of"),
    (["objective", "parts"], [], TypeError, r"recipe\['objective'\]\['parts'\] is \[\]. It is a mapping"),
    (["objective", "parts", "samples"], 61, ValueError, r"the data differ \(61 samples there, 60 here\)"),
    (["objective", "terms"], [RECIPE["objective"]] * 2, ValueError, r"The hashes of recipe\['objective'\]\['terms'\]"),
    (["versions", "torch"], 2, TypeError, r"recipe\['versions'\]\['torch'\] is 2"),
    ([3], 4, TypeError, "A key of recipe is 3. Keys are text"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "error", "words"), WRONG)
def test_a_wrong_value_is_refused_by_its_key(
    path: Any, value: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        la.from_recipe(changed(path, value), O)


def keys_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from keys_of(inner, (*path, key))


# Options that stand at their default where they are missing, and what a name stands for without being told.
LOOSE = {
    ("plane", "recipe", "ignore"), ("plane", "recipe", "layers"), ("plane", "scaling", "ignore"),
    ("plane", "scaling", "layers"), ("turn", "directions", "gradient"),
}  # fmt: skip
MISSED = "what the recipe says makes|There is no direction|is None|does not say"


@pytest.mark.parametrize("path", sorted(set(keys_of(RECIPE)) - LOOSE))
def test_a_missing_key_is_named_or_what_it_decided_is_missed(path: tuple[str, ...]) -> None:
    recipe = copy.deepcopy(RECIPE)
    inner = recipe
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    with pytest.raises(ValueError, match=f"lacks the key '{path[-1]}'|{MISSED}"):
        la.from_recipe(recipe, O)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "The recipe is no JSON text: Expecting value"),
        ("{'format': 1}", "It begins with"),
        ('{"format": NaN}', "it holds NaN, which is no JSON number"),
        ('{"format": -Infinity}', "it holds -Infinity"),
        ('{"format": 1, "format": 1}', "the key 'format' stands there twice"),
        ("[" * 100_000, "The recipe is no JSON text"),
        ('{"format": 1' + "0" * 9999 + "}", "The recipe is no JSON text"),
        ('{"format": 1e999}', r"recipe\['format'\] is inf. Numbers of a recipe are finite"),
        ('{"format": 1}', "recipe lacks the key 'versions'"),
    ],
)
def test_a_text_that_is_no_recipe_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        la.from_recipe(text, O)


@pytest.mark.parametrize("value", [None, 3, [], b"{}", [("format", 1)]])
def test_what_is_neither_text_nor_a_mapping_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="Pass the dict landscape.recipe, or its JSON text"):
        la.from_recipe(value, O)


def test_nesting_without_end_is_refused() -> None:
    recipe = copy.deepcopy(TURNED)
    for _ in range(100):
        recipe["plane"]["recipe"] = {**TURNED["plane"]["recipe"], "of": recipe["plane"]["recipe"]}
    with pytest.raises(ValueError, match="is nested more than 64 deep"):
        la.from_recipe(recipe, O)


LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=5)
    | st.sampled_from(["own", "turned", "random", "0" * 16])
)  # fmt: skip
KEYS = st.sampled_from(["kind", "of", "hash", "u"])
INNER = LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(KEYS, LEAVES, max_size=3)
VALUES = INNER | st.lists(INNER, max_size=3) | st.dictionaries(KEYS, INNER, max_size=3)


@settings(max_examples=300)
@given(st.sampled_from([RECIPE, TURNED]), st.data())
def test_a_recipe_with_any_other_value_is_the_same_scene_or_an_error_in_words(recipe: Any, data: Any) -> None:
    path = data.draw(st.sampled_from(sorted(keys_of(recipe))))
    given_value = data.draw(VALUES)
    try:
        made = la.from_recipe(changed(list(path), given_value, recipe), O)
    except (TypeError, ValueError) as error:
        assert str(error).endswith((".", "…", "?")) or "recipe" in str(error)
        return
    assert made.scene.hash == recipe["scene"]
    assert made.plane.hash == landscape().plane.hash or recipe is TURNED


def test_words_of_a_recipe_are_text_and_nothing_else() -> None:
    script = "<script>__import__('os').abort()</script>"
    for path in (["title"], ["plane", "names", 0], ["plane", "about", 0], ["objective", "title"]):
        made = la.from_recipe(changed(path, script), O)
        assert made.scene.hash == RECIPE["scene"]
    assert la.from_recipe(changed(["title"], script), O).title == script


def test_a_json_text_of_a_plane_of_the_users_recipe_must_hold_finite_numbers() -> None:
    plane = la.Plane(
        O.theta, normal(O.size), normal(O.size, seed=1), recipe={"kind": "mine", "x": float("nan")}
    )
    with pytest.raises(ValueError, match="which JSON cannot hold: .* Pass finite numbers"):
        la.Landscape(O, plane).recipe  # noqa: B018
    assert json.loads(json.dumps(RECIPE)) == RECIPE

"""What a reader sees of the card: words that can be read, titles that are only text."""

from __future__ import annotations

import pytest

from tests.browser.lab import Lab
from tests.browser.maps import SHOW_SMALL, SMALL, card, colours, open_map, words


def luminance(colour: str) -> float:
    """The relative luminance of a CSS colour rgb(r, g, b), from 0 to 1."""
    red, green, blue = (float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two CSS colours (WCAG 2)."""

    def linear(colour: str) -> float:
        parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        bent = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * bent[0] + 0.7152 * bent[1] + 0.0722 * bent[2]

    brighter, darker = sorted((linear(first), linear(second)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_the_card_follows_the_theme_and_can_be_read(lab: Lab, theme: str) -> None:
    notebook = open_map(lab, theme=theme)
    assert card(notebook).get_attribute("data-theme") == theme
    look = card(notebook).evaluate(
        """w => {
            const style = getComputedStyle(w), foot = getComputedStyle(w.querySelector(".la-foot"));
            return {card: style.backgroundColor, text: style.color, foot: foot.color};
        }"""
    )
    assert (luminance(look["card"]) > 0.5) == (theme == "light")
    assert contrast(look["text"], look["card"]) >= 4.5
    assert contrast(look["foot"], look["card"]) >= 4.5
    assert notebook.console_errors == []


def test_a_title_is_text_however_it_looks(lab: Lab) -> None:
    show = SHOW_SMALL.replace("height=360", 'height=360, title="<img src=x onerror=alert(1)> & more"')
    notebook = open_map(lab, SMALL, show)
    assert "<img src=x onerror=alert(1)> & more" in words(notebook, ".la-head")
    assert card(notebook).locator("img").count() == 0
    assert colours(notebook) > 50
    assert notebook.console_errors == []

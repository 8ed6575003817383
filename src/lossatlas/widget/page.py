"""Page: a map as HTML that needs nothing but itself: no kernel, no network. Pure; the page's side is js/src/host.js.

Everything that a user named is data here, in JSON or escaped: nothing of it can become markup or a script.
"""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Mapping
from typing import Any

_PAGE_STYLE = (
    "html{color-scheme:light dark}body{margin:0;padding:12px;background:#fff}"
    "@media(prefers-color-scheme:dark){body{background:#0d0f13}}"
    "body.la-light{background:#fff}body.la-dark{background:#0d0f13}"
    ".lossatlas-map>img{display:block;max-width:100%;image-rendering:auto}"
)


def fragment(
    state: Mapping[str, Any], baked: bytes, picture: bytes | None, *, script: str, style: str, place: str, title: str,
    fill: bool = False,
) -> str:  # fmt: skip
    """A map to be put into any page: a picture, which the script replaces by the map.

    state: the widget's traits; baked: as `baked.pack` made it; picture: a PNG for viewers that run no scripts; script, style: the
    front end with its host; place: an id that nothing else in the page has; title: what the picture shows; fill: the map is as high as the window lets it.
    """
    data = base64.b64encode(baked).decode()
    image = ""
    if picture is not None:
        shown = base64.b64encode(picture).decode()
        image = f'<img src="data:image/png;base64,{shown}" alt="{html.escape(title)}">'
    told = _in_script(json.dumps({**_plain(state), "_css": style}, allow_nan=False))
    return (
        f'<div class="lossatlas-map" id="{html.escape(place)}"{" data-fill" if fill else ""}>{image}'
        f'<script type="application/json" class="la-state">{told}</script>'
        f'<script type="text/plain" class="la-baked" data-bytes="{len(baked)}">{data}</script></div>\n'
        f'<script type="module">const LOSSATLAS_PLACE={json.dumps(place)};{_in_module(script)}</script>\n'
    )


def document(body: str, *, title: str, theme: str) -> str:
    """A whole page around a fragment."""
    shown = f' class="la-{theme}"' if theme in ("light", "dark") else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{html.escape(title)}</title><style>{_PAGE_STYLE}</style></head>'
        f"<body{shown}>\n{body}</body></html>\n"
    )


def _in_script(text: str) -> str:
    """JSON that no parser of HTML can take for the end of its element."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _in_module(script: str) -> str:
    """A script that holds no end of its element. Raises ValueError for one that does: the build keeps it out."""
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("The front end holds what would end its script element. Build it anew.")
    return script


def _plain(value: Any) -> Any:
    """As JSON can say it: null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

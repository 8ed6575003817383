"""Both renderers draw the same picture, in a real browser. No JupyterLab is needed for it."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

JS = Path(__file__).parents[2] / "js"
ESBUILD = JS / "node_modules" / ".bin" / "esbuild"

pytestmark = pytest.mark.skipif(
    not ESBUILD.exists(), reason="js/node_modules is missing: run `npm ci` in js/"
)

ENTRY = """
export {createGlRenderer} from "./src/webgl/gl.js";
export {createCpuRenderer} from "./src/render/cpu.js";
export {domainOf, drawn, lookupTable, undrawn} from "./src/colour.js";
export {ladder} from "./src/ladder.js";
export {Plan} from "./src/plan.js";
export {tileOf} from "./src/source/memory.js";
export {fill} from "./src/spline.js";
export {TileStore} from "./src/tiles.js";
export {Viewport} from "./src/viewport.js";
"""

# Four tiles of a function over [-1, 1]^2, drawn on a log scale, as the map would. `change` is a function of the frame.
HELPERS = """
const functions = {
  himmelblau: (a, b) => ((5 * a) ** 2 + 5 * b - 11) ** 2 + (5 * a + (5 * b) ** 2 - 7) ** 2 + 0.5,
  rosenbrock: (a, b) => (1 - 2 * a) ** 2 + 20 * (1.5 * b + 0.5 - (2 * a) ** 2) ** 2 + 0.2,
  hole: (a, b) => (a * a + b * b < 0.16 ? NaN : Math.exp(a - b)),
};

function scene(name, width, height) {
  const tiles = [];
  for (const y of [-1, 0]) {
    for (const x of [-1, 0]) {
      const node = (_, at) => la.drawn(functions[name](x + (at % 33) / 32, y + Math.floor(at / 33) / 32), "log");
      tiles.push({x, y, grid: la.fill(Float32Array.from({length: 1089}, node), 33)});
    }
  }
  const domain = la.domainOf(tiles.map(({grid}) => grid), {scale: "log"});
  const [lo, hi] = domain.map((w) => la.undrawn(w, "log"));
  const levels = la.ladder({lo, hi, scale: "log"}).levels.map((level) => ({...level, value: Math.log(level.value)}));
  const quads = tiles.map(({x, y, grid}, at) => ({
    rect: [(width / 2) * (1 + x), (height / 2) * -y, (width / 2) * (2 + x), (height / 2) * (1 - y)],
    from: null, t: 1, to: {grid, key: `${name}/${at}`, offset: 0, uv: [0, 0, 1, 1]},
  }));
  return {width, height, pixelRatio: 1, quads, lut: la.lookupTable(), domain, levels, background: [245, 246, 248],
          hatch: [150, 155, 165], desaturate: 0, relief: 1};
}

// The corner of four squares, of which `fine` are a level finer than the others; grey, so that colours are values.
const wave = (a, b) => Math.sin(2.3 * a + 0.4) * Math.cos(1.7 * b) + 0.3 * a * b;
function corner(fine, relief, size) {
  const store = new la.TileStore();
  for (const y of [-1, 0]) for (const x of [-1, 0]) store.put("s", la.tileOf(wave, {z: -1, x, y}, 33));
  for (const [x, y] of fine) store.put("s", la.tileOf(wave, {z: 0, x, y}, 33));
  const plan = new la.Plan(store);
  const viewport = new la.Viewport([-1 / size, 1 / size], 2, size, size);
  plan.update({hash: "s", field: 0, scale: "linear", viewport, level: 0, allowed: null}, 0, 0);
  const lut = Uint8Array.from({length: 768}, (_, i) => 64 + Math.floor(i / 6));
  return {width: size, height: size, pixelRatio: 1, quads: plan.quads(viewport, 1, 0, 0, 0), lut, domain: [-1.3, 1.3],
          levels: [], background: [0, 0, 0], hatch: [0, 0, 0], desaturate: 0, relief, steep: 5.2 / size};
}

const changes = {
  none: (frame) => frame,
  dense: (frame) => ({...frame, pixelRatio: 2}),
  grey: (frame) => ({...frame, desaturate: 0.8, relief: 0}),
  // Each quarter shows the middle of its tile, on its way from the tile beside it, moved by a part of a pixel.
  blend: (frame) => ({...frame, quads: frame.quads.map((quad, at) => ({
    rect: quad.rect.map((edge) => edge * 0.9 + 7.3),
    from: {...frame.quads[at ^ 1].to, uv: [0, 0, 0.5, 0.5], offset: 0.25},
    to: {...quad.to, uv: [0.25, 0.25, 0.75, 0.75], offset: -0.25}, t: 0.4,
  }))}),
  // A tenth of a cell fills the picture.
  magnified: (frame) => ({...frame, quads: [{
    rect: [0, 0, frame.width, frame.height], from: null, t: 1, to: {...frame.quads[0].to, uv: [0.3, 0.3, 0.301, 0.301]},
  }]}),
};

function canvasOf(frame) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, {width: frame.width, height: frame.height});
  return canvas;
}

const picture = (kind, name, change, width, height) => bytes(kind, changes[change](scene(name, width, height)));

async function bytes(kind, frame) {
  const {width, height} = frame;
  const canvas = canvasOf(frame);
  const renderer = kind === "gl" ? la.createGlRenderer() : la.createCpuRenderer();
  const done = renderer.draw(frame, canvas.getContext("2d"));
  renderer.dispose();
  if (!done) throw new Error("not drawn");
  const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
  const reader = new FileReader();
  await new Promise((resolve) => {
    reader.onload = resolve;
    reader.readAsDataURL(new Blob([data]));
  });
  return reader.result.split(",")[1];
}
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("renderers") / "bundle.js"
    command = [
        ESBUILD,
        "--bundle",
        "--format=iife",
        "--global-name=la",
        "--log-level=warning",
        f"--outfile={out}",
    ]
    subprocess.run(command, input=ENTRY, text=True, check=True, cwd=JS)
    return out


@pytest.fixture
def page(chromium: Browser, bundle: Path) -> Iterator[Page]:
    page = chromium.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.add_script_tag(path=bundle)
    page.add_script_tag(content=HELPERS)
    yield page
    page.close()
    assert not problems


def pixels(page: Page, kind: str, name: str, change: str = "none", width: int = 720, height: int = 480):
    """(height, width, 3) integers, row 0 at the top."""
    data = page.evaluate("(args) => picture(...args)", [kind, name, change, width, height])
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3].astype(int)


@pytest.mark.parametrize("change", ["none", "dense", "grey", "blend", "magnified"])
@pytest.mark.parametrize("name", ["himmelblau", "rosenbrock", "hole"])
def test_both_renderers_draw_the_same_picture(page: Page, name: str, change: str) -> None:
    gl, cpu = pixels(page, "gl", name, change), pixels(page, "cpu", name, change)
    difference = np.abs(gl - cpu).max(axis=2)
    assert (
        difference.mean() < 0.7
    )  # the tables of colours and of shades are rounded differently: one step here and there
    assert np.quantile(difference, 0.99) <= 2
    assert (
        difference > 8
    ).mean() < 1e-3  # float32 puts a line elsewhere where the slope is nearly 0, and only there


@pytest.mark.parametrize("relief", [0, 1])
@pytest.mark.parametrize(
    "fine", [[[0, 0]], [[0, 0], [0, -1]], [[0, 0], [-1, -1]]], ids=["one", "two", "across"]
)
def test_no_border_shows_where_tiles_of_two_levels_meet(
    page: Page, fine: list[list[int]], relief: int
) -> None:
    """Four squares at a corner, some fine and some coarse: from pixel to pixel the picture changes by a step or two of 255."""
    size = 400
    images = []
    for kind in ("gl", "cpu"):
        data = page.evaluate("([kind, ...rest]) => bytes(kind, corner(...rest))", [kind, fine, relief, size])
        image = np.frombuffer(base64.b64decode(data), np.uint8).reshape(size, size, 4)[..., 0].astype(int)
        assert np.ptp(image) > 60
        for steps in (np.diff(image, axis=1)[:, 190:210], np.diff(image, axis=0)[190:210]):
            assert np.abs(steps).max() <= 3
        images.append(image)
    # Colours are rounded in tables on one side; light is at most a shade off.
    assert np.abs(images[0] - images[1]).max() <= 2


def test_tiles_leave_no_seam(page: Page) -> None:
    """Along the borders of the four tiles the picture changes from pixel to pixel no more than beside them."""
    image = pixels(page, "gl", "himmelblau", "none", 721, 481)
    across = np.abs(np.diff(image, axis=1)).mean(axis=(0, 2))
    assert across[359:361].max() < 1.5 * across[350:370].mean() + 0.5
    down = np.abs(np.diff(image, axis=0)).mean(axis=(1, 2))
    assert down[239:241].max() < 1.5 * down[230:250].mean() + 0.5


def test_a_hole_is_hatched_and_has_no_colour_of_the_map(page: Page) -> None:
    for kind in ("gl", "cpu"):
        image = pixels(page, kind, "hole")
        middle = image[200:280, 320:400].reshape(-1, 3)
        assert (np.ptp(middle, axis=1) <= 15).all()  # between background and hatch, which are greys
        assert {(245, 246, 248), (150, 155, 165)} <= set(map(tuple, middle.tolist()))


def test_many_maps_share_one_context_and_outlive_its_loss(page: Page) -> None:
    """Twenty maps and a second copy of the module: beyond 16 contexts the browser would drop the oldest."""
    outcome = page.evaluate("""async () => {
      const made = [];
      const original = OffscreenCanvas.prototype.getContext;
      OffscreenCanvas.prototype.getContext = function (...args) {
        const context = original.apply(this, args);
        if (!made.includes(context)) made.push(context);
        return context;
      };
      const renderers = Array.from({length: 20}, () => la.createGlRenderer());
      const frame = scene("himmelblau", 200, 100);
      const target = canvasOf(frame).getContext("2d");
      const drawn = () => renderers.map((renderer) => renderer.draw(frame, target));
      const first = drawn();
      const extension = made[0].getExtension("WEBGL_lose_context");
      extension.loseContext();
      const lost = [renderers[3].lost, ...drawn()];
      await new Promise((resolve) => setTimeout(resolve, 50));
      extension.restoreContext();
      for (let i = 0; i < 100 && renderers[3].lost; i++) await new Promise((resolve) => setTimeout(resolve, 50));
      const again = drawn();
      const colours = new Set(target.getImageData(0, 0, 200, 100).data).size;
      for (const renderer of renderers) renderer.dispose();
      const next = la.createGlRenderer();
      const fresh = next.draw(frame, target);
      return {contexts: made.length, first, lost, again, colours, fresh};
    }""")
    assert outcome["contexts"] == 2  # the second one came after all users of the first had gone
    assert all(outcome["first"] + outcome["again"] + [outcome["fresh"]])
    assert outcome["lost"] == [True] + [False] * 20
    assert outcome["colours"] > 50

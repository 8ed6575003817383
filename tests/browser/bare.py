"""A bare page with a host of a few lines: what the bundle may rely on wherever anywidget's front-end modules are run.

The kernel behind it is the memory source of the front end (js/src/source/memory.js): the page's own, without Python.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
JS = ROOT / "js"
STATIC = ROOT / "src" / "lossatlas" / "static"
ESBUILD = JS / "node_modules" / ".bin" / "esbuild"

SCENE: dict[str, Any] = {
    "title": "a bowl",
    "axes": [{"name": "random 1", "length": 0.31, "unit": "‖θ‖"}, {"name": "random 2"}],
    "fields": [{"name": "loss"}],
    "home": [-1, 1, -1, 1],
    "tile": 32,
    "z": [-20, 16],
    "dtype": "float64",
    "turns": {"u": "random 3", "v": "random 4", "offset": "random 5"},
    "notes": [],
}

# dialect: {buffers: "view" | "array" | "bytes", signal: whether the host hands out signals}.
HOST = """
const surface = () => (a, b) => 1 + a * a + 2 * b * b;

// Of a buffer, what a host hands out: a view into a larger one, an ArrayBuffer of its own, or bytes decoded from base64.
const handed = {
  view: ({buffer, byteOffset, byteLength}) => {
    const larger = new Uint8Array(byteLength + 13);
    larger.set(new Uint8Array(buffer, byteOffset, byteLength), 5);
    return new DataView(larger.buffer, 5, byteLength);
  },
  array: ({buffer, byteOffset, byteLength}) => buffer.slice(byteOffset, byteOffset + byteLength),
  bytes: ({buffer, byteOffset, byteLength}) => {
    const text = Array.from(new Uint8Array(buffer, byteOffset, byteLength), (byte) => String.fromCharCode(byte)).join("");
    return Uint8Array.from(atob(btoa(text)), (character) => character.charCodeAt(0));
  },
};

class Host {
  constructor(scene, dialect, traits = {}) {
    this.dialect = dialect;
    this.values = {view: {center: [0, 0], span: 2}, theme: "light", renderer: "auto", scale: "linear", height: 360,
                   field: "loss", turn_u: 0, turn_v: 0, offset: 0, ...traits};
    this.listeners = new Map();
    this.sent = [];
    this.kernel = memory.memoryKernel({surface, scene, delay: 5, reply: (head, buffers) => setTimeout(() => {
      this.tell("msg:custom", JSON.parse(JSON.stringify(head)), buffers.map(handed[dialect.buffers]));
    }, 1)});
  }
  // Each call is another object, with nothing on it that the contract does not name.
  proxy() {
    return {
      get: (name) => this.values[name],
      set: (name, value) => { this.values[name] = value; this.tell(`change:${name}`, value); },
      save_changes: () => {},
      send: (content, callbacks, buffers) => {
        const head = JSON.parse(JSON.stringify(content));
        this.sent.push(head);
        if (head.k !== "part") return this.kernel.receive(head);
        const bytes = new TextEncoder().encode(parts[head.name]);
        const answer = {v: 1, k: "part", client: head.client, req: head.req, name: head.name};
        setTimeout(() => this.tell("msg:custom", answer, [handed[this.dialect.buffers](new DataView(bytes.buffer))]), 1);
      },
      on: (name, callback) => {
        if (!this.listeners.has(name)) this.listeners.set(name, new Set());
        this.listeners.get(name).add(callback);
      },
      off: (name, callback) => this.listeners.get(name)?.delete(callback),
      widget_manager: {},
    };
  }
  tell(name, ...args) {
    for (const callback of [...(this.listeners.get(name) ?? [])]) callback(...args);
  }
  async open() {
    const url = URL.createObjectURL(new Blob([bundle], {type: "text/javascript"}));
    this.widget = await (await import(url)).default();
    const controller = new AbortController();
    const signal = this.dialect.signal ? {signal: controller.signal} : {};
    const cleanup = await this.widget.initialize({model: this.proxy(), ...signal});
    this.close = this.dialect.signal ? () => controller.abort() : cleanup;
    return this;
  }
  async show() {
    const el = document.createElement("div");
    const controller = new AbortController();
    const signal = this.dialect.signal ? {signal: controller.signal} : {};
    const cleanup = await this.widget.render({model: this.proxy(), el, ...signal});
    document.querySelector("main").append(el);
    return this.dialect.signal ? () => controller.abort() : cleanup;
  }
}
"""

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>bare</title><style>{style}</style>
<body style="margin: 0"><main style="padding: 16px"></main>"""


def memory_bundle() -> str:
    """The memory source as a script that defines `memory`."""
    entry = 'export {memoryKernel} from "./src/source/memory.js";'
    command = [ESBUILD, "--bundle", "--format=iife", "--global-name=memory", "--log-level=warning"]
    done = subprocess.run(command, input=entry, text=True, check=True, cwd=JS, capture_output=True)
    return done.stdout


def open_bare(
    browser: Browser, said: list[str], viewport: tuple[int, int] = (1000, 900), **options: Any
) -> Page:
    """A page in which `new Host(scene, dialect)` can be opened; what it complains of goes into `said`."""
    page = browser.new_page(viewport={"width": viewport[0], "height": viewport[1]}, **options)
    page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_content(PAGE.replace("{style}", (STATIC / "widget.css").read_text()))
    texts = {"bundle": (STATIC / "widget.js").read_text()}
    parts = {path.stem: path.read_text() for path in STATIC.glob("*.js") if path.stem != "widget"}
    page.add_script_tag(content=memory_bundle())
    page.add_script_tag(content=f"const {{bundle}} = {json.dumps(texts)}; const parts = {json.dumps(parts)};")
    page.add_script_tag(content=HOST)
    return page

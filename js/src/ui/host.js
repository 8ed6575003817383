// What the parts of the front end get of the view that they are opened in, and what they give back: types alone.

/**
 * @typedef {import("../viewport.js").Viewport} Viewport
 * @typedef {{left: number, top: number, right: number, bottom: number}} Room
 *
 * @typedef {object} Host
 * @property {AbortSignal} signal the view has gone
 * @property {HTMLElement} root of the card
 * @property {HTMLElement} map with its axes and its bar
 * @property {HTMLElement} area of the map without them, under whose canvas parts draw
 * @property {HTMLElement} sliders
 * @property {import("../session.js").Session} session
 * @property {import("../panes/map.js").MapPane} pane
 * @property {import("./header.js").Header} header
 * @property {import("./bar.js").Bar} bar
 * @property {import("./status.js").StatusLine} status
 * @property {import("./readout.js").Readout} readout
 * @property {typeof import("../render/shade.js").LOOK} lines how isolines are drawn
 * @property {(at: {left: number, top: number}) => SVGElement} axes new ones, around an area that lies there in their picture
 * @property {import("./gestures.js").Hands} hands what gestures and buttons do, to be replaced by what does it better
 * @property {(change: (view: Viewport) => Viewport) => void} look show another view, at once
 * @property {(more: Partial<Room>) => void} reserve room between the map and its top axis or its bar, CSS pixels
 * @property {(pixels?: [number, number]) => void} press measure a point, without one that in the middle
 * @property {(text: string, ms?: number) => void} hint a word over the map
 * @property {(text: string) => void} announce a word to whoever does not see the map
 *
 * @typedef {object} Piece
 * @property {() => void} [draw] after each frame of the map
 * @property {(what: import("../session.js").Change) => void} [changed]
 */

export {};

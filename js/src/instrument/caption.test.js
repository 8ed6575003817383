import {expect, test} from "vitest";
import {captionOf, fileName} from "./caption.js";

/** @type {import("../protocol.js").Scene} */
const scene = {
  ...{
    hash: "7f3a91c0ffee",
    title: "digits MLP",
    fields: [{name: "loss"}],
    home: [-1, 1, -1, 1],
    tile: 32,
    z: [-20, 16],
  },
  ...{dtype: "float32", samples: 1797, notes: ["eval mode"]},
  axes: [
    {name: "random 1", length: 0.31, unit: "‖θ‖", about: "seed 0, filter-normalised"},
    {name: "random 2", length: 0.3, unit: "‖θ‖", about: "random 2"},
  ],
};
const facts = {
  ...{scene, field: "loss", scale: "log", view: {center: [0.25, -1], span: 2, width: 400}},
  ...{error: "1 089 of 4 225 nodes, rest within ± 1.2 %", said: ""},
};

test("a caption says what is shown, where, how wrong it may be, and how to make it again", () => {
  expect(captionOf(facts)).toBe(
    "digits MLP: a slice, all 1797 samples. u: random 1 (seed 0, filter-normalised); 1 on its axis is 0.310 ‖θ‖. " +
      "v: random 2; 1 on its axis is 0.300 ‖θ‖. eval mode. Recipe 7f3a91c0ffee. " +
      "Shown: loss on a log scale, 2.00 wide in a, centred at (0.250, −1.000). 1 089 of 4 225 nodes, rest within ± 1.2 %. " +
      "Made with lossatlas.",
  );
});

test("what the kernel says of the plane stands for what the page knows of it", () => {
  const text = captionOf({...facts, said: "digits MLP: the loss on the plane. Recipe 7f3a."});
  expect(text.startsWith("digits MLP: the loss on the plane. Recipe 7f3a. Shown: loss")).toBe(true);
  expect(text).not.toContain("random 1");
});

test("files have names that any system takes, whatever the title is", () => {
  expect(fileName(scene, "loss", "svg")).toBe("digits-MLP-loss-7f3a91c.svg");
  expect(fileName({...scene, title: "../a<b>:c\u0000 é."}, "λ max", "png")).toBe("a-b-c-é-λ-max-7f3a91c.png");
  expect(fileName({...scene, title: ""}, "loss", "png")).toBe("landscape-loss-7f3a91c.png");
  expect(fileName({...scene, title: "x".repeat(400)}, "loss", "png").length).toBeLessThan(90);
});

// The shader: shade.js once more, in GLSL.
import {MAX_LEVELS} from "../ladder.js";
import {RELIEF} from "../render/relief.js";
import {LOOK} from "../render/shade.js";
import {SIZE} from "../spline.js";

/** What a non-finite number is in a texture: the comparisons that would detect NaN may be optimised away by a driver. */
export const HOLE = 3e38;

export const VERTEX = `#version 300 es
uniform vec4 uRect;  // x0, y0, x1, y1 in whole pixels, y down
uniform vec2 uSize;
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  vec2 at = mix(uRect.xy, uRect.zw, corner) / uSize;
  gl_Position = vec4(2.0 * at.x - 1.0, 1.0 - 2.0 * at.y, 0.0, 1.0);
}`;

/** @param {number} x */
const float = (x) => (Number.isInteger(x) ? `${x}.0` : `${x}`);

export const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;

uniform sampler2D uTo, uFrom, uLut;
uniform vec4 uRect;
uniform float uTop;           // height of the drawing buffer: gl_FragCoord counts from its bottom
uniform ivec2 uToCell, uFromCell;
uniform vec4 uToWalk, uFromWalk;  // first pixel's place in that cell, step per pixel
uniform vec2 uOffset;         // of to, of from
uniform float uT;             // 1 when there is no from
uniform vec2 uDomain;         // lowest, 1 / (highest - lowest)
uniform float uRatio, uDesaturate;
uniform vec2 uRelief;         // how strong it is, and what turns a slope per pixel into one that is 1 at 45 degrees
uniform vec3 uBackground, uHatch;
uniform int uCount;
uniform vec4 uLevel[${MAX_LEVELS}];  // value, half width in pixels, alpha, 1 for a major one
uniform float uLoneGap;
out vec4 colour;

float coverage(float distance, float halfWidth) {
  return max(0.0, min(distance + 0.5, halfWidth) - max(distance - 0.5, -halfWidth));
}

// From one knot to the next, at a knot: see relief.js.
float changeAt(sampler2D grid, ivec2 at, ivec2 along) {
  int place = at.x * along.x + at.y * along.y;
  int p = place - clamp(place - 1, 0, ${SIZE - 3});
  ivec2 first = at - p * along;
  return (float(p) - 1.5) * texelFetch(grid, first, 0).r + float(2 - 2 * p) * texelFetch(grid, first + along, 0).r
    + (float(p) - 0.5) * texelFetch(grid, first + 2 * along, 0).r;
}

float lightAt(sampler2D grid, ivec2 at, vec2 perChange) {
  vec2 rise = perChange * vec2(changeAt(grid, at, ivec2(1, 0)), changeAt(grid, at, ivec2(0, 1)));
  float square = dot(rise, rise);
  return square < 1e30 ? (rise.x + rise.y) * ${Math.SQRT1_2} / sqrt(1.0 + square) : 0.0;
}

// Drawn value, its slope per pixel in x and y, and the light on it.
vec4 read(sampler2D grid, ivec2 firstCell, vec4 walk, float offset, vec2 pixel) {
  vec2 at = walk.xy + pixel * walk.zw;
  ivec2 cell = clamp(firstCell + ivec2(floor(at)), ivec2(0), ivec2(${SIZE - 2}));
  ivec2 up = cell + ivec2(0, 1);
  ivec2 right = ivec2(1, 0);
  vec2 f = clamp(at - vec2(cell - firstCell), 0.0, 1.0);
  float v00 = texelFetch(grid, cell, 0).r;
  float v10 = texelFetch(grid, cell + right, 0).r;
  float v01 = texelFetch(grid, up, 0).r;
  float v11 = texelFetch(grid, up + right, 0).r;
  if (max(max(v00, v10), max(v01, v11)) > 1e38) return vec4(${HOLE.toExponential()}, 0.0, 0.0, 0.0);
  float twist = v11 - v10 - v01 + v00;
  float climb = v01 - v00;
  float rise = v10 - v00 + f.y * twist;
  float light = 0.0;
  if (uRelief.x * uRelief.y > 0.0) {
    vec2 perChange = walk.zw * uRelief.y;
    light = mix(
      mix(lightAt(grid, cell, perChange), lightAt(grid, cell + right, perChange), f.x),
      mix(lightAt(grid, up, perChange), lightAt(grid, up + right, perChange), f.x), f.y);
  }
  return vec4(v00 + f.y * climb + offset + f.x * rise, rise * walk.z, (climb + f.x * twist) * walk.w, light);
}

int levelsBelow(float value) {
  int low = 0;
  int high = uCount;
  for (int i = 0; i < 7 && low < high; i++) {
    int middle = (low + high) / 2;
    if (uLevel[middle].x <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

float lineAlpha(float value, float slope) {
  int below = levelsBelow(value);
  float gap = uLoneGap;
  if (uCount > 1) {
    int upper = clamp(below, 1, uCount - 1);
    gap = uLevel[upper].x - uLevel[upper - 1].x;
  }
  float steepness = slope * uRatio / gap;
  float firm = clamp((steepness - ${float(LOOK.plateau)}) / ${float(LOOK.plateauEnd - LOOK.plateau)}, 0.0, 1.0);
  float shown = 0.0;
  for (int k = max(below - 1, 0); k <= below && k < uCount; k++) {
    vec4 level = uLevel[k];
    float distance = abs(level.x - value);
    if (distance >= slope * (level.y + 0.5)) continue;
    float apart = (1.0 + level.w * ${float(LOOK.majorEvery - 1)}) / steepness;
    float strength = clamp((apart - ${float(LOOK.crowded)}) / ${float(LOOK.crowdedFade)}, 0.0, 1.0);
    shown = max(shown, coverage(distance / slope, level.y) * level.z * strength * firm);
  }
  return shown;
}

void main() {
  vec2 place = vec2(gl_FragCoord.x, uTop - gl_FragCoord.y) - 0.5;
  vec2 pixel = place - uRect.xy;
  vec4 drawn = read(uTo, uToCell, uToWalk, uOffset.x, pixel);
  if (drawn.x > 1e38) {
    float period = ${float(LOOK.hatchPeriod)} * uRatio;
    float along = mod(place.x + place.y + 0.5, period);
    float stripe = coverage(abs(along - period / 2.0) * ${Math.SQRT1_2}, ${float(LOOK.hatchWidth)} * uRatio / 2.0);
    colour = vec4(mix(uBackground, uHatch, stripe), 1.0);
    return;
  }
  if (uT < 1.0) {
    vec4 old = read(uFrom, uFromCell, uFromWalk, uOffset.y, pixel);
    if (old.x < 1e38) drawn = mix(old, drawn, uT);
  }
  float t = clamp((drawn.x - uDomain.x) * uDomain.y, 0.0, 1.0);
  vec3 c = texture(uLut, vec2((t * 255.0 + 0.5) / 256.0, 0.5)).rgb;
  c = mix(c, vec3(dot(c, vec3(0.2126, 0.7152, 0.0722))), uDesaturate);
  float light = uRelief.x * drawn.w;
  c += light * (light > 0.0 ? ${float(RELIEF.light)} * (1.0 - c) : ${float(RELIEF.shade)} * c);
  colour = vec4(mix(c, vec3(1.0), lineAlpha(drawn.x, length(drawn.yz))), 1.0);
}`;

"""The small picture beside the map."""

import struct
import zlib

import numpy as np
import torch

import lossatlas as la
from lossatlas.widget.picture import colours, encode_png, home_png
from tests.widget.helpers import landscape


def decode_png(data):
    """The pixels of a PNG with one IDAT chunk and filter 0: another route than the encoder's."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + size
    columns, rows = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(rows, 1 + 3 * columns)
    assert (lines[:, 0] == 0).all()
    return lines[:, 1:].reshape(rows, columns, 3)


def evaluated(f):
    surface = landscape(f)
    for _ in surface.work(surface.home_pass()):
        pass
    return surface


def test_a_png_is_read_back_as_it_was():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert (decode_png(encode_png(pixels)) == pixels).all()


def test_the_picture_has_the_highest_b_at_the_top_and_the_lowest_a_at_the_left():
    pixels = decode_png(home_png(evaluated(lambda theta: 10 + theta[0] + 5 * theta[1]))).astype(int)
    assert pixels.shape == (257, 257, 3)
    green = pixels[..., 1]  # the one channel of viridis that only rises
    assert green[-1, 0] < green[-1, -1] < green[0, 0] < green[0, -1]


def test_there_is_no_picture_before_the_first_pass():
    assert home_png(landscape()) is None


def test_what_is_not_finite_is_grey_and_no_colour_of_the_map():
    pixels = colours(np.array([[0.0, np.nan], [1.0, np.inf]]))
    assert pixels[0, 1].tolist() == pixels[1, 1].tolist() == [128, 128, 128]
    assert pixels[0, 0].tolist() == [68, 1, 84]  # the ends of viridis
    assert pixels[1, 0].tolist() == [253, 231, 37]


def test_a_map_of_nothing_finite_is_grey():
    picture = home_png(evaluated(lambda theta: theta.sum() * torch.nan))
    assert (decode_png(picture) == 128).all()


def test_a_profile_is_a_curve_whose_gaps_are_grey():
    objective = la.Objective.from_function(
        lambda t: torch.where(t[0] > 0.5, torch.nan, (t**2).sum()), torch.zeros(2, dtype=torch.float64)
    )
    surface = la.Landscape(objective, la.Line(objective.theta, torch.tensor([1.0, 0.0]).double()))
    assert home_png(surface) is None
    for _ in surface.work(surface.home_pass(17)):
        pass
    pixels = decode_png(home_png(surface)).astype(int)
    assert pixels.shape == (193, 385, 3)
    inside = pixels[1:-1, 1:-1]
    red = inside[..., 0].argmin(axis=0)  # the row of the line: the one colour that is not bright
    a = np.linspace(-1, 1, 385)[1:-1]
    drawn = a <= 0.5 + 1e-9
    expected = 8 + (1 - a[drawn] ** 2) * (192 - 16) - 1
    assert np.abs(red[drawn] - expected).max() < 2  # a line of two pixels, and steep at the left
    assert (inside[:, ~drawn] == (200, 204, 210)).all()

"""Which piece of work comes next."""

import dataclasses

import pytest
import torch

from lossatlas.geometry import TileAddress
from lossatlas.widget.agenda import Agenda
from lossatlas.widget.protocol import Tolerance, View, Want
from tests.widget.helpers import landscape

VIEW = View((0.0, 0.0), 2.0, 480.0, 480.0)


def want(tiles, client="page", view=VIEW, rev=1):
    addresses = tuple(TileAddress(*tile) for tile in tiles)
    return Want(client, 1, rev, view, ("loss",), addresses, 64, 0)


def exhaust(agenda):
    """All pieces in order: (tile, number of nodes); every piece is taken for done at once."""
    order = []
    while (piece := agenda.next()) is not None:
        (address, layer), points = piece
        for _ in agenda.landscape.work(points, layer):
            pass
        agenda.done((address, layer))
        order.append((address, len(points)))
    return order


def test_200_lists_leave_one_list_of_work():
    agenda = Agenda(landscape())
    for rev in range(200):
        agenda.want(want([(4, rev, 0)], rev=rev, view=View((rev / 16, 0.0), 2.0, 480.0, 480.0)))
    assert {address for address, _ in exhaust(agenda)} == {TileAddress(4, 199, 0)}


def test_every_tile_gets_its_coarse_passes_before_any_gets_its_fine_ones():
    agenda = Agenda(landscape())
    agenda.want(want([(0, 0, 0), (0, -1, 0)]))
    order = exhaust(agenda)
    assert [n for _, n in order[:4]] == [9, 9, 20, 20]  # 3 × 3, then what 5 × 5 adds, with the checks
    assert [address.x for address, _ in order[:4]] == [0, -1, 0, -1]


def test_a_tile_out_of_view_waits_for_those_in_view():
    agenda = Agenda(landscape())
    agenda.want(want([(0, 7, 7), (0, 0, 0)]))
    order = [address for address, _ in exhaust(agenda)]
    assert order.index(TileAddress(0, 7, 7)) > max(i for i, address in enumerate(order) if address.x == 0)


def test_beyond_the_home_view_only_the_coarse_passes_come_early():
    agenda = Agenda(landscape())
    wide = View((0.0, 0.0), 6.0, 480.0, 480.0)
    agenda.want(want([(0, 1, 0), (0, 0, 0)], view=wide))
    order = exhaust(agenda)
    beyond = [i for i, (address, _) in enumerate(order) if address.x == 1]
    home_done = max(i for i, (address, _) in enumerate(order) if address.x == 0)
    assert sum(i < home_done for i in beyond) == 2  # 3 × 3 and 5 × 5


def test_two_pages_do_not_cancel_each_other():
    agenda = Agenda(landscape())
    agenda.want(want([(0, 0, 0)], client="one"))
    agenda.want(want([(0, -1, -1)], client="two"))
    assert {address for address, _ in exhaust(agenda)} == {TileAddress(0, 0, 0), TileAddress(0, -1, -1)}


def test_a_piece_given_up_half_way_is_still_on_the_agenda():
    agenda = Agenda(landscape())
    agenda.want(want([(0, 0, 0)]))
    first = agenda.next()
    agenda.want(want([(0, 0, 0)], rev=2))
    assert agenda.next() == first


def test_a_list_made_anew_while_nodes_are_evaluated_loses_none_of_them():
    agenda = Agenda(landscape())
    agenda.want(want([(0, 0, 0)]))
    (address, layer), points = agenda.next()
    for _ in agenda.landscape.work(points):
        pass
    agenda.drop("page")
    agenda.want(want([(0, 0, 0)], rev=2))  # begins with the next piece, of which nothing is known
    agenda.done((address, layer))
    exhaust(agenda)
    assert agenda.landscape.known(address).complete


def test_a_tile_that_fails_is_left_out():
    agenda = Agenda(landscape())
    agenda.want(want([(0, 0, 0)]))
    agenda.fail((TileAddress(0, 0, 0), "loss"))
    agenda.want(want([(0, 0, 0)], rev=2))
    assert agenda.next() is None


def test_a_silent_page_is_forgotten(monkeypatch):
    agenda = Agenda(landscape())
    agenda.want(want([(0, 0, 0)]))
    listed, heard = agenda.wants["page"]
    agenda.wants["page"] = (listed, heard - 16.0)
    assert agenda.next() is None
    assert agenda.queue == 0


@pytest.mark.parametrize(("center", "shown"), [((0.0, 0.0), True), ((2.0, 0.0), False), ((1.99, 0.0), True)])
def test_a_view_shows_the_tiles_it_overlaps(center, shown):
    assert dataclasses.replace(VIEW, center=center).shows(TileAddress(0, 0, 0)) is shown


# Tolerance.


def tolerant(tiles, error, share=0.01, scale="linear", **more):
    return dataclasses.replace(want(tiles, **more), tolerance=Tolerance(share, scale, error))


def test_a_tile_is_left_as_soon_as_its_stated_error_is_within_the_tolerance():
    agenda = Agenda(landscape())
    agenda.want(tolerant([(2, 0, 0), (2, 1, 0)], 1e-3))
    order = exhaust(agenda)
    for x in (0, 1):
        found = agenda.landscape.known(TileAddress(2, x, 0))
        assert found.error.value <= 1e-3
        assert found.nodes < 33
    assert sum(n for _, n in order) < 200


def test_a_smaller_tolerance_goes_on_where_the_larger_one_stopped():
    agenda = Agenda(landscape())
    agenda.want(tolerant([(1, 0, 0)], 1e-2))
    few = sum(n for _, n in exhaust(agenda))
    agenda.want(tolerant([(1, 0, 0)], 1e-5, rev=2))
    more = sum(n for _, n in exhaust(agenda))
    assert more > 0
    assert agenda.landscape.known(TileAddress(1, 0, 0)).error.value <= 1e-5
    agenda.want(tolerant([(1, 0, 0)], 1e-2, rev=3))
    assert exhaust(agenda) == []
    assert few + more < 33 * 33


def test_who_wants_every_node_gets_it_whatever_the_others_allow():
    agenda = Agenda(landscape())
    agenda.want(tolerant([(1, 0, 0), (1, 1, 0)], 10.0, client="tolerant"))
    agenda.want(want([(1, 0, 0)], client="exact"))
    exhaust(agenda)
    assert agenda.landscape.known(TileAddress(1, 0, 0)).complete
    assert not agenda.landscape.known(TileAddress(1, 1, 0)).complete


def test_while_the_page_knows_no_range_it_is_that_of_what_is_known():
    agenda = Agenda(landscape())
    tiles = [(0, -1, -1), (0, 0, -1), (0, -1, 0), (0, 0, 0)]
    agenda.want(tolerant(tiles, None, share=0.05))
    exhaust(agenda)
    # The bowl spans a ratio of more than 20, so that a page draws it on a log scale, unless it touches zero.
    for tile in tiles:
        found = agenda.landscape.known(TileAddress(*tile))
        assert found.error.value <= 0.05 * 3
        assert not found.complete


def test_on_a_log_scale_the_error_of_the_logarithm_counts():
    agenda = Agenda(landscape(lambda t: torch.exp(4 * t[0] ** 2)))
    agenda.want(tolerant([(0, 0, 0)], 1e-6, scale="log"))
    assert sum(n for _, n in exhaust(agenda)) <= 41 + 4  # a parabola, on that scale


def test_noise_is_refined_no_further():
    agenda = Agenda(landscape(lambda t: 1e6 + 1e-12 * torch.sin(50 * t[0])))
    agenda.want(tolerant([(0, 0, 0)], 1e-14))
    assert sum(n for _, n in exhaust(agenda)) == 25 + 4


def test_curvature_is_evaluated_at_few_nodes_beside_the_losss_many():
    agenda = Agenda(landscape())
    agenda.want(want([(0, 0, 0)]))
    other = dataclasses.replace(want([(0, 0, 0)], client="other"), fields=("lambda_max",))
    agenda.want(other)
    assert agenda.fields == ("loss", "lambda_max")
    order = exhaust(agenda)
    counts = [n for address, n in order]
    assert sum(counts) == (33 * 33 + 4) + (5 * 5 + 4)
    assert agenda.landscape.known(TileAddress(0, 0, 0), "lambda_max").nodes == 5
    assert agenda.landscape.known(TileAddress(0, 0, 0)).nodes == 33

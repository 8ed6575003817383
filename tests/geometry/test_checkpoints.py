"""A folder of checkpoints as a trajectory: which files, in which order, and what is said of those that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from tests.zoo import F, classification, flat, mlp


def save(folder: Path, name: str, seed: int = 0, wrap: str | None = None, **more: Any) -> None:
    state = mlp(6, 5, 3, seed=seed).state_dict()
    torch.save({wrap: state, "epoch": seed, **more} if wrap else state, folder / name)


def test_files_come_in_the_order_of_their_numbers_which_are_the_steps(tmp_path: Path) -> None:
    for step in (100, 20, 3):
        save(tmp_path, f"net-v2-step{step}.pt", seed=step)
    (tmp_path / "notes.txt").write_text("no checkpoint")
    found = la.Trajectory.from_folder(tmp_path)
    assert found.steps.tolist() == [3, 20, 100]
    for step, row in zip(found.steps, found.thetas, strict=True):
        assert torch.equal(row, flat(mlp(6, 5, 3, seed=int(step))))


@pytest.mark.parametrize("wrap", ["state_dict", "model_state_dict", "model", None])
def test_the_state_dict_is_found_where_it_usually_lies(tmp_path: Path, wrap: str | None) -> None:
    for step in range(3):
        save(tmp_path, f"{step}.ckpt", seed=step, wrap=wrap)
    assert torch.equal(la.Trajectory.from_folder(tmp_path).last, flat(mlp(6, 5, 3, seed=2)))


def test_where_it_lies_elsewhere_one_says_so(tmp_path: Path) -> None:
    for step in range(3):
        save(tmp_path, f"{step}.pt", seed=step, wrap="weights of the network")
    found = la.Trajectory.from_folder(
        tmp_path, state=lambda loaded: loaded["weights of the network"], losses=[3, 1, 2]
    )
    assert torch.equal(found.best, flat(mlp(6, 5, 3, seed=1)))


def test_a_pattern_chooses_and_files_without_numbers_come_by_name(tmp_path: Path) -> None:
    for name in ("first.pt", "later.pt", "other.pth"):
        save(tmp_path, name)
    assert len(la.Trajectory.from_folder(tmp_path, "*.pt")) == 2
    assert la.Trajectory.from_folder(tmp_path).steps.tolist() == [0, 1, 2]


def test_checkpoints_of_another_model_are_named_with_the_tensor(tmp_path: Path) -> None:
    save(tmp_path, "1.pt")
    torch.save(mlp(6, 7, 3).state_dict(), tmp_path / "2.pt")
    with pytest.raises(
        ValueError, match=r"differ in the tensor '0.weight': 1.pt has \(5, 6\), 2.pt has \(7, 6\)"
    ):
        la.Trajectory.from_folder(tmp_path)
    state = mlp(6, 5, 3).state_dict()
    del state["2.bias"]
    torch.save(state, tmp_path / "2.pt")
    with pytest.raises(ValueError, match=r"'2.bias': 1.pt has \(3,\), 2.pt lacks it"):
        la.Trajectory.from_folder(tmp_path)


def test_what_is_no_checkpoint_is_said_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no checkpoint"):
        la.Trajectory.from_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        la.Trajectory.from_folder(tmp_path / "elsewhere")
    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ValueError, match=r"broken\.pt cannot be read as a checkpoint"):
        la.Trajectory.from_folder(tmp_path)


def test_a_file_that_is_there_is_not_written_over_by_a_cache(tmp_path: Path) -> None:
    torch.save(mlp(6, 5, 3).state_dict(), tmp_path / "1.pt")
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(FileExistsError, match=r"notes\.txt' exists already"):
        la.Trajectory.from_folder(tmp_path, cache=notes)
    assert notes.read_text() == "mine"


def test_a_number_may_be_the_folders_and_what_has_none_is_left_out(tmp_path: Path) -> None:
    for step in (9, 12, 3):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        torch.save({"a": torch.full((2,), float(step))}, folder / "model.pt")
    found = la.Trajectory.from_folder(tmp_path, pattern="*/model.pt")
    assert found.steps.tolist() == [3, 9, 12]
    assert found.thetas[:, 0].tolist() == [3, 9, 12]
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in ("epoch10", "epoch20", "last"):
        torch.save({"a": torch.ones(2)}, flat / f"{name}.pt")
    with pytest.warns(RuntimeWarning, match="last.pt has no number, as others in"):
        assert la.Trajectory.from_folder(flat).steps.tolist() == [10, 20]
    assert la.Trajectory.from_folder(flat, steps=[10, 20, 30]).steps.tolist() == [10, 20, 30]


def test_what_cannot_be_a_checkpoint_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "1.pt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1\.pt cannot be read as a checkpoint: \w"):
        la.Trajectory.from_folder(tmp_path)
    recorder = la.Recorder(mlp(6, 5, 3), path=tmp_path / "run")
    recorder.step(1.0)
    recorder.close()
    with pytest.raises(ValueError, match="a folder that a Recorder has written. Pass it to Trajectory.load"):
        la.Trajectory.from_folder(tmp_path / "run", pattern="*")
    for steps, words in (([0.5, 1.5], "steps holds 0.5, which is no whole"), (["a", "b"], "steps is")):
        with pytest.raises(ValueError, match=words):
            la.Trajectory.from_states([torch.ones(2), torch.ones(2)], steps=steps)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="The steps do not ascend: 3 is followed by 1"):
        la.Trajectory.from_states([torch.ones(2)] * 3, steps=[0, 3, 1])


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("this must not run",))


def test_nothing_is_unpickled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weight": Evil()}, tmp_path / "1.pt")
    with pytest.raises(ValueError, match=r"1\.pt cannot be read"):
        la.Trajectory.from_folder(tmp_path)
    assert capsys.readouterr().out == ""


def test_a_plane_of_several_runs_holds_them_together() -> None:
    data = classification(40)
    objective = la.Objective(mlp(6, 5, 3), F.cross_entropy, data)
    steps = [torch.randn(30, 53, generator=torch.Generator().manual_seed(k)).cumsum(0) for k in (0, 1)]
    runs = [la.Trajectory.from_states(list(one)) for one in steps]
    both = la.Plane.pca(objective, runs)
    joined = torch.cat(steps).double()
    values = torch.linalg.svdvals(joined - joined.mean(dim=0)).square()
    np.testing.assert_allclose(both.variance_explained, (values / values.sum())[:2], rtol=1e-6)
    assert both.points == ()
    # Two walks from one start, by their covariance: a draw of many dimensions comes close.
    wide = torch.randn(2, 40, 20_000, generator=torch.Generator().manual_seed(2)).cumsum(1)
    wide = torch.cat([torch.cat([torch.zeros(1, 20_000), one[:-1]]) for one in wide]).double()
    drawn = torch.linalg.svdvals(wide - wide.mean(dim=0)).square()
    from lossatlas.geometry.principal import random_walks_shares

    np.testing.assert_allclose(random_walks_shares([40, 40])[:2], (drawn / drawn.sum())[:2], atol=0.01)

"""A checkpoint that is half written must never be trained on from."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from llm_assets.training.checkpoints import checkpoint_name, file_digest, is_whole, latest_whole, retain, seal


def written(folder: Path, content: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_text(content)
    (folder / "training_args.bin").write_text("a pickle")
    return folder


def checkpoints(folder: Path, *steps: int) -> Path:
    for step in steps:
        seal(written(folder / f"pending-{step}", str(step)), folder / "all" / checkpoint_name(step))
    return folder / "all"


def test_a_sealed_folder_is_whole_and_holds_no_pickle(tmp_path: Path) -> None:
    folder = checkpoints(tmp_path, 5) / checkpoint_name(5)
    assert is_whole(folder)
    assert not (folder / "training_args.bin").exists()


@pytest.mark.parametrize("damage", ["changed", "cut", "missing", "unsealed"])
def test_damage_is_noticed(tmp_path: Path, damage: str) -> None:
    folder = checkpoints(tmp_path, 5) / checkpoint_name(5)
    file = folder / ("COMPLETE.json" if damage == "unsealed" else "weights.safetensors")
    match damage:
        case "changed":
            file.write_text("6")
        case "cut":
            file.write_text("")
        case _:
            file.unlink()
    assert not is_whole(folder)


def test_the_one_before_is_used_when_the_last_is_broken(tmp_path: Path) -> None:
    folder = checkpoints(tmp_path, 9, 10, 100)
    (folder / checkpoint_name(100) / "weights.safetensors").write_text("broken")
    said: list[str] = []
    assert latest_whole(folder, said.append) == folder / checkpoint_name(10)
    assert not (folder / checkpoint_name(100)).exists()
    assert (folder / f"broken-{checkpoint_name(100)}" / "weights.safetensors").read_text() == "broken"
    assert "kept as broken-checkpoint-00000100" in said[0]
    assert latest_whole(tmp_path / "none") is None


def test_what_cannot_be_read_just_now_is_not_taken_for_broken(tmp_path: Path) -> None:
    folder = checkpoints(tmp_path, 9, 10)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limit[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            is_whole(folder / checkpoint_name(10))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert latest_whole(folder) == folder / checkpoint_name(10)


def test_two_are_kept(tmp_path: Path) -> None:
    folder = checkpoints(tmp_path, 9, 10, 100)
    retain(folder)
    assert sorted(path.name for path in folder.iterdir()) == [checkpoint_name(10), checkpoint_name(100)]


def test_sealing_again_replaces(tmp_path: Path) -> None:
    target = checkpoints(tmp_path, 5) / checkpoint_name(5)
    seal(written(tmp_path / "again", "new"), target)
    assert (target / "weights.safetensors").read_text() == "new"
    assert is_whole(target)


def test_weights_are_read_once_and_again_when_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, read = checkpoints(tmp_path, 5) / checkpoint_name(5), list[Path]()

    def reading(path: Path) -> str:
        read.append(path)
        return file_digest(path)

    monkeypatch.setattr("llm_assets.training.checkpoints.file_digest", reading)
    assert is_whole(folder)
    assert is_whole(folder)
    assert len(read) == 1
    (folder / "weights.safetensors").write_text("6")
    assert not is_whole(folder)

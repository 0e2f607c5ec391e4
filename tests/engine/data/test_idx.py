"""MNIST's file format: what it says is checked against what is there, and twins of the real sets load."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from engine.data import Cancelled, DataError, idx, load, options, store


def header(*shape: int, kind: int = 8) -> bytes:
    return bytes((0, 0, kind, len(shape))) + b"".join(side.to_bytes(4, "big") for side in shape)


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def twin(folder: Path, ending: str = "", train: int = 30, test: int = 12) -> dict[str, np.ndarray]:
    """A small set in MNIST's layout, its pixels random."""
    random = np.random.RandomState(0)
    made = {}
    for name, n in (("train", train), ("t10k", test)):
        pictures = random.randint(0, 256, (n, 28, 28)).astype(np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        put(folder / f"{name}-images-idx3-ubyte{ending}", header(n, 28, 28) + pictures.tobytes())
        put(folder / f"{name}-labels-idx1-ubyte{ending}", header(n) + labels.tobytes())
        made |= {f"{name}-images": pictures, f"{name}-labels": labels}
    return made


@pytest.fixture(autouse=True)
def _no_system_sets(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.delenv("MUTOSCOPE_DATA", raising=False)
    if "real" not in request.node.name:
        monkeypatch.setattr(idx, "SYSTEM", ())


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_twin_of_fashion_mnist_loads_with_its_official_test_part(tmp_path: Path, ending: str) -> None:
    made = twin(tmp_path / "fashion-mnist", ending)
    one, two = load("fashion_mnist", cache=tmp_path), load("fashion_mnist", cache=tmp_path, split_seed=9)
    assert np.array_equal(one.train.images[..., 0], made["train-images"])
    assert np.array_equal(one.held_out.images[..., 0], made["t10k-images"])
    assert np.array_equal(one.held_out.labels, made["t10k-labels"])
    assert np.array_equal(one.held_out.images, two.held_out.images)
    assert one.train.captions[:2] == ("T-shirt/top", "Trouser")
    assert one.shape == (28, 28, 1)
    assert next(o for o in options(tmp_path) if o.key == "fashion_mnist").available
    assert not next(o for o in options(tmp_path) if o.key == "mnist").available


def test_the_persons_own_place_comes_first_and_names_with_a_dot_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin(tmp_path / "cache" / "mnist", train=20)
    own = tmp_path / "own" / "MNIST" / "raw"
    twin(own, train=25)
    for path in list(own.iterdir()):
        path.rename(own / path.name.replace("-idx", ".idx"))
    monkeypatch.setenv("MUTOSCOPE_DATA", str(tmp_path / "own"))
    assert len(load("mnist", cache=tmp_path / "cache").train) == 25


def test_a_kept_download_is_used(tmp_path: Path) -> None:
    made = twin(tmp_path / "elsewhere")
    names = {"train_images": "train-images", "train_labels": "train-labels", "test_images": "t10k-images"}
    arrays = {ours: made[theirs] for ours, theirs in (names | {"test_labels": "t10k-labels"}).items()}
    store.write(tmp_path / "mnist.npz", arrays)
    source = load("mnist", cache=tmp_path)
    assert np.array_equal(source.held_out.images[..., 0], made["t10k-images"])
    option = next(o for o in options(tmp_path) if o.key == "mnist")
    assert option.available
    assert not option.fetchable
    (tmp_path / "mnist.npz").write_bytes(b"PK rubbish")
    with pytest.raises(DataError, match=r"mnist\.npz: damaged or not ours"):
        load("mnist", cache=tmp_path)


def test_an_absent_set_says_how_to_get_it(tmp_path: Path) -> None:
    option = next(o for o in options(tmp_path) if o.key == "fashion_mnist")
    assert (option.available, option.fetchable) == (False, True)
    assert "dataset-fashion-mnist" in option.reason
    with pytest.raises(DataError, match=r"^Fashion-MNIST: not on this machine: fetch it from openml\.org"):
        load("fashion_mnist", cache=tmp_path)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "starts with nothing"),
        (b"\x1f\x8b", "starts with 1f8b"),
        (header(2, 28, 28, kind=13) + bytes(2 * 784), "starts with 00000d03, not idx's 00000803"),
        (header(2) + bytes(2), "starts with 00000801"),
        (header(2, 28, 28)[:9], "claims the shape"),
        (header(0, 28, 28), "claims the shape"),
        (header(2**32 - 1, 2**32 - 1, 2**32 - 1), "claims the shape"),
        (header(2, 28, 28) + bytes(783), "says 1,568 bytes, there are only 783"),
        (header(2, 28, 28) + bytes(1569), "there are more"),
    ],
)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_lying_headers_are_refused_by_name(tmp_path: Path, data: bytes, word: str, ending: str) -> None:
    path = put(tmp_path / f"train-images-idx3-ubyte{ending}", data)
    with pytest.raises(DataError, match=word) as caught:
        idx.read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_a_claim_of_many_items_costs_no_memory_and_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    claim = put(tmp_path / "claim", header(300_000, 28, 28) + bytes(100))
    bomb = put(tmp_path / "bomb.gz", header(1, 28, 28) + bytes(50_000_000))
    tracemalloc.start()
    for path in (claim, bomb):
        with pytest.raises(DataError):
            idx.read_idx(path, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def test_truncated_and_corrupted_gz_are_refused(tmp_path: Path) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, 784 * 9).astype(np.uint8).tobytes()
    packed = gzip.compress(header(9, 28, 28) + pixels)
    path = tmp_path / "a.gz"
    for cut in (len(packed) // 2, len(packed) - 4):
        path.write_bytes(packed[:cut])
        with pytest.raises(DataError, match="perhaps truncated"):
            idx.read_idx(path, 3)
    path.write_bytes(packed[:-8] + bytes(4) + packed[-4:])  # the checksum
    with pytest.raises(DataError, match="CRC"):
        idx.read_idx(path, 3)
    path.write_bytes(b"plain text")
    with pytest.raises(DataError, match=r"[Nn]ot a gzipped file"):
        idx.read_idx(path, 3)


def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    twin(folder)
    put(folder / "train-labels-idx1-ubyte", header(29) + bytes(29))
    with pytest.raises(DataError, match="30 pictures but 29 labels"):
        load("mnist", cache=tmp_path)
    put(folder / "train-labels-idx1-ubyte", header(30) + bytes([10] * 30))
    with pytest.raises(DataError, match="a label is 10, but MNIST has 10 classes"):
        load("mnist", cache=tmp_path)
    twin(folder)
    put(folder / "t10k-images-idx3-ubyte", header(12, 14, 56) + bytes(12 * 784))
    with pytest.raises(DataError, match="not 28 x 28"):
        load("mnist", cache=tmp_path)


def test_reading_can_be_cancelled(tmp_path: Path) -> None:
    twin(tmp_path / "mnist")
    with pytest.raises(Cancelled, match="reading MNIST"):
        load("mnist", cache=tmp_path, cancelled=lambda: True)


def test_the_real_fashion_mnist(tmp_path: Path) -> None:
    if idx.find(idx.FASHION, tmp_path) is None:
        pytest.skip("Fashion-MNIST's files are not on this machine (Debian: dataset-fashion-mnist); its twin is tested")
    source = load("fashion_mnist", cache=tmp_path)
    assert source.train.images.shape == (60_000, 28, 28, 1)
    assert np.bincount(source.held_out.labels).tolist() == [1000] * 10 == list(idx.FASHION.download.test_counts)
    assert source.train.images.mean() == pytest.approx(72.94, abs=0.01)  # 0.2860 of 255, as the literature has it
    assert source.train.captions[0] == "Ankle boot"

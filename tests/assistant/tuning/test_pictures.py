import numpy as np

from assistant.tuning import evaluation, pictures


def test_the_pictures_are_png_files(tmp_path):
    table = evaluation.confusion([0, 1, 1, 2], [0, 1, 2, 2], 3)
    pictures.confusion_png(table, ("card", "refund", "other"), tmp_path / "confusion.png")
    odds = np.random.default_rng(0).dirichlet(np.ones(3), size=50).astype(np.float32)
    pictures.reliability_png(evaluation.reliability([0] * 50, odds), tmp_path / "reliability.png")
    for name in ("confusion.png", "reliability.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_of_many_classes_the_confused_ones_are_drawn(tmp_path):
    table = np.eye(77, dtype=np.int_) * 10
    table[70, 3] = 5
    pictures.confusion_png(table, [f"class {each}" for each in range(77)], tmp_path / "many.png")
    assert (tmp_path / "many.png").stat().st_size > 1000

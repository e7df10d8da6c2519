"""`kinetics-i3d figures`: the dataset that it writes, and a wrong size."""


def test_figures_writes_a_dataset(command, tmp_path):
    size = ("--frames", "2", "--size", "16", "16", "--workers", "1")
    counts = ("--train-per-action", "1", "--test-per-action", "0")
    code, out, err = command("figures", "--output", tmp_path / "f", *counts, *size)
    assert (code, out, err) == (0, f"{tmp_path / 'f' / 'figures.csv'}\n", "")
    assert len(list((tmp_path / "f").glob("*/*.mp4"))) == 12
    code, _, err = command("figures", "--output", tmp_path / "g", "--size", "15", "16")
    assert (code, err.count("\n")) == (2, 1)
    assert "--size must be" in err

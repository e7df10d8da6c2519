"""`kinetics-i3d inflate`: the checkpoint that it writes, and weights of clips."""

import pytest


@pytest.mark.slow
def test_inflate_writes_a_checkpoint_that_loads(command, weights, tmp_path):
    import kinetics_i3d as ki3d

    output = tmp_path / "flow.h5"
    words = ("--channels", "2", "--classes", "5", "--temporal", "center", "--dtype", "float16")
    assert command("inflate", weights["image"], "--output", output, *words) == (
        0,
        f"{output}\n",
        "",
    )
    model = ki3d.InceptionI3D(weights=output)
    assert model.input_shape[-1] == 2 and model.output_shape[-1] == 5
    assert model.clip_spec.stream == "flow"
    code, _, err = command("inflate", weights["good"], "--output", tmp_path / "x.h5")
    assert code == 2 and "holds a model of clips" in err
    assert not (tmp_path / "x.h5").exists()

"""Every op eagerly and inside tf.data, by its bounds, its seed and its identities."""

import numpy as np
import pytest
import tensorflow as tf

from kinetics_i3d.core.clip_spec import DEEPMIND, DEEPMIND_FLOW, INCEPTION5H, ClipSpec
from kinetics_i3d.data import transforms
from kinetics_i3d.flow.quantization import dequantize_flow

SEEDS = [(seed, 7) for seed in range(40)]
BOTH = {"rgb": DEEPMIND, "flow": DEEPMIND_FLOW}
OPS = {
    "random_crop": transforms.random_crop(16),
    "random_resized_crop": transforms.random_resized_crop(16),
    "random_flip": transforms.random_flip(),
    "color_jitter": transforms.color_jitter(),
    "resize": transforms.resize(15, 20),
    "normalize": transforms.normalize(BOTH),
    "compose": transforms.compose(
        transforms.random_resized_crop(16), transforms.random_flip(), transforms.color_jitter()
    ),
}


def on_rgb(op):
    """The op on clips of rgb alone."""
    return lambda clip, seed: op({"rgb": clip}, seed)["rgb"]


@pytest.fixture(scope="module")
def clip():
    """uint8 (3, 24, 31, 3)."""
    return np.random.default_rng(0).integers(0, 256, (3, 24, 31, 3), np.uint8)


def places(frames=2, height=24, width=31):
    """A clip whose pixel at (y, x) holds (y, x, frame)."""
    clip = np.zeros((frames, height, width, 3), np.int32)
    clip[..., 0] = np.arange(height)[:, None]
    clip[..., 1] = np.arange(width)
    clip[..., 2] = np.arange(frames)[:, None, None]
    return clip


@pytest.mark.parametrize("name", OPS)
def test_an_op_gives_the_same_eagerly_and_in_tf_data(clip, name):
    op = on_rgb(OPS[name])
    eager = [op(tf.constant(clip), seed).numpy() for seed in SEEDS[:8]]
    seeds = tf.data.Dataset.from_tensor_slices(np.array(SEEDS[:8], np.int32))
    mapped = list(seeds.map(lambda seed: op(tf.constant(clip), seed)).as_numpy_iterator())
    for one, other in zip(eager, mapped, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-3)
    if name not in ("normalize", "resize"):
        assert any(not np.array_equal(eager[0], other) for other in eager[1:])
        np.testing.assert_array_equal(op(tf.constant(clip), SEEDS[0]).numpy(), eager[0])


def test_random_crop_stays_inside_and_reaches_every_edge():
    op = on_rgb(transforms.random_crop(20))
    corners = set()
    for seed in [(seed, 1) for seed in range(150)]:
        cut = op(places(), seed).numpy()
        assert cut.shape == (2, 20, 20, 3)
        top, left = cut[0, 0, 0, :2]
        np.testing.assert_array_equal(
            cut[..., 0], np.broadcast_to(top + np.arange(20)[:, None], (2, 20, 20))
        )
        np.testing.assert_array_equal(
            cut[..., 1], np.broadcast_to(left + np.arange(20), (2, 20, 20))
        )
        corners.add((int(top), int(left)))
    tops, lefts = ({corner[axis] for corner in corners} for axis in (0, 1))
    assert tops == set(range(5)) and lefts == set(range(12))


def test_random_crop_of_the_whole_is_the_whole(clip):
    square = clip[:, :, :24]
    np.testing.assert_array_equal(on_rgb(transforms.random_crop(24))(square, (1, 2)), square)


def test_a_whole_square_is_only_resized():
    square = np.random.default_rng(1).integers(0, 256, (2, 40, 40, 3), np.uint8)
    op = on_rgb(transforms.random_resized_crop(16, area=(1.0, 1.0), aspect=(1.0, 1.0)))
    found = op(square, (3, 4)).numpy()
    assert found.dtype == np.float32
    expected = tf.image.resize(square, (16, 16), antialias=True).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(  # halving by an antialiased triangle keeps the mean
        found.mean(), square.mean(), rtol=0.01
    )
    same = on_rgb(transforms.random_resized_crop(40, area=(1.0, 1.0), aspect=(1.0, 1.0)))
    np.testing.assert_allclose(same(square, (3, 4)), square, atol=1e-3)


@pytest.mark.parametrize(
    ("area", "aspect"),
    [((0.3, 1.0), (3 / 4, 4 / 3)), ((0.25, 0.25), (1.0, 1.0)), ((0.1, 0.2), (2, 2))],
)
def test_resized_crops_have_the_area_and_the_requested_aspect(area, aspect):
    height, width = 120, 200
    op = on_rgb(transforms.random_resized_crop(8, area=area, aspect=aspect))
    clip = places(1, height, width).astype(np.float32)
    areas, ratios, centers = [], [], []
    for seed in [(seed, 5) for seed in range(120)]:
        cut = op(clip, seed).numpy()[0]
        # Inner samples are evenly spaced: their step is a side's length / 8.
        tall = (cut[5, 4, 0] - cut[2, 4, 0]) / 3 * 8
        wide = (cut[4, 5, 1] - cut[4, 2, 1]) / 3 * 8
        middle = cut[3:5, 3:5].mean(axis=(0, 1))[:2] + 0.5
        assert tall / 2 - 0.6 <= middle[0] <= height - tall / 2 + 0.6
        assert wide / 2 - 0.6 <= middle[1] <= width - wide / 2 + 0.6
        areas.append(tall * wide / height**2)
        ratios.append(wide / tall)
        centers.append(middle)
    slack = 1.06  # sides are whole pixels
    assert area[0] / slack <= min(areas) and max(areas) <= area[1] * slack
    assert aspect[0] / slack <= min(ratios) and max(ratios) <= aspect[1] * slack
    if area[0] < area[1]:
        assert max(areas) - min(areas) > 0.7 * (area[1] - area[0])
    if aspect[0] < aspect[1]:
        assert abs(np.log(ratios).mean()) < 0.1  # as often wide as tall
        assert abs(np.corrcoef(areas, ratios)[0, 1]) < 0.3  # drawn each by itself
    assert np.ptp(np.array(centers)[:, 1]) > 60


def test_a_side_longer_than_the_picture_is_cut_to_it():
    op = on_rgb(transforms.random_resized_crop(8, area=(1.0, 1.0), aspect=(4.0, 4.0)))
    cut = op(places(1, 32, 40).astype(np.float32), (0, 0)).numpy()[0]
    assert abs((cut[4, 5, 1] - cut[4, 2, 1]) / 3 * 8 - 40) < 0.5  # 64 wide is not to be had
    assert abs((cut[5, 4, 0] - cut[2, 4, 0]) / 3 * 8 - 16) < 0.5


def test_a_flip_turns_all_frames_or_none(clip):
    op = on_rgb(transforms.random_flip())
    turned = [op(tf.constant(clip), seed).numpy() for seed in SEEDS]
    flips = [np.array_equal(found, clip[:, :, ::-1]) for found in turned]
    kept = [np.array_equal(found, clip) for found in turned]
    assert all(flip != keep for flip, keep in zip(flips, kept, strict=True))
    assert 10 < sum(flips) < 30


def test_colors_change_alike_in_every_frame_and_stay_in_range(clip):
    op = on_rgb(transforms.color_jitter())
    still = np.repeat(clip[:1], 3, axis=0)
    for seed in SEEDS[:10]:
        found = op(still, seed).numpy()
        assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 255
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])


def test_brightness_shifts_contrast_and_saturation_scale():
    clip = np.random.default_rng(2).uniform(100, 150, (2, 8, 8, 3)).astype(np.float32)
    gray = clip.mean(axis=-1, keepdims=True)
    off = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}

    def jitter(**amounts):
        op = on_rgb(transforms.color_jitter(**off | amounts))
        return [op(clip, seed).numpy() for seed in SEEDS]

    np.testing.assert_allclose(jitter()[0], clip, rtol=1e-5)
    shifts = [(found - clip) for found in jitter(brightness=0.1)]
    assert all(np.ptp(shift) < 1e-3 for shift in shifts)
    means = [shift.mean() for shift in shifts]
    assert -25.5 <= min(means) < -15 and 15 < max(means) <= 25.5
    factors = [
        (found - clip.mean()).std() / (clip - clip.mean()).std() for found in jitter(contrast=0.5)
    ]
    assert 0.5 <= min(factors) < 0.7 and 1.3 < max(factors) <= 1.5
    for found in jitter(contrast=0.5)[:5]:
        np.testing.assert_allclose(found.mean(), clip.mean(), rtol=1e-4)
    colors = jitter(saturation=0.5)
    factors = [(found - gray).std() / (clip - gray).std() for found in colors]
    assert 0.5 <= min(factors) < 0.7 and 1.3 < max(factors) <= 1.5
    for found in colors[:5]:
        np.testing.assert_allclose(found.mean(axis=-1, keepdims=True), gray, rtol=1e-4)


@pytest.mark.parametrize("spec", [DEEPMIND, INCEPTION5H])
def test_normalize_is_the_specs_own(clip, spec):
    found = on_rgb(transforms.normalize(spec))(clip, (0, 0)).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, spec.normalize(clip), rtol=1e-5, atol=1e-4)
    ends = on_rgb(transforms.normalize(spec))(np.array([0, 255], np.uint8), (0, 0)).numpy()
    np.testing.assert_allclose(ends, [spec.low, spec.high], atol=1e-4)


def test_compose_gives_each_op_a_seed_of_its_own():
    seen = []

    def spy(clip, seed):
        seen.append(tuple(np.asarray(seed)))
        return clip + 1

    op = transforms.compose(spy, spy, spy)
    assert op(1, (3, 4)) == 4
    assert len(set(seen)) == 3 and (3, 4) not in seen
    op(1, (3, 4))
    assert seen[:3] == seen[3:]
    op(1, (3, 5))
    assert not set(seen[6:]) & set(seen[:3])


def test_mixup_blends_each_clip_and_its_target_with_its_neighbor():
    random = np.random.default_rng(3)
    clips = random.uniform(-1, 1, (4, 2, 3, 3, 3)).astype(np.float32)
    targets = np.eye(4, dtype=np.float32)
    mixup = transforms.mixup(0.4)

    def blend(clips, targets, seed):
        mixed, goals = mixup({"rgb": clips}, targets, seed)
        return mixed["rgb"], goals

    shares = []
    for seed in SEEDS:
        mixed, goals = (np.asarray(part) for part in blend(clips, targets, seed))
        share = goals[0, 0]
        np.testing.assert_allclose(goals.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(
            goals, share * targets + (1 - share) * targets[[3, 0, 1, 2]], atol=1e-6
        )
        np.testing.assert_allclose(
            mixed, share * clips + (1 - share) * clips[[3, 0, 1, 2]], atol=1e-5
        )
        shares.append(share)
    assert mixed.dtype == goals.dtype == np.float32
    assert min(shares) < 0.1 and max(shares) > 0.9 and 0.3 < np.mean(shares) < 0.7
    np.testing.assert_array_equal(blend(clips, targets, SEEDS[-1])[0], mixed)


@pytest.fixture(scope="module")
def joint():
    """rgb uint8 (3, 24, 31, 3) and quantized of flow uint8 (3, 24, 31, 2)."""
    random = np.random.default_rng(5)
    shapes = {"rgb": (3, 24, 31, 3), "flow": (3, 24, 31, 2)}
    return {name: random.integers(0, 256, shape, np.uint8) for name, shape in shapes.items()}


@pytest.mark.parametrize("streams", [("rgb", "flow"), ("flow",)])
@pytest.mark.parametrize("name", OPS)
def test_an_op_on_streams_gives_the_same_eagerly_and_in_tf_data(joint, name, streams):
    op, clip = OPS[name], {stream: joint[stream] for stream in streams}
    eager = [op(clip, seed) for seed in SEEDS[:6]]
    seeds = tf.data.Dataset.from_tensor_slices(np.array(SEEDS[:6], np.int32))
    for one, other in zip(eager, seeds.map(lambda seed: op(clip, seed)), strict=True):
        assert one.keys() == other.keys() == set(streams)
        for stream in streams:
            assert one[stream].dtype == other[stream].dtype
            assert one[stream].shape == other[stream].shape
            np.testing.assert_allclose(one[stream], other[stream], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", OPS)
def test_rgb_beside_flow_is_what_rgb_alone_is(joint, name):
    for seed in SEEDS[:6]:
        both, alone = OPS[name](joint, seed), on_rgb(OPS[name])(joint["rgb"], seed)
        np.testing.assert_array_equal(both["rgb"], alone)


def test_streams_are_cropped_and_mirrored_alike():
    """Codes (x, y) tell where a pixel of flow comes from, as those of `places` do of rgb."""
    rgb = places(2, 24, 31)
    flow = rgb[..., [1, 0]].astype(np.uint8)
    op = transforms.compose(transforms.random_crop(20), transforms.random_flip())
    flipped = 0
    for seed in SEEDS:
        found = {name: part.numpy() for name, part in op({"rgb": rgb, "flow": flow}, seed).items()}
        assert found["flow"].dtype == np.uint8 and found["flow"].shape == (2, 20, 20, 2)
        x = found["flow"][..., 0].astype(int)
        if found["rgb"][0, 0, 0, 1] > found["rgb"][0, 0, -1, 1]:
            flipped += 1
            x = 255 - x
        np.testing.assert_array_equal(x, found["rgb"][..., 1])
        np.testing.assert_array_equal(found["flow"][..., 1], found["rgb"][..., 0])
    assert 8 < flipped < 32


def test_a_mirrored_flow_moves_the_other_way_and_twice_as_before(joint):
    once = transforms.mirror(joint)
    quantized = joint["flow"][:, :, ::-1]
    np.testing.assert_array_equal(once["flow"][..., 0], 255 - quantized[..., 0])
    np.testing.assert_array_equal(once["flow"][..., 1], quantized[..., 1])
    np.testing.assert_array_equal(once["rgb"], joint["rgb"][:, :, ::-1])
    twice = transforms.mirror(once)
    for stream, part in joint.items():
        np.testing.assert_array_equal(twice[stream], part)
    values = {"flow": transforms.flow_values(joint["flow"])}
    np.testing.assert_allclose(
        transforms.mirror(values)["flow"], transforms.flow_values(once["flow"]), atol=1e-7
    )


BOUND = 20.0


def zooming(height, width, zoom):
    """Two frames of a smooth texture that grows about the middle, and the flow between them."""
    y, x = np.mgrid[:height, :width].astype(float)
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2

    def picture(x, y):
        waves = [np.sin(x / 6 + y / 17), np.sin(y / 7 - x / 23), np.sin((x + y) / 9)]
        return (127.5 + 120 * np.stack(waves, -1)).astype(np.float32)

    back_x, back_y = ((x - middle_x) / zoom + middle_x, (y - middle_y) / zoom + middle_y)
    frames = np.stack([picture(x, y), picture(back_x, back_y)])
    flow = np.stack([(x - middle_x) * (zoom - 1), (y - middle_y) * (zoom - 1)], -1) / BOUND
    return frames, np.stack([flow, flow]).astype(np.float32)


def sampled(frame, x, y):
    """A frame at points between its pixels, bilinear."""
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, down = (x - left)[..., None], (y - top)[..., None]
    upper = frame[top, left] * (1 - right) + frame[top, left + 1] * right
    lower = frame[top + 1, left] * (1 - right) + frame[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


@pytest.mark.parametrize(
    "op",
    [
        transforms.random_resized_crop(96, area=(0.2, 0.9), aspect=(0.5, 2.0)),
        transforms.resize(60, 144),
        transforms.compose(transforms.random_resized_crop(96), transforms.random_flip()),
    ],
)
def test_a_stretched_flow_still_leads_from_frame_to_frame(op):
    rgb, flow = zooming(120, 160, 1.06)
    wrong = []
    for seed in SEEDS[:8]:
        found = op({"rgb": rgb, "flow": flow}, seed)
        (before, after), motion = found["rgb"].numpy(), found["flow"].numpy()[0] * BOUND
        y, x = np.mgrid[: before.shape[0], : before.shape[1]].astype(float)
        x, y = x + motion[..., 0], y + motion[..., 1]
        inside = (x >= 0) & (y >= 0) & (x < before.shape[1] - 1) & (y < before.shape[0] - 1)
        inside[:2] = inside[-2:] = inside[:, :2] = inside[:, -2:] = False
        follows = sampled(after, x[inside], y[inside])
        still = np.abs(after[inside] - before[inside]).mean()
        wrong.append(np.abs(follows - before[inside]).mean() / still)
    assert max(wrong) < 0.12  # one stretch left out gives 0.3 and more


def test_colors_leave_the_flow_alone(joint):
    for seed in SEEDS[:3]:
        np.testing.assert_array_equal(OPS["color_jitter"](joint, seed)["flow"], joint["flow"])


def test_codes_become_values_as_the_flow_decodes_them():
    quantized = np.arange(256, dtype=np.uint8).reshape(1, 16, 8, 2)
    np.testing.assert_array_equal(transforms.flow_values(quantized), dequantize_flow(quantized))
    op = transforms.normalize(BOTH)
    np.testing.assert_allclose(
        op({"flow": quantized}, None)["flow"], dequantize_flow(quantized), atol=1e-6
    )
    values = np.array([-1.5, -1.0, 0.0, 0.25, 1.0, 3.0], np.float32).reshape(1, 1, 3, 2)
    found = op({"flow": values}, None)["flow"].numpy().ravel()
    np.testing.assert_allclose(found, [-1, -1, 0, 0.25, 1, 1], atol=1e-6)
    pixels = transforms.normalize(ClipSpec("pixels", stream="flow", low=-20.0, high=20.0))
    found = pixels({"flow": values}, None)["flow"].numpy().ravel()
    np.testing.assert_allclose(found, [-20, -20, 0, 5, 20, 20], atol=1e-5)


def test_streams_of_unlike_sizes_are_normalized_by_their_own_specs():
    small = ClipSpec("flow", stream="flow", short_side=24, size=16, low=-20.0, high=20.0)
    op = transforms.normalize({"rgb": ClipSpec("rgb", short_side=40, size=32), "flow": small})
    clip = {"rgb": np.array([0, 255], np.uint8), "flow": np.array([[0, 255]], np.uint8)}
    normalized = op(clip, None)
    np.testing.assert_allclose(normalized["rgb"], [-1, 1], atol=1e-5)
    np.testing.assert_allclose(normalized["flow"], [[-20, 20]], atol=1e-4)


def test_a_stream_without_a_spec_is_refused():
    flow = {"flow": np.zeros((2, 4, 4, 2), np.uint8)}
    with pytest.raises(ValueError, match=r"`spec` must have a spec for each of .*\('flow',\)"):
        transforms.normalize(DEEPMIND)(flow, None)


def test_streams_are_blended_by_one_share():
    random = np.random.default_rng(3)
    clips = {
        "rgb": random.uniform(-1, 1, (4, 2, 3, 3, 3)).astype(np.float32),
        "flow": random.uniform(-1, 1, (4, 2, 3, 3, 2)).astype(np.float32),
    }
    targets = np.eye(4, dtype=np.float32)
    for seed in SEEDS[:5]:
        mixed, goals = transforms.mixup(0.4)(clips, targets, seed)
        share = np.asarray(goals)[0, 0]
        for stream, part in clips.items():
            expected = share * part + (1 - share) * part[[3, 0, 1, 2]]
            np.testing.assert_allclose(mixed[stream], expected, atol=1e-5)

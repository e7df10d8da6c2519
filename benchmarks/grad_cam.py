"""Grad-CAM on real videos: does the map lie on the actor, and does it depend on the weights?

    python benchmarks/grad_cam.py DATA

DATA is J-HMDB as `kinetics-i3d datasets` describes it; test videos of split 1 are read. Pointing
game (Zhang et al., ECCV 2016): whether the hottest place of a frame lies within the box of the
actor. Sanity check (Adebayo et al., NeurIPS 2018): the rank correlation of a map with the one of
the same network whose upper layers have random weights.
"""

import argparse
import pathlib

import numpy as np
from report import publish

import kinetics_i3d as ki3d

WEIGHTS = "rgb_kinetics_jhmdb"
CENTER = (0.5, 0.5)
NOTES = """\
Whole videos of 16 to 40 frames at the network's 192 pixels; the map of the video's true class, in
the frame in the middle, against a box of the actor drawn by hand (18 of the 21 classes; videos
whose actor fills the frame are left out). Random layers hold the trained values in random order;
their rank correlation is Spearman's over the whole clip, the mean of the videos."""
# Boxes (left, top, right, bottom) of the actors with what they hold, drawn by hand on the frame in
# the middle of the video, in tenths of the network's square crop.
BOXES = {
    "catch/Torwarttraining_catch_f_cm_np1_le_bad_5": (7.4, 1.1, 9.5, 10),
    "clap/Boom_Snap_Clap_clap_u_nm_np1_fr_med_1": (3.2, 0, 8.3, 10),
    "climb_stairs/I_DO_NOT_Run_Up_Stairs_Like_A_GIRL_climb_stairs_l_cm_np1_ba_med_5": (
        *(2.2, 0, 5.8, 7.8),
    ),
    "golf/Golfswing_golf_f_cm_np1_ri_goo_1": (2.8, 2.4, 5.4, 7.5),
    "jump/Sommerland_Syd_sprung_in_den_tod_jump_f_cm_np1_fr_bad_0": (6.0, 1.4, 7.8, 4.4),
    "kick_ball/FOOT_2009_(REMI_GAILLARD)_kick_ball_f_cm_np1_ba_bad_2": (2.6, 2.6, 5.2, 9.3),
    "pick/NH_gun_owners_react_to_detention_with_armed_litter_pickup_pick_f_cm_np1_ba_med_0": (
        *(2.0, 3.5, 6.7, 10),
    ),
    "pullup/32_Pull-ups_at_193IBS_pullup_f_cm_np1_ba_med_2": (3.5, 2.0, 6.6, 10),
    "push/Pushing_Music_Table_push_f_cm_np1_ri_bad_2": (1.2, 2.4, 4.9, 8.4),
    "run/RATRACE_run_f_cm_np1_fr_med_16": (5.0, 1.1, 7.2, 7.8),
    "shoot_ball/PlayingBasketballGotWater_shoot_ball_f_nm_np1_ba_med_6": (2.9, 0.2, 4.5, 6.0),
    "shoot_bow/Hannahfront23may08_shoot_bow_u_nm_np1_fr_med_1": (2.2, 0, 10, 10),
    "shoot_gun/FirearmsTraining_shoot_gun_u_nm_np1_ri_med_11": (1.3, 2.4, 8.3, 10),
    "stand/SoundAndTheStory_stand_f_cm_np1_ri_med_0": (1.4, 2.2, 6.4, 9.5),
    "swing_baseball/hittingofftee2_swing_baseball_f_nm_np1_fr_med_11": (1.2, 0, 8.1, 9.3),
    "throw/Knifethrowing4knivestogethernospin_throw_f_nm_np1_ri_med_1": (0.2, 0, 3.7, 10),
    "walk/Panic_in_the_Streets_walk_u_cm_np1_ba_med_5": (3.0, 2.1, 7.8, 10),
    "wave/Chris_Benoit_waving_goodbye_wave_u_nm_np1_fr_med_1": (1.0, 0.3, 9.8, 10),
    "catch/Frisbee_catch_f_cm_np1_ri_med_0": (1.4, 2.3, 4.1, 8.8),
    "walk/50_FIRST_DATES_walk_f_cm_np1_le_med_33": (5.2, 0.4, 9.5, 9.8),
    "wave/20060723sfjffbartsinger_wave_f_cm_np1_ba_med_0": (4.8, 0, 7.8, 9.8),
}
# {name: layers that become random, by the beginning of their names}
RANDOM = {
    "random classifier": ("Conv3d_0c",),
    "random classifier, Mixed_5c and Mixed_5b": ("Conv3d_0c", "Mixed_5c", "Mixed_5b"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=pathlib.Path)
    options = parser.parse_args()
    model = ki3d.load_model(WEIGHTS)
    random_models = {name: randomized(layers) for name, layers in RANDOM.items()}
    rows = {"Mixed_5c": [], "Mixed_4f": [], **{name: [] for name in RANDOM}}
    correlations = {name: [] for name in RANDOM}
    boxes = []
    for path, box in BOXES.items():
        video, label = options.data / f"{path}.mp4", path.partition("/")[0]
        clips = ki3d.load_clip(video, spec=model.clip_spec)
        boxes.append(np.array(box) / 10)
        maps = {
            endpoint: ki3d.grad_cam(model, clips, label=label, endpoint=endpoint).heatmap
            for endpoint in ("Mixed_5c", "Mixed_4f")
        }
        for name, other in random_models.items():
            maps[name] = ki3d.grad_cam(other, clips, label=label).heatmap
            correlations[name].append(rank_correlation(maps["Mixed_5c"], maps[name]))
        for name, heatmap in maps.items():
            frame = heatmap[clips.shape[1] // 2]
            rows[name].append((hits(hottest(frame), boxes[-1]), share_within(frame, boxes[-1])))
    table = [
        {
            "map": name,
            "hottest place within the box": percent(np.mean([hit for hit, _ in row])),
            "share of the map within the box": percent(np.mean([share for _, share in row])),
            "rank correlation with Mixed_5c": f"{np.mean(correlations[name]):.2f}"
            if name in correlations
            else "",
        }
        for name, row in rows.items()
    ]
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in boxes]
    in_center = np.mean([hits(CENTER, box) for box in boxes])
    for name, hit, share in (
        ("center of the frame", percent(in_center), ""),
        ("random place, even map", percent(np.mean(areas)), percent(np.mean(areas))),
    ):
        table.append(dict(zip(table[0], (name, hit, share, ""), strict=True)))
    publish(
        "grad_cam",
        f"Grad-CAM of `{WEIGHTS}` on {len(boxes)} test videos of J-HMDB",
        "python benchmarks/grad_cam.py DATA",
        table,
        notes=NOTES,
    )


def percent(share):
    return f"{100 * share:.1f} %"


def randomized(layers):
    """The network with the trained values of some layers in random order."""
    model = ki3d.load_model(WEIGHTS)
    random = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name.startswith(layers):
            layer.set_weights(
                [
                    random.permutation(array.ravel()).reshape(array.shape)
                    for array in layer.get_weights()
                ]
            )
    return model


def hottest(frame):
    """(x, y) of the hottest pixel, 0 to 1."""
    y, x = np.unravel_index(frame.argmax(), frame.shape)
    return (x + 0.5) / frame.shape[1], (y + 0.5) / frame.shape[0]


def hits(place, box):
    left, top, right, bottom = box
    return left <= place[0] <= right and top <= place[1] <= bottom


def share_within(frame, box):
    """The share of a map's sum that lies within a box."""
    height, width = frame.shape
    left, top, right, bottom = np.rint(np.array(box) * (width, height, width, height)).astype(int)
    return frame[top:bottom, left:right].sum() / max(frame.sum(), 1e-9)


def rank_correlation(first, second):
    """Spearman's, of values 4 frames and 16 pixels apart."""
    ranks = [
        heatmap[::4, ::16, ::16].ravel().argsort(kind="stable").argsort()
        for heatmap in (first, second)
    ]
    return float(np.corrcoef(ranks)[0, 1])


if __name__ == "__main__":
    main()

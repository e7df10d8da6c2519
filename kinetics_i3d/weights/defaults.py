"""`DEFAULT_WEIGHTS`: what answers where no weights are named."""

# By the streams that are asked for, as `load_model` takes them. The weights of frames know the 400
# actions of Kinetics; those of flow ship with the package, since Kinetics' flow is a download.
DEFAULT_WEIGHTS = {
    None: "rgb_kinetics400",
    "rgb": "rgb_kinetics400",
    "flow": "flow_kinetics_jhmdb",
    "both": "kinetics_jhmdb",
}

"""Weights: the catalog of names, the readers of every format, and downloads."""

# What `load_model` takes where no weights are named, by its `streams`. The rgb weights know the 400
# actions of Kinetics; those for flow ship with the package, since Kinetics' flow is a download.
DEFAULT_WEIGHTS = {
    None: "rgb_kinetics400",
    "rgb": "rgb_kinetics400",
    "flow": "flow_kinetics_jhmdb",
    "both": "kinetics_jhmdb",
}

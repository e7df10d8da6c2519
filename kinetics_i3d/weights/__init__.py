"""Weights: the catalog of names, the readers of every format, and downloads."""

# Default weights of `load_model` by its `streams`. The rgb weights recognize the 400 actions of
# Kinetics. Those for flow ship with the package: the Kinetics weights for flow need a download.
DEFAULT_WEIGHTS = {
    None: "rgb_kinetics400",
    ("rgb",): "rgb_kinetics400",
    ("flow",): "flow_kinetics_jhmdb",
    ("rgb", "flow"): "kinetics_jhmdb",
}

"""The packaging entry. Metadata stands in pyproject.toml; here only what it cannot say.

`checkpoints/` lies beside the package in a checkout and inside it in a wheel.
"""

from setuptools import find_packages, setup

ROOMS = find_packages(include=["kinetics_i3d", "kinetics_i3d.*"])

setup(
    packages=[*ROOMS, "kinetics_i3d.checkpoints"],
    package_dir={"kinetics_i3d.checkpoints": "checkpoints"},
    package_data={
        "": ["*.csv", "*.json", "*.tsv", "*.txt", "label_lists/*.txt", "py.typed"],
        "kinetics_i3d.checkpoints": ["*.h5", "*.md"],
        "kinetics_i3d.app": ["templates/*"],
        "kinetics_i3d.evaluation": ["templates/*"],
    },
    include_package_data=False,
)

"""`python -m kinetics_i3d VERB`, the same as the command `kinetics-i3d VERB`."""

from kinetics_i3d.cli.main import run

# Processes that are spawned, by `figures --workers`, import this file again.
if __name__ == "__main__":
    run()

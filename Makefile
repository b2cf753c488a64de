# Two commands do everything on a fresh machine, set-up included:
#   make demo   a whole search, without a key
#   make test   the checks and the default tests
PYTHON ?= python3
BIN := .venv/bin
FAMILIES := .venv-families/bin

.PHONY: demo test lint test-slow test-docker test-families constraints constraints-families clean

demo: .venv/ready
	$(BIN)/rewardsmith design "Hop forward as far as you can without falling" --env Hopper-v5 --designer symbolic --steps 120000 $(DEMO)

test: lint
	$(BIN)/pytest -n 2 -m "not slow" $(TESTS)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-slow: .venv/ready
	$(BIN)/pytest -m slow $(TESTS)

# The Docker backend, against an engine of its own (needs root).
test-docker: .venv/ready
	$(BIN)/python tests/fakes/docker_engine.py --install $(BIN)/pytest -n 2 -m docker tests/sandbox

# torch comes first and pinned exactly, so that a CPU build offered by pip's settings is taken.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
	@echo "ready; the command is $(BIN)/rewardsmith, or rewardsmith after: . $(BIN)/activate"

# Meta-World, Gymnasium-Robotics and dm_control need an older MuJoCo: they have a virtual environment of their own, in
# which the batched environments are tested too, on the path without mujoco.batch.
test-families: .venv-families/ready
	$(FAMILIES)/pytest -n 2 -m "not slow" tests/families tests/worker/envs $(TESTS)

.venv-families/ready: pyproject.toml constraints-families.txt
	$(PYTHON) -m venv .venv-families
	$(FAMILIES)/pip install --quiet "$$(grep '^torch==' constraints-families.txt)"
	$(FAMILIES)/pip install --quiet --constraint constraints-families.txt --editable '.[dev,metaworld,robotics,dm-control]'
	touch $@

constraints-families: .venv-families/ready
	(head -1 constraints-families.txt; $(FAMILIES)/pip freeze --exclude-editable | sed 's/+cpu//') > .constraints.part
	mv .constraints.part constraints-families.txt

constraints: .venv/ready
	(head -1 constraints.txt; $(BIN)/pip freeze --exclude-editable | sed 's/+cpu//') > .constraints.part
	mv .constraints.part constraints.txt

clean:
	rm -rf .venv .venv-families build dist

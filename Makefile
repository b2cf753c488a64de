# Two commands do everything on a fresh machine, set-up included:
#   make demo   a robot learns a back flip in minutes, without a key
#   make test   the checks and the default tests
PYTHON ?= python3
BIN := .venv/bin
FAMILIES := .venv-families/bin
GAMES := .venv-games/bin
MJLAB := .venv-mjlab/bin
# COVERAGE= leaves the measurement out, for a part of the tests: make test TESTS=tests/spec COVERAGE=
COVERAGE ?= --cov=rewardsmith --cov-report=term:skip-covered

.PHONY: demo docs test lint test-slow test-docker test-families test-mjlab test-servers constraints constraints-families constraints-games constraints-mjlab clean

demo: .venv/ready
	$(BIN)/rewardsmith demo $(DEMO)

test: lint
	$(BIN)/pytest -n 2 -m "not slow" $(COVERAGE) $(TESTS)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation site in site/; a link or an anchor that leads nowhere ends it.
docs: .venv/ready
	$(BIN)/zensical build --clean --strict

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

# Two virtual environments of families that do not run beside the newest packages. Meta-World, Gymnasium-Robotics and
# dm_control need an older MuJoCo; there the batched environments are tested too, on the path without mujoco.batch.
# Crafter and MiniHack need an older Gymnasium; MiniGrid, highway-env, PushT and panda-gym are tested with them. A family
# that should be there and is not fails its tests.
test-families: .venv-families/ready .venv-games/ready
	REWARDSMITH_TEST_FAMILIES=metaworld,robotics,dm-control \
		$(FAMILIES)/pytest -n 2 -m "not slow" tests/families tests/worker/envs $(TESTS)
	REWARDSMITH_TEST_FAMILIES=crafter,minihack,minigrid,highway,pusht,panda \
		$(GAMES)/pytest -n 2 -m "not slow" tests/families tests/worker/envs/test_info_decisions.py $(TESTS)

.venv-families/ready: pyproject.toml constraints-families.txt
	$(PYTHON) -m venv .venv-families
	$(FAMILIES)/pip install --quiet "$$(grep '^torch==' constraints-families.txt)"
	$(FAMILIES)/pip install --quiet --constraint constraints-families.txt --editable '.[test,metaworld,robotics,dm-control]'
	touch $@

.venv-games/ready: pyproject.toml constraints-games.txt
	$(PYTHON) -m venv .venv-games
	$(GAMES)/pip install --quiet "$$(grep '^torch==' constraints-games.txt)"
	$(GAMES)/pip install --quiet --constraint constraints-games.txt --editable '.[test,crafter,minihack,minigrid,highway,pusht,panda]'
	touch $@

# mjlab runs on MuJoCo 3.11 alone. Its tests compute on the CPU; the first run compiles Warp's kernels, for a minute.
test-mjlab: .venv-mjlab/ready
	REWARDSMITH_TEST_FAMILIES=mjlab $(MJLAB)/pytest -m "not slow" tests/worker/mjlab $(TESTS)

.venv-mjlab/ready: pyproject.toml constraints-mjlab.txt
	$(PYTHON) -m venv .venv-mjlab
	$(MJLAB)/pip install --quiet "$$(grep '^torch==' constraints-mjlab.txt)"
	$(MJLAB)/pip install --quiet --constraint constraints-mjlab.txt --editable '.[test,mjlab,onnx]'
	touch $@

# Two servers of language models, each in a virtual environment of its own; on a CPU, and without a hub.
test-servers: .venv/ready .venv-litellm/ready .venv-transformers/ready
	REWARDSMITH_TEST_SERVERS=1 $(BIN)/pytest -m slow tests/llm/test_real_servers.py $(TESTS)

.venv-litellm/ready:
	$(PYTHON) -m venv .venv-litellm
	.venv-litellm/bin/pip install --quiet 'litellm[proxy]'
	touch $@

.venv-transformers/ready: constraints.txt
	$(PYTHON) -m venv .venv-transformers
	.venv-transformers/bin/pip install --quiet "$$(grep '^torch==' constraints.txt)"
	.venv-transformers/bin/pip install --quiet 'transformers[serving]'
	touch $@

constraints-families: .venv-families/ready
	(head -1 constraints-families.txt; $(FAMILIES)/pip freeze --exclude-editable | sed 's/+cpu//') > .constraints.part
	mv .constraints.part constraints-families.txt

constraints-games: .venv-games/ready
	(head -1 constraints-games.txt; $(GAMES)/pip freeze --exclude-editable | sed 's/+cpu//') > .constraints.part
	mv .constraints.part constraints-games.txt

constraints-mjlab: .venv-mjlab/ready
	(head -1 constraints-mjlab.txt; $(MJLAB)/pip freeze --exclude-editable | sed 's/+cpu//') > .constraints.part
	mv .constraints.part constraints-mjlab.txt

constraints: .venv/ready
	(head -1 constraints.txt; $(BIN)/pip freeze --exclude-editable | sed 's/+cpu//') > .constraints.part
	mv .constraints.part constraints.txt

clean:
	rm -rf .venv .venv-families .venv-games .venv-mjlab .venv-litellm .venv-transformers build dist site

# Everything one does with this repository; `make help` lists the targets.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DOCS := .venv/.docs
EXTRAS := .venv/.extras

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow gpu lint format figures report bench docs install clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

install: $(READY) ## make .venv with the pinned packages of constraints.txt

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "floss needs Python 3.11 to 3.13; choose one by make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY) ## train six networks on XOR over 30 steps, with and without flossing, and draw their accuracy
	$(BIN)/floss train -m task=xor d=30 flossing=none,pre seeds=3 scale=small

test: $(READY) ## run the tests, but for the slow ones
	$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: $(EXTRAS) ## run the slow tests, with all other packages that they look at
	$(BIN)/python -m pytest -q -m slow

gpu: ## on a machine with a CUDA card: the tests that need one, then floss bench; WHEELS=folder for what is missing
	$(PYTHON) scripts/gpu.py $(if $(WHEELS),--wheels '$(WHEELS)')

lint: $(READY) ## check style, docstrings and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

format: $(READY) ## format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

figures: $(READY) ## draw the figures of the paper and all other committed results from their CSV files; computes nothing
	$(BIN)/floss figures results=results

report: $(READY) ## the paper's claims beside what was measured: results/claims.csv and results/report.html
	$(BIN)/floss report

bench: $(READY) ## time the hot loops beside a plain PyTorch loop, and spectra beside other packages
	$(BIN)/floss bench

docs: $(DOCS) ## build the documentation site from README.md, docs/ (whose notebooks are run) and the docstrings into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

$(DOCS): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $@

$(EXTRAS): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable '.[docs,bench,cells,lightning,transformers,tensorboard,mlflow,wandb]'
	touch $@

clean: ## remove the virtual environment and caches; results stay
	rm -rf .venv build dist site *.egg-info .pytest_cache .ruff_cache .hypothesis

# Every target sets up what is missing and is quick when nothing has changed.
VENV := .venv
BIN := $(VENV)/bin
PROJECTS := pyproject.toml $(wildcard plugins/*/pyproject.toml)
STAMP := $(VENV)/.installed

.PHONY: install train test coverage lint docs docs-outputs

install: $(STAMP)

$(STAMP): constraints.txt $(PROJECTS)
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,docs]' \
		$(patsubst %/pyproject.toml,-e ./%,$(filter plugins/%,$(PROJECTS)))
	touch $@

train: $(STAMP)
	$(BIN)/rft train --task counting

test: lint
	$(BIN)/python -m pytest -n auto --maxprocesses 8
	$(MAKE) docs

# On Python 3.11 tracing makes Python code nearly three times as slow: not part of `make test`.
coverage: $(STAMP)
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --cov --cov-report=term

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(STAMP)
	if test -f mkdocs.yml; then NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet; fi

# Write into the pages what the commands that they show print today.
docs-outputs: $(STAMP)
	$(BIN)/python tests/test_docs_outputs.py
	$(BIN)/python tests/test_layers.py

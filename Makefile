# Every target sets up what is missing and is quick when nothing has changed.
VENV := .venv
BIN := $(VENV)/bin
PROJECTS := pyproject.toml $(wildcard plugins/*/pyproject.toml)
STAMP := $(VENV)/.installed
QUICK := not engines and not families and not families_deep and not long

.PHONY: install train compare claims campaign test long engines families families-deep coverage lint docs docs-outputs

install: $(STAMP)

$(STAMP): constraints.txt $(PROJECTS)
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,docs]' \
		$(patsubst %/pyproject.toml,-e ./%,$(filter plugins/%,$(PROJECTS)))
	touch $@

train: $(STAMP)
	$(BIN)/rft train --task counting

# Five paradigms, two seeds, 60 of GRPO's 450 steps: an estimated 20 minutes on two cores. The same
# command goes on where it was stopped.
compare: $(STAMP)
	$(BIN)/rft compare --task counting --seeds 2 --out comparisons/counting-small \
		--set grpo.max_steps=60 --set evaluation.samples.val=100 \
		--set evaluation.samples.test=300 --set evaluation.samples.ood-vehicles=300

# The paper's claims (docs/results.md): about an hour per task and seed on two cores.
claims: $(STAMP)
	$(BIN)/rft compare --task counting --seeds 3 --out comparisons/counting \
		--row 'ans-sft-all: ans-sft sft.samples=null sft.num_train_epochs=4' \
		--row 'cot-sft-all: cot-sft sft.samples=null sft.num_train_epochs=4'
	for task in structure transformation; do \
		$(BIN)/rft compare --task $$task --seeds 3 --out comparisons/$$task \
			--row 'ans-sft-tenth: ans-sft sft.samples=160 sft.num_train_epochs=10' \
			--row 'cot-sft-tenth: cot-sft sft.samples=160 sft.num_train_epochs=10' || exit; \
	done

test: lint
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup -m '$(QUICK)'
	$(MAKE) docs

# Whole runs of half a minute and more, of kinds of which `make test` has another.
long: $(STAMP)
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup -m long

# What `make test` leaves out of the tests of families of models.
families: $(STAMP)
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup -m 'families and not families_deep' tests/test_families_matrix.py tests/test_families.py tests/test_class_check.py

# Whole runs of two processes, equal to one and continued: DDP, FSDP2, LoRA.
engines: $(STAMP)
	$(BIN)/python -m pytest -m engines tests

# Sharing, checkpointing, accumulation, LoRA and resume in every family: eight seconds a test.
families-deep: $(STAMP)
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup -m families_deep tests/test_families_matrix.py

# On Python 3.11 tracing makes Python code nearly three times as slow: not part of `make test`.
coverage: $(STAMP)
	$(BIN)/python -m pytest -n auto --maxprocesses 8 -m '$(QUICK)' \
		--hypothesis-profile=coverage --cov --cov-report=term

# Seeded attempts to break what docs/reliability.md promises: an hour; SEED=1 tries others.
campaign: $(STAMP)
	$(BIN)/python -m tests.campaigns --seed $(or $(SEED),0) --minutes 60

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
	$(BIN)/python tests/test_families_matrix.py

# Two commands on a fresh machine: `make repro` and `make test`. Nothing is needed but Python 3.11 or newer, git and make.
PYTHON ?= python3
MINUTES ?= 10
MTAT ?= data/magnatagatune
AUDIO ?= data/demo/audio
REHEARSAL ?= data/rehearsal
VENV := .venv
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: repro test torture setup check docs pictures lock sbom bench rehearsal papers clean

repro: $(READY) ## run the pipeline and print the table of all experiments
	dvc repro
	@echo && cat metrics/report.md

test: $(READY) ## run the tests, a file at a time on each core
	python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

torture: $(READY) ## the tests of docs/reliability.md at ten times their length
	TORTURE=1 python -m pytest tests/storage tests/features/test_standardize.py tests/models/test_saved.py tests/evaluation/test_metrics.py tests/test_trust.py tests/test_verify.py tests/test_disturbed.py tests/test_repro_disturbed.py tests/test_files.py tests/test_clock.py tests/test_deterministic.py tests/fuzz

setup: $(READY) ## the environment, and in this clone git's drivers for merging what the pipeline writes

check: $(READY) ## style, types, import order, true dependencies of the stages
	ruff check .
	ruff format --check .
	mypy
	python -m pytest tests/test_structure.py

docs: $(READY) ## the documentation as a site, in build/site
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict

pictures: $(READY) ## the pictures of README.md and the documentation
	python tools/pictures.py

papers: $(READY) ## train every published system on the configured corpus, ten minutes each; goes on where it was
	dvc repro labels decode
	earmark papers --minutes $(MINUTES)
	dvc repro report

lock: ## requirements.lock: the versions of constraints.txt with the hashes of their files
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade pip pip-tools
	build/lock/bin/python tools/lock.py

sbom: $(READY) ## build/sbom.json: all that is installed, as CycloneDX
	$(PYTHON) -m venv build/sbom
	build/sbom/bin/python -m pip install --quiet cyclonedx-bom
	build/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file build/sbom.json $(VENV)

bench: $(READY) ## speed against kymatio, librosa and what was there before, measured in the same run
	earmark bench scattering
	earmark bench cqt
	earmark bench mel
	earmark bench decode
	earmark bench extract
	earmark bench compare

rehearsal: $(READY) ## all stages at the size of the table MTAT, with the clips of AUDIO; what they take goes into docs/scale.md
	rm -rf $(REHEARSAL)
	python -m earmark.bench.rehearsal tables --tables $(MTAT) --audio $(AUDIO) --to $(REHEARSAL) --into docs/scale.md

$(READY): pyproject.toml constraints.txt .gitattributes
	$(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --constraint constraints.txt --editable '.[demo,test,docs,s3,ssh,distributed,onnx,parquet,tags,plot]'
	python -m earmark.merge install
	touch $@

clean: ## remove the environment; data and metrics stay
	rm -rf $(VENV) build *.egg-info

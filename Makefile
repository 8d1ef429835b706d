# One target for each stage and one for each check.  Stage targets are real files, so make redoes
# only what is stale.  `make` alone prints this page.

PYTHON ?= python3
VENV   ?= .venv
# What was installed stays, unless another is asked for.  An environment that was copied with its
# folder runs the code of the first one, and one that was moved runs none: it is made anew.
EXTRAS ?= $(or $(patsubst $(VENV)/.ready-%,%,$(firstword $(wildcard $(VENV)/.ready-*))),cpu)
SEEDS  ?= 1
COUNT  ?= 2400

DATA     ?=
CONFIG   ?= configs/smt.yaml
NAME     ?= run1
EDITION  ?= 2018
METHOD   ?= linear
CHANNELS ?= 1
SIZE     ?= 64
FIT      ?= stretch
IDS_FROM ?= name
TRACK    ?=
IMAGE    ?=
LABELS   ?=
OVERWRITE ?=

RUN      := runs/$(NAME)
DETECTOR := $(RUN)/$(METHOD)-$(EDITION)
REPLACE  := $(if $(OVERWRITE),--overwrite)
REPLEARN := $(VENV)/bin/replearn
READY    := $(VENV)/.ready-$(EXTRAS)
HASH     := \#
ANEW     := $(if $(wildcard $(VENV)/bin/replearn),$(shell \
	grep -qE "^($(HASH)!|'''exec' \"?)$(abspath $(VENV))/bin/python" $(VENV)/bin/replearn || echo --clear))

# What is optional, and the tests that are skipped without it.
OPTIONAL := cpu,app,browser,diagnose,dicom,milvus,parquet,pretrained,ray,umap
NEEDY    := diagnostics/generators/test_geometry retrieval/test_page images/test_dicom images/test_dicom_display images/test_dicom_frames neighbors/test_engine concepts/test_parquet \
	encoders/models/test_pretrained encoders/backbones/test_libraries encoders/backbones/test_sources \
	retrieval/test_text_search \
	artefacts/test_ray report/test_browser report/test_umap

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo compare-small check test test-extras test-all wheel train extract classify index predict imageclef query clean

help: ## print this page
	@echo "make demo                          the whole chain on synthetic radiographs, about 3 minutes"
	@echo "make demo SEEDS=3                  the same with three training runs of each encoder"
	@echo "make train extract classify index predict DATA=folder [CONFIG=$(CONFIG)] [NAME=$(NAME)]"
	@echo "                                   the stages on your own images, see README.md"
	@echo "make imageclef DATA=folder EDITION=2026 [TRACK=synth]"
	@echo "                                   from the organisers' files to the file to submit"
	@echo "make train ... LABELS='--uncertain absent'"
	@echo "                                   options of the label files, see docs/labels.md"
	@echo "make train ... IDS_FROM=path       ids are paths below images/: for images of one name in two folders"
	@echo "make query DATA=folder IMAGE=file  the images most like the given one"
	@echo "make train ... OVERWRITE=1         retrain if images or settings have changed"
	@echo "make compare-small                 the original system's table of nine rows, on phantoms"
	@echo "make setup EXTRAS=gpu              install with faiss-gpu; the default is cpu"
	@echo "make check                         ruff, mypy and sizes"
	@echo "make test                          the tests, about 5 minutes on 2 cores"
	@echo "make test-extras                   the tests of optional parts, which are installed first; needs Chromium"
	@echo "make test-all                      all tests, also the slow ones"
	@echo "make wheel                         build dist/replearn-*.whl, and test it without torch"
	@echo "make clean                         remove runs/demo"

# Set-up ------------------------------------------------------------------------------------------

setup: $(READY)

$(READY): setup.py pyproject.toml constraints.txt $(if $(ANEW),FORCE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "replearn needs Python 3.11 or newer: make setup PYTHON=python3.11"; exit 1; }
	$(if $(ANEW),@echo "$(VENV) is of another folder and is made anew")
	$(PYTHON) -m venv $(ANEW) $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	@# torch first, at the tested version: a range alone may fetch another build of several gigabytes.
	$(VENV)/bin/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	@# The two FAISS packages install the same module; the other one has to go.
	$(VENV)/bin/python -m pip uninstall --quiet --yes faiss-cpu faiss-gpu 2>/dev/null
	$(VENV)/bin/python -m pip install -qq --constraint constraints.txt --editable '.[dev,$(EXTRAS)]'
	rm -f $(VENV)/.ready-* && touch $@

# The demonstration -------------------------------------------------------------------------------

demo: $(READY)
	$(REPLEARN) phantoms runs/demo/data --count $(COUNT) $(REPLACE)
	$(REPLEARN) compare configs/demo.yaml runs/demo/data runs/demo --seeds $(SEEDS) $(REPLACE)
	$(REPLEARN) report runs/demo/seed-0/aae/encoder runs/demo/aae.html --overwrite
	$(REPLEARN) report runs/demo runs/demo/report.html --overwrite
	@echo
	@echo "Open $(CURDIR)/runs/demo/report.html (the encoder: aae.html; also table.md, queries.png)"

# configs/seed-2018.yaml in little: the same rows, smaller networks, fewer steps.
SMALL := encoders.aae.arguments.width=16 encoders.aae.arguments.latent_dim=128 \
	encoders.aae.arguments.critic_width=256 encoders.aae.training.steps=600 \
	encoders.orb.images.size=128 encoders.flipped_aae.arguments.width=8 \
	encoders.flipped_aae.arguments.latent_dim=128 encoders.flipped_aae.training.steps=300

compare-small: $(READY)
	$(REPLEARN) phantoms runs/small/data --count 1200 --channels 3 $(REPLACE)
	$(REPLEARN) compare configs/seed-2018.yaml runs/small/data runs/small \
		$(SMALL:%=--set %) --jobs 2 $(REPLACE)

# The stages on your own images -------------------------------------------------------------------

# DATA holds images/, train-concepts.*, and valid-concepts.* (else it is split from train).  What is
# to be predicted is test-concepts.* or test-images.txt; without either, the validation images.
# The organisers' names, with _ for -, will do.  Without a list of test images, images/test has
# them, in natural order.  groups.tsv keeps the images of a patient together: in one part of a split,
# and apart from each other where the validation list is given.
#
# In the organisers' download of 2026, dev_concept/ has images/ and one concepts.csv, whose ids say
# which are for validation, and test/images the test images; TRACK=synth takes dev_concept_synth/ and
# test_synth/.  What lies in them may also lie in DATA itself.
SUFFIX := $(if $(TRACK),_$(TRACK))
DEV    := $(firstword $(wildcard $(DATA)/dev_concept$(SUFFIX)) $(DATA))
TESTED := $(wildcard $(DATA)/test$(SUFFIX)/images)
lists = $(wildcard $(foreach folder,$(DEV) $(DATA),$(foreach name,$(1), \
	$(folder)/$(name).* $(folder)/$(subst -,_,$(name)).*)))
TRAIN_LIST := $(firstword $(call lists,train-concepts) $(call lists,concepts))
VALID_LIST := $(firstword $(call lists,valid-concepts))
BY_IDS     := $(if $(call lists,train-concepts),,$(TRAIN_LIST))
GROUPS     := $(firstword $(call lists,groups))
ifneq ($(BY_IDS),)
DIVIDE := --by-ids
else ifeq ($(VALID_LIST),)
DIVIDE := --stratify $(if $(GROUPS),--groups $(GROUPS))
endif
ifneq ($(DIVIDE),)
LEARN  := $(RUN)/split/train-concepts.tsv
CHOOSE := $(RUN)/split/valid-concepts.tsv
else
LEARN  := $(TRAIN_LIST)
CHOOSE := $(VALID_LIST)
# What `split` writes needs none.
READING := $(LABELS)
endif
APART  := $(if $(GROUPS),$(if $(or $(VALID_LIST),$(BY_IDS)),--groups $(GROUPS)))
# Images in two places are one folder of links.
IMAGES := $(if $(TESTED),$(RUN)/images,$(DEV)/images)
TESTED := $(or $(TESTED),$(wildcard $(DEV)/images/test))
ASKED  := $(firstword $(call lists,test-concepts test-images) \
	$(if $(TESTED),$(RUN)/test-images.txt) $(CHOOSE))

train: $(RUN)/encoder/encoder.json
extract: $(RUN)/train.h5 $(RUN)/valid.h5 $(RUN)/test.h5
classify: $(DETECTOR)/detector.json
index: $(RUN)/index/index.json
predict: $(DETECTOR).csv
imageclef: predict
	@echo "To send: $(DETECTOR).csv, or the zip beside it where the edition wants one"

ifneq ($(filter train extract classify index predict query imageclef,$(MAKECMDGOALS)),)
ifneq ($(words x$(DATA)x$(CONFIG)x$(NAME)),1)
$(error DATA="$(DATA)" CONFIG="$(CONFIG)" NAME="$(NAME)": make takes no spaces in paths; give a link \
	that has none, as after: ln -s "$(or $(DATA),folder)" mydata)
endif
ifneq ($(and $(TRACK),$(filter $(DATA),$(DEV))),)
$(error TRACK="$(TRACK)": there is no $(DATA)/dev_concept$(SUFFIX))
endif
ifeq ($(and $(TRAIN_LIST),$(wildcard $(DEV)/images)),)
$(error DATA="$(DATA)": give DATA=folder with images/ and train-concepts.tsv, \
	or with the organisers' dev_concept*/)
endif
endif

$(RUN): | $(READY)
	@mkdir -p $@

$(RUN)/images: | $(RUN)
	@mkdir -p $@
	@ln -sfn $(abspath $(DEV)/images) $@/dev
	@ln -sfn $(abspath $(TESTED)) $@/test

$(RUN)/test-images.txt: FORCE | $(RUN) $(IMAGES)
	$(REPLEARN) ids $(IMAGES) --within test --ids-from $(IDS_FROM) --out $@.new --overwrite
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(RUN)/split/train-concepts.tsv: $(TRAIN_LIST) $(GROUPS) $(RUN)/.labels | $(RUN)
	$(REPLEARN) split $(TRAIN_LIST) $(RUN)/split $(DIVIDE) $(LABELS) --overwrite
	@touch $@

$(RUN)/split/valid-concepts.tsv: $(RUN)/split/train-concepts.tsv ;

# A setting that changed, or images that came, went or were replaced, make stale what depends on them.
# `find` tells of links that lead in a circle, which are no concern of ours.
$(RUN)/.images: FORCE | $(RUN) $(IMAGES)
	@state="$(SIZE) $(CHANNELS) $(FIT) $(IDS_FROM) \
		$$(find -L $(IMAGES) -type f -printf '%P %s %T@\n' 2>/dev/null | LC_ALL=C sort | cksum)"; \
		echo "$$state" | cmp -s - $@ || echo "$$state" > $@

$(RUN)/.config: FORCE | $(RUN)
	@echo '$(CONFIG)' | cmp -s - $@ || echo '$(CONFIG)' > $@

$(RUN)/.labels: FORCE | $(RUN)
	@echo "$(LABELS)" | cmp -s - $@ || echo "$(LABELS)" > $@

FORCE:

$(RUN)/images.h5: $(IMAGES) $(RUN)/.images
	$(REPLEARN) prepare $(IMAGES) $@ --size $(SIZE) --channels $(CHANNELS) --fit $(FIT) \
		--ids-from $(IDS_FROM) --overwrite
	@touch $@

$(RUN)/encoder/encoder.json: $(CONFIG) $(RUN)/.config $(RUN)/.labels $(RUN)/images.h5 $(LEARN) $(CHOOSE)
	$(REPLEARN) train $(CONFIG) $(RUN)/images.h5 $(RUN)/encoder --ids $(LEARN) \
		--valid-concepts $(CHOOSE) $(READING) --resume $(REPLACE)
	@touch $@

$(RUN)/train.h5: LIST = $(LEARN)
$(RUN)/valid.h5: LIST = $(CHOOSE)
$(RUN)/test.h5: LIST = $(ASKED)
$(RUN)/train.h5: $(LEARN)
$(RUN)/valid.h5: $(CHOOSE)
$(RUN)/test.h5: $(ASKED)
$(RUN)/train.h5 $(RUN)/valid.h5 $(RUN)/test.h5: $(RUN)/encoder/encoder.json
	$(REPLEARN) extract $(RUN)/encoder $(RUN)/images.h5 $@ --ids $(LIST) --overwrite
	@touch $@

$(DETECTOR)/detector.json: $(RUN)/train.h5 $(RUN)/valid.h5 $(LEARN) $(CHOOSE)
	$(REPLEARN) classify $(RUN)/train.h5 $(LEARN) $(RUN)/valid.h5 $(CHOOSE) $(DETECTOR) \
		--method $(METHOD) --edition $(EDITION) $(READING) $(APART) --overwrite
	@touch $@

$(DETECTOR).csv: $(DETECTOR)/detector.json $(RUN)/test.h5 $(ASKED)
	$(REPLEARN) predict $(DETECTOR) $(RUN)/test.h5 $@ --edition $(EDITION) --ids $(ASKED) --overwrite
	$(REPLEARN) validate $@ $(ASKED) --edition $(EDITION)
	@touch $@

$(RUN)/index/index.json: $(RUN)/train.h5 $(LEARN)
	$(REPLEARN) index $(RUN)/train.h5 $(RUN)/index --concepts $(LEARN) $(READING) --overwrite
	@touch $@

query: $(RUN)/index/index.json
	$(REPLEARN) query $(RUN)/index '$(IMAGE)'

# Checks ------------------------------------------------------------------------------------------

check: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python .ci/sizes.py
	@! git grep -nE '^(<<<<<<<|>>>>>>>) '

test: $(READY)
	$(VENV)/bin/pytest -n auto --maxprocesses 8 -m "not slow"

test-extras:
	$(MAKE) setup EXTRAS=$(OPTIONAL)
	$(VENV)/bin/pytest -n auto --maxprocesses 8 $(addprefix tests/,$(NEEDY:=.py))

test-all: $(READY)
	$(VENV)/bin/pytest --hypothesis-profile "new examples"

wheel:
	.ci/wheel $(PYTHON)

clean:
	rm -rf runs/demo

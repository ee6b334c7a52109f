# One command a target. `python3 -m scripts COMMAND` does the work and its own set-up.
PYTHON ?= python3
CLUSTER ?= compose/cluster.toml
RUN_DIR ?= run
RUNTIME ?=
MODELS ?= models
WANWU = $(PYTHON) -m scripts
# From the command line alone: some shells have a NAME of their own.
option = $(if $(filter command,$(firstword $(origin $(1)))),$($(1)))
PLACE = --cluster "$(CLUSTER)" --run-dir "$(RUN_DIR)" --runtime "$(RUNTIME)"
IMAGES = --calibration "$(call option,CALIBRATION)" --prepare "$(call option,PREPARE)"
MODEL = $(IMAGES) \
  --name "$(call option,NAME)" --loader "$(call option,LOADER)" \
  --architecture "$(call option,ARCHITECTURE)" --channels "$(call option,CHANNELS)" --golden "$(call option,GOLDEN)" \
  --labels "$(call option,LABELS)" \
  --retired "$(foreach one,$(filter LABELS_%,$(.VARIABLES)),$(if $(call option,$(one)),$(one)=$($(one))))" \
  --templates "$(call option,TEMPLATES)" \
  $(if $(call option,TRUST_CODE),--trust-code) $(if $(call option,FORCE),--force)
MEASURE = --out "$(or $(call option,OUT),bench)" --photos "$(call option,PHOTOS)" --rounds "$(or $(call option,ROUNDS),0)" \
  $(if $(call option,QUICK),--quick) --subjects "$(call option,SUBJECTS)"
RANDOM_INPUTS = --minutes "$(or $(call option,MINUTES),5)" --targets "$(call option,TARGETS)" \
  --seed "$(or $(call option,SEED),0)" --out "$(or $(call option,OUT),fuzz)" --input "$(call option,INPUT)"
PUBLISHED = --source "$(call option,SOURCE)" --revision "$(call option,REVISION)" --sha256 "$(call option,SHA256)"

SERVERS = --hosts "$(call option,HOSTS)" --bundle "$(or $(call option,BUNDLE),bundle)" \
  --models "$(call option,SOURCE)" --join "$(call option,JOIN)" --gpu "$(or $(call option,GPU),auto)"

.DEFAULT_GOAL := help
.PHONY: help up down status logs rollout rollback drain doctor init slots models model-add model-fetch model-prepare model-verify evaluate use wheelhouse base-image bundle bundle-verify k8s test test-unit fuzz format lock version release photos bench bench-peers

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nWith any of them: RUNTIME=local, compose or swarm, CLUSTER=FILE (%s), RUN_DIR=DIR (%s).\n' "$(CLUSTER)" "$(RUN_DIR)"

##@ Serving
up: ## Bring the service up: set-up, workers, Nginx; ends with a real answer
	@$(WANWU) up $(PLACE)

down: ## Stop everything; what is in flight is answered first
	@$(WANWU) down $(PLACE)

rollout: ## Replace the workers one at a time, losing no request
	@$(WANWU) rollout $(PLACE)

rollback: ## Under Swarm: bring back what served before the last change, one worker at a time
	@$(WANWU) rollback $(PLACE)

drain: ## Under Swarm: stop what runs on one server, so that it may be taken away: SERVER=...
	@$(WANWU) drain $(PLACE) --server "$(call option,SERVER)"

##@ Looking
status: ## Every slot, its worker and its state
	@$(WANWU) status $(PLACE)

logs: ## The end of every log; FOLLOW=1 goes on as they grow
	@$(WANWU) logs $(PLACE) $(if $(FOLLOW),--follow)

slots: ## This server's slots, as init-server.sh writes them; SERVER=NAME, GPU=none
	@$(WANWU) slots $(PLACE) --server "$(call option,SERVER)" --gpu "$(or $(call option,GPU),auto)"

init: ## Make bare servers members, over SSH: HOSTS="root@a root@b", BUNDLE=DIR (bundle), SOURCE=..., JOIN=..., GPU=none
	@$(WANWU) init $(PLACE) $(SERVERS)

doctor: ## What this machine has, and what it lacks
	@$(WANWU) doctor $(PLACE)

##@ Models
models: ## Every model folder, served or not; MODELS=DIR (models) holds them, NAME=... for all measured of one
	@$(WANWU) models $(PLACE) --models "$(MODELS)" --name "$(call option,NAME)"

model-add: ## Make a model folder from files at hand: SOURCE=PATH NAME=..., more in the README
	@$(WANWU) model-add $(PLACE) --models "$(MODELS)" --source "$(call option,SOURCE)" $(MODEL)

model-fetch: ## Fetch a published model where there is a network: SOURCE=hf:ORG/NAME, more in the README
	@$(WANWU) model-fetch $(PLACE) --models "$(MODELS)" $(PUBLISHED) $(MODEL)

model-prepare: ## Measure engines on this machine again; NAME=... for one, CALIBRATION=DIR of own images, PREPARE=quick
	@$(WANWU) model-prepare $(PLACE) --models "$(MODELS)" --name "$(call option,NAME)" $(IMAGES)

model-verify: ## Check model folders as a starting worker does, no network needed; NAME=... for one, JSON=1
	@$(WANWU) model-verify $(PLACE) --models "$(MODELS)" --name "$(call option,NAME)" $(if $(call option,JSON),--json)

evaluate: ## How often a model is right: NAME=..., IMAGES=DIR with a folder per class, or a CSV of file,label; OUT=DIR
	@$(WANWU) evaluate $(PLACE) --models "$(MODELS)" --name "$(call option,NAME)" --images "$(call option,IMAGES)" --out "$(call option,OUT)"

use: ## Serve another model folder, losing no request: NAME=..., INSTEAD_OF=... where several are served
	@$(WANWU) use $(PLACE) --models "$(MODELS)" --name "$(call option,NAME)" --instead-of "$(call option,INSTEAD_OF)"

##@ Containers
wheelhouse: ## Fetch the wheels that images are built from, so that a build needs no package index
	@$(WANWU) wheelhouse $(PLACE)

bundle: ## All that bare servers need, in one directory: MODELS=a,b (the served), SYSTEMS=debian-12,... (all), OUT=DIR (bundle)
	@$(WANWU) bundle $(PLACE) --include "$(call option,MODELS)" --systems "$(call option,SYSTEMS)" --out "$(or $(call option,OUT),bundle)"

bundle-verify: ## Check a bundle wherever it was carried, no network needed; BUNDLE=DIR (bundle)
	@$(WANWU) bundle-verify $(PLACE) --bundle "$(or $(call option,BUNDLE),bundle)"

k8s: ## A Kustomize overlay for Kubernetes; GPU=1 for workers with a GPU each, OUT=DIR (k8s)
	@$(WANWU) k8s $(PLACE) --out "$(or $(call option,OUT),k8s)" $(if $(call option,GPU),--gpu)

base-image: ## Make the images' base from Debian packages, where no registry can be reached
	@scripts/base-image.sh

##@ Developing
test: ## Lint, types and all tests, with all they need; TESTS=... for some of them
	@$(WANWU) test $(if $(TESTS),-- $(TESTS))

test-unit: ## The tests that start no process
	@$(WANWU) test-unit $(PLACE)

fuzz: ## Random inputs for every parser, in MINUTES=N (5); TARGETS=a,b (all), SEED=N (0), OUT=DIR (fuzz), INPUT=FILE for one again
	@$(WANWU) fuzz $(PLACE) $(RANDOM_INPUTS)

format: ## Mend what ruff can mend by itself, and lay out the Python code
	@$(WANWU) format

lock: ## Make every lock file again from its .in file; UPGRADE=all, or names, takes the newest
	@$(WANWU) lock --upgrade "$(call option,UPGRADE)"

version: ## The version of this checkout or kit
	@$(WANWU) version

release: ## Check that this tree is the release VERSION=X.Y.Z, and tag it
	@$(WANWU) release --version "$(call option,VERSION)"

photos: ## Make the embedded model folder again, and say how it differs; WHEELS=DIR, OUT=DIR (worker/photos)
	@$(WANWU) photos $(PLACE) --wheels "$(call option,WHEELS)" --out "$(or $(call option,OUT),worker/photos)"

bench: ## Rate, latency, memory and start-up of every way to serve; QUICK=1, ROUNDS=N (3), SUBJECTS=a,b (all), PHOTOS=DIR, OUT=DIR (bench)
	@$(WANWU) bench $(PLACE) $(MEASURE)

bench-peers: ## The same with MOSEC, LitServe and BentoML, installed for it
	@$(WANWU) bench-peers $(PLACE) $(MEASURE)

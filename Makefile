# One command a target. `python3 -m scripts COMMAND` does the work and its own set-up.
PYTHON ?= python3
CLUSTER ?= compose/cluster.toml
RUN_DIR ?= run
RUNTIME ?=
MODELS ?= models
WANWU = $(PYTHON) -m scripts
# From the command line alone: some shells have a NAME of their own.
given = $(if $(filter command,$(firstword $(origin $(1)))),$($(1)))
PLACE = --cluster "$(CLUSTER)" --run-dir "$(RUN_DIR)" --runtime "$(RUNTIME)"
AT_HAND = --path "$(call given,SOURCE)" --name "$(call given,NAME)" --loader "$(call given,LOADER)" \
  --architecture "$(call given,ARCHITECTURE)" --golden "$(call given,GOLDEN)" \
  --labels-en "$(call given,LABELS_EN)" --labels-zh "$(call given,LABELS_ZH)" \
  $(if $(call given,TRUST_CODE),--trust-code) $(if $(call given,FORCE),--force)

.DEFAULT_GOAL := help
.PHONY: help up down status logs rollout doctor models model-add model-verify wheelhouse base-image test bench

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nWith any of them: RUNTIME=local or compose, CLUSTER=FILE (%s), RUN_DIR=DIR (%s).\n' "$(CLUSTER)" "$(RUN_DIR)"

##@ Serving
up: ## Bring the service up: set-up, workers, Nginx; ends with a real answer
	@$(WANWU) up $(PLACE)

down: ## Stop everything; what is in flight is answered first
	@$(WANWU) down $(PLACE)

rollout: ## Replace the workers one at a time, losing no request
	@$(WANWU) rollout $(PLACE)

##@ Looking
status: ## Every slot, its worker and its state
	@$(WANWU) status $(PLACE)

logs: ## The end of every log; FOLLOW=1 goes on as they grow
	@$(WANWU) logs $(PLACE) $(if $(FOLLOW),--follow)

doctor: ## What this machine has, and what it lacks
	@$(WANWU) doctor $(PLACE)

##@ Models
models: ## Every model folder, and whether it is served and verified; MODELS=DIR (models) holds them
	@$(WANWU) models $(PLACE) --models "$(MODELS)"

model-add: ## Make a model folder from files at hand: SOURCE=PATH NAME=..., more in the README
	@$(WANWU) model-add $(PLACE) --models "$(MODELS)" $(AT_HAND)

model-verify: ## Check model folders as a starting worker does, no network needed; NAME=... for one, JSON=1
	@$(WANWU) model-verify $(PLACE) --models "$(MODELS)" --name "$(call given,NAME)" $(if $(call given,JSON),--json)

##@ Containers
wheelhouse: ## Fetch the wheels that images are built from, so that a build needs no package index
	@$(WANWU) wheelhouse $(PLACE)

base-image: ## Make the images' base from Debian packages, where no registry can be reached
	@scripts/base-image.sh

##@ Developing
test: ## Lint, types and all tests, with all they need; TESTS=... for some of them
	@$(WANWU) test $(if $(TESTS),-- $(TESTS))

bench: ## Start-up time and memory, of processes and of containers
	@$(WANWU) bench $(PLACE)

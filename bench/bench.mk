.PHONY: bench
bench: ## every budget against its floor and its peers (fifteen minutes); QUICK=1: a smoke test
	@QUICK=$(QUICK) INSTALL=$(INSTALL) CC="$(CC)" CXX="$(CXX)" python3 bench/run.py
.PHONY: vision
vision: ## pre- and postprocessing against OpenCV and NumPy (a minute); needs numpy and opencv-python-headless
	@$(or $(PYTHON),python3) bench/vision.py
.PHONY: infer
infer: ## the inference operator in Python over ONNX Runtime's own calls (a minute); needs numpy, onnxruntime and the module
	@$(or $(PYTHON),python3) bench/infer.py

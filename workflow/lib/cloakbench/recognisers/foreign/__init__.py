"""Networks that bring their own graph: exported by torch, or ONNX."""

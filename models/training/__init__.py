"""Training of the zoo's own networks, and how they become int8 ONNX files.

Only `module`, `loop` and the scripts that use them import PyTorch (extra `train`); nothing outside this package does.
"""

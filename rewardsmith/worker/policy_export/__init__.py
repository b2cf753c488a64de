"""Trained policies in formats of others: ONNX, TorchScript, stable-baselines3; normalisation is inside of each.

export_job      the job: reads a policy's folder and writes one file
onnx_graph      the policy as an ONNX graph
torch_module    the policy as a module of torch, for TorchScript
sb3_model       the policy as a model of stable-baselines3
sb3_policy      its policy class that normalises observations; the file carries the class along
"""

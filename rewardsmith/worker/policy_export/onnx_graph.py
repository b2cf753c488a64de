"""ONNX graph of a policy: normalisation in float64, the network in float32, the action inside its bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import ConfigError
from rewardsmith.worker.training.images import STRIDES, Image, find_plain_columns, prefix_part
from rewardsmith.worker.training.policy import VARIANCE_FLOOR, Policy

OPSET = 17
IR_VERSION = 8
"""Old enough for every onnxruntime since 1.12."""
METADATA_KEY = "rewardsmith"
INPUT, OUTPUT = "observation", "action"


def write_onnx(policy: Policy, description: str, path: Path) -> None:
    """Write a policy as an ONNX model; the input is `observation` (n, obs_dim), the output `action`.

    Args:
        policy: the policy.
        description: JSON for the model's metadata, under the key "rewardsmith".
        path: the file.

    Raises:
        ConfigError: if the package onnx is missing.
    """
    try:
        import onnx
    except ImportError as error:
        raise ConfigError(f"--policy onnx needs the package onnx ({error}): pip install 'rewardsmith[onnx]'") from error
    model = _GraphBuilder(policy).build()
    onnx.helper.set_model_props(model, {METADATA_KEY: description})
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


class _GraphBuilder:
    """Builds the graph node by node; each method returns the name of its output."""

    def __init__(self, policy: Policy) -> None:
        import onnx

        self._policy, self._helper, self._numpy = policy, onnx.helper, onnx.numpy_helper
        self._types = onnx.TensorProto
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def build(self) -> Any:
        """Return the model."""
        policy, spec = self._policy, self._policy.spec

        # Input: numbers in float64, or an image's bytes as the environment gives them.
        element = self._types.DOUBLE if spec.image is None else self._types.UINT8
        size = [policy.obs_dim] if spec.image is None else list(spec.image.env_shape)
        observation = self._helper.make_tensor_value_info(INPUT, element, ["n", *size])

        # The network, and the action that its output stands for.
        out = self._add_network(self._add_features())
        is_choice = spec.action == "discrete"
        self._add_action(out)
        action = self._helper.make_tensor_value_info(
            OUTPUT,
            self._types.INT64 if is_choice else self._types.FLOAT,
            ["n"] if is_choice else ["n", len(spec.action_low)],
        )
        graph = self._helper.make_graph(self._nodes, "policy", [observation], [action], self._constants)
        opset = self._helper.make_opsetid("", OPSET)
        return self._helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="rewardsmith")

    def _add_normalisation(self) -> str:
        """Normalise and clip the observation as the training did, in float64; then go on in float32."""
        tensors, spec, value = self._policy.tensors, self._policy.spec, INPUT
        if spec.normalize_obs:
            scale = np.sqrt(tensors["obs_var"] + VARIANCE_FLOOR)
            value = self._add("Sub", value, self._constant(np.asarray(tensors["obs_mean"], np.float64)))
            value = self._add("Div", value, self._constant(np.asarray(scale, np.float64)))
            bounds = [self._constant(np.array(sign * spec.clip_obs)) for sign in (-1.0, 1.0)]
            value = self._add("Clip", value, *bounds)
        return self._add("Cast", value, to=self._types.FLOAT)

    def _add_features(self) -> str:
        """Turn the observation into the input of the actor's first layer."""
        policy, spec = self._policy, self._policy.spec
        if spec.image is not None:
            pixels = self._add("Cast", INPUT, to=self._types.FLOAT)
            return self._add_convolutions(
                self._add("Div", pixels, self._constant(np.array(255.0, np.float32))), spec.image, ""
            )
        value = self._add_normalisation()
        if not spec.image_parts:
            return value

        # Images among numbers: the numbers, followed by the features of each image.
        plain = self._constant(find_plain_columns(policy.obs_dim, spec.image_parts).astype(np.int64))
        features = [self._add("Gather", value, plain, axis=1)]
        for number, part in enumerate(spec.image_parts):
            places = self._constant(np.arange(part.columns.start, part.columns.stop, dtype=np.int64))
            shape = self._constant(np.array([-1, *part.image.env_shape], np.int64))
            pixels = self._add("Reshape", self._add("Gather", value, places, axis=1), shape)
            features.append(self._add_convolutions(pixels, part.image, prefix_part(number)))
        return self._add("Concat", *features, axis=1)

    def _add_convolutions(self, value: str, image: Image, prefix: str) -> str:
        """Apply the convolutions to images between 0 and 1; see `worker.training.images`."""
        tensors = self._policy.tensors
        if not image.channels_first:
            value = self._add("Transpose", value, perm=[0, 3, 1, 2])
        for layer, stride in enumerate(STRIDES):
            weight, bias = (self._constant(tensors[f"{prefix}conv.{layer}.{part}"]) for part in ("weight", "bias"))
            value = self._add("Relu", self._add("Conv", value, weight, bias, strides=[stride, stride]))
        value = self._add("Flatten", value, axis=1)
        return self._add("Relu", self._add_layer(f"{prefix}features", value))

    def _add_network(self, value: str) -> str:
        """Apply the actor's layers; the last has no activation."""
        spec = self._policy.spec
        for layer in range(len(spec.net_arch) + 1):
            value = self._add_layer(f"actor.{layer}", value)
            if layer < len(spec.net_arch):
                value = self._add(spec.activation.capitalize(), value)
        return value

    def _add_action(self, value: str) -> None:
        """Turn the network's output into the action: the likeliest choice, or numbers inside their bounds."""
        spec = self._policy.spec
        if spec.action == "discrete":
            self._add("ArgMax", value, output=OUTPUT, axis=1, keepdims=0)
            return
        low, high = np.array(spec.action_low), np.array(spec.action_high)
        if spec.squash:
            value = self._add("Tanh", value)
            half = self._constant(np.asarray(0.5 * (high - low), np.float32))
            value = self._add("Mul", value, half)
            self._add("Add", value, self._constant(np.asarray(0.5 * (high + low), np.float32)), output=OUTPUT)
            return
        value = self._add("Max", value, self._constant(low.astype(np.float32)))
        self._add("Min", value, self._constant(high.astype(np.float32)), output=OUTPUT)

    def _add_layer(self, name: str, value: str) -> str:
        weight, bias = (self._constant(self._policy.tensors[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self._add("Gemm", value, weight, bias, transB=1)

    def _constant(self, array: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(self._numpy.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return name

    def _add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"value_{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(operator, list(inputs), [name], **attributes))
        return name

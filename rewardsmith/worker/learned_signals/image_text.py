"""The provider `image_text`: the likeness of a picture of the environment to a sentence, by an open CLIP.

Rocamonde et al., "Vision-Language Models are Zero-Shot Reward Models for Reinforcement Learning", 2023
(arXiv:2310.12921), section 3. The model is transformers' (extra `vlm`), with weights from a folder, the library's cache
or the Hugging Face Hub; they are read as safetensors, so that no code comes with them.
"""

from __future__ import annotations

import importlib.util
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.learned_signals import ImageTextOptions, read_options
from rewardsmith.worker.learned_signals.base import Array, Frame, Moments, ProviderContext

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = 32
"""Pictures that go through the model at once."""
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Mean and deviation of CLIP's training pictures, by channel; used where the weights come without their own."""
INSTALL = "pip install 'rewardsmith[vlm]'"


class ImageTextProvider:
    """Source of the likeness of pictures to a sentence; see `base.SignalProvider`."""

    reads: tuple[str, ...] = ()

    def __init__(self, context: ProviderContext) -> None:
        """Load the model and embed the sentences.

        Raises:
            TaskError: if transformers is not installed, or the weights cannot be had.
        """
        self._name = context.signal.name
        options = read_options(ImageTextOptions, context.signal)
        self.frame_stride: int | None = options.every
        where = f"learned signal {self._name!r}"
        self._clip = Clip(options.model, where)
        goal, *baseline = self._clip.embed_texts([options.text, *([options.baseline] if options.baseline else [])])
        self._likeness = GoalLikeness(goal, baseline[0] if baseline else None, options.alpha)
        self._pictures, self._seconds = 0, 0.0

    def compute_values(self, moments: Moments) -> Array:
        """Return the likeness at each moment (m,) that has a picture; NaN, which holds the last one, elsewhere."""
        began = time.perf_counter()
        values = np.full(moments.m, np.nan)
        for first in range(0, len(moments.frames), BATCH):
            places = moments.frame_moments[first : first + BATCH]
            values[places] = self._likeness.measure(self._clip.embed_frames(moments.frames[first : first + BATCH]))
        self._pictures += len(moments.frames)
        self._seconds += time.perf_counter() - began
        return values

    @property
    def remark(self) -> str | None:
        """The speed so far, in a line for people."""
        if not self._pictures:
            return None
        speed = self._pictures / max(self._seconds, 1e-9)
        return (
            f"the learned signal {self._name!r} looks at {speed:,.0f} pictures a second on this machine, one in every"
            f" {self.frame_stride} steps: at most {speed * (self.frame_stride or 1):,.0f} environment steps a second"
        )

    def close(self) -> None:
        """Say how fast it was, in the job's log."""
        if self.remark:
            print(self.remark, flush=True)  # noqa: T201 - worker.log is this process's standard output


class GoalLikeness:
    """Likeness of pictures to a goal, with the goal-baseline regularisation of the paper."""

    def __init__(self, goal: torch.Tensor, baseline: torch.Tensor | None, alpha: float) -> None:
        """Prepare the measure.

        Args:
            goal: (d,), of length 1: the embedded sentence.
            baseline: (d,), likewise; None for the plain likeness.
            alpha: strength of the regularisation, 0 to 1.
        """
        self._goal = goal
        self._projection = torch.eye(len(goal), device=goal.device)
        if baseline is not None:
            direction = functional.normalize(goal - baseline, dim=0)
            line = torch.outer(direction, direction)
            self._projection = alpha * line + (1.0 - alpha) * self._projection

    def measure(self, pictures: torch.Tensor) -> Array:
        """Return 1 - |alpha proj_L(s) + (1 - alpha) s - g|^2 / 2 for embedded pictures s (f, d) of length 1.

        As the goal g lies on the line L through baseline and goal, that is the length of (s - g) after the projection.
        Without a baseline it is the cosine of s and g.
        """
        distance = torch.linalg.vector_norm((pictures - self._goal) @ self._projection, dim=-1)
        return np.asarray((1.0 - 0.5 * distance**2).double().cpu().numpy())


class Clip:
    """A CLIP of transformers: sentences and pictures as vectors of length 1."""

    def __init__(self, model: str, where: str) -> None:
        """Load the weights, from this machine if they are there.

        Args:
            model: a folder, or the id of a repository of the Hub.
            where: the model is named, for messages.

        Raises:
            TaskError: if transformers is not installed, the weights cannot be had, or they are of another kind.
        """
        if importlib.util.find_spec("transformers") is None:
            raise TaskError(f"{where}: image_text needs transformers: {INSTALL}")
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        loaded = _load_pretrained(AutoModel, model, where, use_safetensors=True)
        if not hasattr(loaded, "get_image_features"):
            raise TaskError(f"{where}: {model!r} is a {type(loaded).__name__}, which is no CLIP")
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model: Any = loaded.eval().to(self._device)
        self._tokenizer = _load_pretrained(AutoTokenizer, model, where)
        self._size = int(self._model.config.vision_config.image_size)
        mean, std = _read_normalisation(model)
        self._mean, self._std = (torch.tensor(c, device=self._device).reshape(1, 3, 1, 1) for c in (mean, std))

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return sentences as vectors (t, d) of length 1."""
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt").to(self._device)
        return _normalise(self._model.get_text_features(**tokens))

    @torch.no_grad()
    def embed_frames(self, frames: Sequence[Frame]) -> torch.Tensor:
        """Return pictures, all of one shape, as vectors (f, d) of length 1; the middle square of each is looked at."""
        pixels = torch.from_numpy(np.stack(frames)).to(self._device).permute(0, 3, 1, 2).float() / 255.0
        height, width = pixels.shape[2:]
        scale = self._size / min(height, width)
        size = [max(self._size, round(side * scale)) for side in (height, width)]
        resized = functional.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(0.0, 1.0)
        top, left = (size[0] - self._size) // 2, (size[1] - self._size) // 2
        square = resized[:, :, top : top + self._size, left : left + self._size]
        return _normalise(self._model.get_image_features(pixel_values=(square - self._mean) / self._std))


def _load_pretrained(kind: Any, model: str, where: str, **arguments: Any) -> Any:
    """Return a part of a model from this machine, else from the Hub.

    Raises:
        TaskError: if it is in neither.
    """
    try:
        return kind.from_pretrained(model, local_files_only=True, **arguments)
    except (OSError, ValueError):
        pass
    try:
        return kind.from_pretrained(model, **arguments)
    except (OSError, ValueError) as error:
        cause = str(error).strip().partition("\n")[0]
        raise TaskError(
            f"{where}: the weights of {model!r} cannot be loaded: {cause} Name a folder with a CLIP of transformers in"
            " safetensors (model = PATH), or fetch them where there is a network: hf download ID"
        ) from error


def _read_normalisation(model: str) -> tuple[Sequence[float], Sequence[float]]:
    """Return mean and standard deviation of the pictures that a model was trained on, by channel."""
    from transformers.image_processing_base import ImageProcessingMixin

    try:
        read, _ = ImageProcessingMixin.get_image_processor_dict(model, local_files_only=True)
    except (OSError, ValueError):
        read = {}
    return read.get("image_mean", CLIP_MEAN), read.get("image_std", CLIP_STD)


def _normalise(features: Any) -> torch.Tensor:
    """Return features (k, d) with length 1; newer versions of the library wrap them into an output."""
    tensor = features if isinstance(features, torch.Tensor) else features.pooler_output
    return functional.normalize(tensor, dim=-1)

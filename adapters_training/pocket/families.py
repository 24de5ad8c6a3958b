"""The pocket families: one row each of what the training of a base must know about an architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boxlist.adapters_training.pocket import architecture_gemma4 as gemma4
from boxlist.adapters_training.pocket import architecture_qwen3vl as qwen3vl
from boxlist.protocols import PROTOCOLS, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from torch.nn import Parameter

    from boxlist.adapters_training.pocket.reading import Read


@dataclass(frozen=True)
class Markup:
    """What stands around a question, its picture and its answer.

    `names` is what the family's processor asks its tokenizer for, such as `image_token`.
    """

    before_image: str
    image: str
    after_image: str
    ask: str  # ends the question and begins the answer
    end: str  # ends the answer
    special: tuple[str, ...]
    padding: str
    template: str
    beginning: str | None = None
    names: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Family:
    """One architecture: how it writes numbers, cuts pictures into tokens, marks turns, sees and reads.

    `full_scale` is the number that stands for the whole side of a picture of 224 pixels, `digits` the units of those
    digits of a number that the dense head says, and a point's numbers have `point_decimals` of those digits behind the
    point. A family of `fixed_length` reads batches that are padded to their limit, since its layers are compiled.
    """

    name: str
    protocol: Protocol
    full_scale: int
    digits: tuple[int, ...]
    point_decimals: int
    grid: int
    width: int
    markup: Markup
    gaze_layers: tuple[int, ...]
    subject_heads: tuple[int, ...]
    reference_heads: tuple[int, ...]
    sees_both_ways: bool
    fixed_length: bool
    config: Callable[[int, Mapping[str, int]], Any]
    model_class: str
    image_places: Callable[[int], NDArray[np.int64]]  # from an image's first position to (3, tokens + 1)
    sight: Callable[[Any, NDArray[np.uint8]], Tensor]
    sight_weights: Callable[[Any], Iterator[Parameter]]
    language_weights: Callable[[Any], Iterator[Parameter]]
    read: Callable[..., Read]
    build_processor: Callable[[Any, str], Any]

    @property
    def image_tokens(self) -> int:
        return self.grid**2


_ROLES = (
    "{%- for part in message.content -%}"
    "{%- if part.type == 'image' or 'image' in part or 'image_url' in part -%}"
    "IMAGE"
    "{%- elif 'text' in part -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}"
)
_QWEN3VL = Markup(
    before_image="<|im_start|>user\n<|vision_start|>",
    image="<|image_pad|>",
    after_image="<|vision_end|>",
    ask="<|im_end|>\n<|im_start|>assistant\n",
    end="<|im_end|>",
    special=(
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|image_pad|>",
        "<|video_pad|>",
    ),
    padding="<|endoftext|>",
    template=(
        "{%- for message in messages -%}"
        "<|im_start|>{{ message.role + '\\n' }}"
        "{%- if message.content is string -%}{{ message.content }}"
        "{%- else -%}" + _ROLES.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>") + "{%- endif -%}"
        "{{ '<|im_end|>\\n' }}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
    ),
)
_GEMMA4 = Markup(
    before_image="<bos><|turn>user\n<|image>",
    image="<|image|>",
    after_image="<image|>",
    ask="<turn|>\n<|turn>model\n",
    end="<turn|>",
    special=(
        "<pad>",
        "<bos>",
        "<|turn>",
        "<turn|>",
        "<|image>",
        "<|image|>",
        "<image|>",
        "<|video|>",
        "<|audio>",
        "<|audio|>",
        "<audio|>",
    ),
    padding="<pad>",
    template=(
        "<bos>"
        "{%- for message in messages -%}"
        "<|turn>{{ ('model' if message.role == 'assistant' else message.role) + '\\n' }}"
        "{%- if message.content is string -%}{{ message.content }}"
        "{%- else -%}" + _ROLES.replace("IMAGE", "<|image|>") + "{%- endif -%}"
        "{{ '<turn|>\\n' }}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{ '<|turn>model\\n' }}{%- endif -%}"
    ),
    beginning="<bos>",
    names=(
        ("image_token", "<|image|>"),
        ("boi_token", "<|image>"),
        ("eoi_token", "<image|>"),
        ("video_token", "<|video|>"),
        ("audio_token", "<|audio|>"),
        ("boa_token", "<|audio>"),
        ("eoa_token", "<audio|>"),
        ("sot_token", "<|turn>"),
    ),
)

QWEN3VL = Family(
    name="qwen3vl",
    protocol=PROTOCOLS["norm1000_xyxy"],
    full_scale=1000,
    digits=(100, 10),  # the third is a fifth of a pixel
    point_decimals=1,
    grid=qwen3vl.GRID,
    width=qwen3vl.WIDTH,
    markup=_QWEN3VL,
    gaze_layers=(2, 3),
    subject_heads=(0,),
    reference_heads=(1,),
    sees_both_ways=False,
    fixed_length=False,
    config=qwen3vl.pocket_config,
    model_class="Qwen3VLForConditionalGeneration",
    image_places=qwen3vl.image_places,
    sight=qwen3vl.image_features,
    sight_weights=lambda model: model.model.visual.parameters(),
    language_weights=lambda model: model.model.language_model.parameters(),
    read=qwen3vl.read,
    build_processor=qwen3vl.build_processor,
)
GEMMA4 = Family(
    name="gemma4",
    protocol=PROTOCOLS["pixel_xyxy"],
    full_scale=224,
    digits=(100, 10, 1),
    point_decimals=0,
    grid=gemma4.GRID,
    width=gemma4.WIDTH,
    markup=_GEMMA4,
    gaze_layers=(4, 5),
    subject_heads=(0, 2, 4),  # two heads share keys and values: one of each pair, so that three values are read
    reference_heads=(1, 3),
    sees_both_ways=True,
    fixed_length=True,
    config=gemma4.pocket_config,
    model_class="Gemma4UnifiedForConditionalGeneration",
    image_places=gemma4.image_places,
    sight=gemma4.sight,
    sight_weights=gemma4.sight_weights,
    language_weights=lambda model: model.parameters(),
    read=gemma4.read,
    build_processor=gemma4.build_processor,
)
FAMILIES = {family.name: family for family in (QWEN3VL, GEMMA4)}

"""The `policy` section of the recipe: the weights in training, and LoRA."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

FORBID = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, ser_json_inf_nan="constants")

Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]


class LoraRecipe(BaseModel):
    """LoRA: the base stays as it is, and small matrices beside its linear layers are trained.

        y = W x + (alpha / rank) B A x,  A (rank, in), B (out, rank), B = 0 at the start

    Source: arXiv:2106.09685.
    """

    model_config = FORBID

    rank: int = Field(16, ge=1, description="rows of A and columns of B")
    alpha: float = Field(32.0, gt=0, description="B A is multiplied by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of A's inputs that is dropped")
    targets: Annotated[list[Name], Field(min_length=1)] | None = Field(
        None, description="names of linear layers; null: all of the language model"
    )
    vision: bool = Field(False, description="also layers of the vision tower and projector")
    between: Literal["merge", "continue"] = Field(
        "merge",
        description="GRPO starts a new adapter on SFT's merged weights, or continues SFT's adapter",
    )
    quantize: Literal["4bit"] | None = Field(
        None, description="QLoRA: keep the base's linear layers in 4 bits; needs a GPU"
    )

    @field_validator("quantize")
    @classmethod
    def keeps_the_base(cls, bits: str | None, info: ValidationInfo) -> str | None:
        if bits and info.data.get("between") == "merge":
            raise ValueError(
                "needs policy.lora.between=continue: merged weights would be rounded to 4 bits "
                "before GRPO"
            )
        return bits


class PixelsRecipe(BaseModel):
    """Bounds on the pixels of an image, height times width, as the policy sees it."""

    model_config = FORBID

    min: Count | None = Field(None, description="smaller images are enlarged")
    max: Count | None = Field(None, description="larger images are reduced")


class PolicyRecipe(BaseModel):
    """The weights in training. On a GPU, computation is in bfloat16 either way (autocast)."""

    model_config = FORBID

    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="dtype of the trained weights; bfloat16 loses small updates"
    )
    evaluation_dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of weights that are only read; auto: bfloat16 on a GPU that has it"
    )
    attention: Literal["eager", "sdpa", "flash_attention_2"] | None = Field(
        None, description="how attention is computed; null: what transformers chooses"
    )
    revision: Name | None = Field(None, description="branch, tag or commit of a model on the hub")
    trust_remote_code: bool = Field(
        False, description="run Python code from the model's folder or from the hub"
    )
    pixels: PixelsRecipe | None = Field(None, description="bounds on the pixels of an image")
    processor: dict[str, Any] = Field(
        {}, description="settings of the image processor, by its own names"
    )
    lora: LoraRecipe | None = Field(None, description="train an adapter; null: all weights")

    @field_validator("lora", mode="before")
    @classmethod
    def has_settings(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("give its settings, such as {rank: 16}; {} takes the defaults")
        return value

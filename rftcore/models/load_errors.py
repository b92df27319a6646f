"""What transformers raises when it reads a model, as a `ModelError` with the next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rftcore.errors import ModelError, RftError
from rftcore.models.encoding import sentence

MODEL_PACKAGES = ("torchvision", "num2words", "timm")  # of the extra `models`: some families


@contextmanager
def as_model_errors(source: str | Path) -> Iterator[None]:
    """Turn what transformers raises into a `ModelError`."""
    try:
        yield
    except RftError:
        raise
    except Exception as error:  # damaged files raise almost anything, KeyError to SafetensorError
        text = sentence(error)
        kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
        hub = "" if Path(source).exists() else " is not a folder here, and from the hub it"
        raise ModelError(
            f"model {str(source)!r}{hub} could not be loaded: {kind}{text}. {_remedy(error, text)}"
        ) from error


def _remedy(error: Exception, text: str) -> str:
    """What to do about an exception of transformers whose text is `text`."""
    if "trust_remote_code" in text:
        return (
            "Its folder has Python code that the model needs. Read that code; if you trust it, "
            "--set policy.trust_remote_code=true"
        )
    if "attn_implementation" in text or "attention implementation" in text:
        return "Choose another policy.attention, or leave it out."
    missing = [name for name in MODEL_PACKAGES if name in text.lower()]
    if missing:
        return (
            f"Install what its family needs: pip install 'rftcore[models]' (or pip install "
            f"{' '.join(MODEL_PACKAGES)})"
        )
    if isinstance(error, ImportError):
        return "Install the package that it names."
    if "image processor" in text:
        return (
            "rft trains vision-language models only: pass one to --model, with the files of its "
            "processor beside the weights."
        )
    if not isinstance(error, OSError):
        return (
            "A file of it may be damaged or from another version of transformers: copy or "
            "download it again. RFT_DEBUG=1 shows the traceback."
        )
    return (
        "`--model` takes an offered name (`rft plugins list`), a folder that `save_pretrained` "
        "wrote, or ORG/NAME on the hub."
    )

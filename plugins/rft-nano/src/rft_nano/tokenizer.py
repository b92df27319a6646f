"""A word-level tokenizer that encodes any text without loss.

A Unigram model over whole words: a known word with its leading space is one token,
other text falls back to characters, then to bytes. Decoding returns the text exactly,
except for the character U+2581, which represents a space internally.

A word is the same token at the start of a text, after a space and after a newline,
so that a small model learns it once.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from rft_nano.words import (
    BIGGEST_GLUED,
    BIGGEST_NUMBER,
    JOINED,
    PUNCTUATION,
    TAGS,
    vocabulary,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, END, USER, ASSISTANT, SYSTEM, IMAGE = SPECIALS = (
    "<|pad|>",
    "<|end|>",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
    "<image>",
)
UNKNOWN = "<|unknown|>"
SPACE = "\u2581"

# Images come first, wherever they are in the message: see `rftcore.types.Prompt`.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' -}}"
    "{%- if message['role'] == 'assistant' -%}"
    "{%- generation -%}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}"
    "{%- for part in message['content'] if part['type'] == 'text' -%}"
    "{{- part['text'] -}}{%- endfor -%}"
    "{%- endif -%}"
    "{{- '<|end|>' -}}"
    "{%- endgeneration -%}"
    "{%- else -%}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}"
    "{%- for part in message['content'] if part['type'] == 'image' -%}"
    "{{- '<image>' -}}{%- endfor -%}"
    "{%- for part in message['content'] if part['type'] == 'text' -%}"
    "{{- part['text'] -}}{%- endfor -%}"
    "{%- endif -%}"
    "{{- '<|end|>' -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


def pieces() -> list[tuple[str, float]]:
    """Every token with its score; a higher score wins where two spellings compete."""
    words = vocabulary()
    spaced = [*words, *(word.capitalize() for word in words), *TAGS, *PUNCTUATION]
    spaced += [str(number) for number in range(BIGGEST_NUMBER + 1)]
    whole = [SPACE + word for word in spaced] + [SPACE + "\n", "\n"]
    glued = [*TAGS, *(str(number) for number in range(10, BIGGEST_GLUED + 1)), "s", "ed", "ing"]
    glued += [f"_{word}" for word in JOINED]
    letters = list(string.ascii_letters + string.digits + string.punctuation)
    letters += [SPACE + letter for letter in string.ascii_letters] + [SPACE]
    scored = dict.fromkeys([UNKNOWN, *SPECIALS], 0.0)
    scored |= dict.fromkeys([f"<0x{byte:02X}>" for byte in range(256)], -30.0)
    for group, score in ((whole, -1.0), (glued, -3.0), (letters, -6.0)):
        scored |= {piece: score for piece in group if piece not in scored}
    return list(scored.items())


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer, built from the word list."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
    )
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.Unigram(pieces(), unk_id=0, byte_fallback=True))
    core.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(" ", SPACE),
            normalizers.Replace("\n", "\n" + SPACE),
            normalizers.Prepend(SPACE),
        ]
    )
    core.pre_tokenizer = pre_tokenizers.Split(Regex(SPACE), behavior="merged_with_next")
    core.decoder = decoders.Sequence(
        [
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Replace("\n" + SPACE, "\n"),
            decoders.Replace(SPACE, " "),
            decoders.Strip(" ", 1, 0),
        ]
    )
    core.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIALS]
    )
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        additional_special_tokens=[USER, ASSISTANT, SYSTEM, IMAGE],
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=2048,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer

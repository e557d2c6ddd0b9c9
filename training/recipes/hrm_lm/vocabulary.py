"""Ids back to text, for reports. Byte-level BPE spells each byte as one printable character; here is the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from assets_data.lineage import Snapshot

Decoder = Callable[[Iterable[int]], str]
"""Ids to text; special tokens are left out, broken UTF-8 shows as replacement characters."""


def read_decoder(tokenizer: Snapshot) -> Decoder:
    """The way back for a ``text/tokenizer`` snapshot."""
    document = tokenizer.read_json("tokenizer.json")
    specials = {token["id"] for token in document["added_tokens"]}
    alphabet = byte_alphabet()
    spelled = {
        number: bytes(alphabet[character] for character in token)
        for token, number in document["model"]["vocab"].items()
        if number not in specials
    }
    return lambda ids: b"".join(spelled.get(int(i), b"") for i in ids).decode(errors="replace")


def byte_alphabet() -> dict[str, int]:
    """Character to byte, as byte-level BPE writes them (Radford et al. 2019): printable Latin-1 stands for itself, the
    other bytes are numbered from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{chr(byte): byte for byte in printable}, **{chr(256 + n): byte for n, byte in enumerate(others)}}

"""Random JSON documents, and when two of them say the same."""

from typing import Any

from hypothesis import strategies as st

INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: abs(x) < 2**53 or abs(x) >= 1e21)
"""Between 2**53 and 1e21 a float is written without a point and reads as an integer that JSON's doubles do not hold."""
SCALARS = st.none() | st.booleans() | INTEGERS | FLOATS | st.text()
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)
OBJECTS = st.dictionaries(st.text(), DOCUMENTS, max_size=4)


def meaning(document: Any) -> Any:
    """Equal for documents that say the same in JSON, and no others: true is not 1, 1.0 is 1, members have no order."""
    if isinstance(document, dict):
        return ("object", frozenset((name, meaning(value)) for name, value in document.items()))
    if isinstance(document, list):
        return ("array", tuple(map(meaning, document)))
    if isinstance(document, bool) or document is None or isinstance(document, str):
        return (type(document).__name__, document)
    return ("number", float(document))


def turned(document: Any) -> Any:
    """The same document with every object's members in the opposite order."""
    if isinstance(document, dict):
        return {name: turned(value) for name, value in reversed(document.items())}
    return [turned(item) for item in document] if isinstance(document, list) else document

"""How rows become records: the settings of extraction, the same for every source. Reads nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter

from assets_data.lineage import ConfigError, option
from assets_data.sources.fields import parse_field

SPLIT_NAMES = {
    **{name: "train" for name in ("train", "training")},
    **{name: "validation" for name in ("validation", "valid", "val", "dev")},
    **{name: "test" for name in ("test", "testing")},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QaConfig:
    """Question and answer rows: the prompt is made of question and context, the response of the answer."""

    question: str = option("", "field path of the question; when set, every row is a question with its answer")
    answer: str = option("", "field path of the answer")
    context: str = option("", "field path of a passage that belongs to the question; a row may be without it")
    prompt_template: str = option("{context}\n\n{question}", "the prompt; white space at its ends goes")
    response_template: str = option("{answer}", "the response; white space at its ends goes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractConfig:
    """Rows of jsonl, json, parquet and arrow to records, whatever source the file came from.

    A field path is names with dots and list indices (``a.b[0].c``); a name that holds a dot is a quoted step
    (``["a.text"]``). A list stands for its elements, joined; of a question or an answer only one may be meant.
    """

    fields: tuple[str, ...] = option(("text",), "field paths whose values, joined, are the text; plain .txt has none")
    separator: str = option(
        "\n\n", "what stands between the values of several fields, and between the elements of a list"
    )
    qa: QaConfig = option(QaConfig(), "question and answer rows instead of plain text")
    split_field: str = option(
        "", "field path of the source's own split (train, validation, test, or usual aliases); null: drawn"
    )
    split_paths: tuple[str, ...] = option((), "split=pattern pairs, such as test=*/test-*; the first to match decides")
    carry: tuple[str, ...] = option(
        (), "field paths, such as meta.source, whose values are kept beside each record for `stemma find` and `uses`"
    )
    skip_missing: bool = option(False, "leave out, and count, rows without a value instead of refusing them")
    max_malformed: int = option(0, "malformed rows of a file that are left out and counted before it is refused")
    max_malformed_share: float = option(0.0, "the same as a share of the file's rows; the larger bound holds")

    def __post_init__(self) -> None:
        if problems := _extract_problems(self):
            raise ConfigError("EXTRACT_CONFIG", "; ".join(problems))


def _extract_problems(config: ExtractConfig) -> list[str]:
    qa, problems = config.qa, []
    for path in (*config.fields, qa.question, qa.answer, qa.context, config.split_field, *config.carry):
        try:
            _ = parse_field(path) if path else ()
        except ValueError as error:
            problems.append(str(error))
    if not all(config.fields) or not config.fields:
        problems.append("fields must name at least one field")
    if not all(config.carry):
        problems.append("carry must name fields")
    if bool(qa.question) != bool(qa.answer) or (not qa.question and qa != QaConfig()):
        problems.append("qa needs both qa.question and qa.answer")
    if qa.question and config.fields != ("text",):
        problems.append("fields is not read beside qa")
    problems += _template_problems("prompt_template", qa.prompt_template, {"question"}, {"question", "context"})
    problems += _template_problems("response_template", qa.response_template, {"answer"}, {"answer"})
    for pair in config.split_paths:
        if pair.partition("=")[0] not in SPLIT_NAMES.values() or not pair.partition("=")[2]:
            problems.append(f"split_paths: {pair!r} is not split=pattern with split one of train, validation, test")
    if config.max_malformed < 0 or not 0 <= config.max_malformed_share < 1:
        problems.append("max_malformed must be at least 0 and max_malformed_share in [0, 1)")
    return problems


def _template_problems(name: str, template: str, needed: set[str], known: set[str]) -> list[str]:
    try:
        pieces = [(field, style, form) for _, field, style, form in Formatter().parse(template) if field is not None]
    except ValueError as error:
        return [f"qa.{name}: {error}"]
    used = {field for field, _, _ in pieces}
    if not needed <= used <= known or any(style or form for _, style, form in pieces):
        return [f"qa.{name} must hold {sorted(needed)} and nothing in braces but {sorted(known)}"]
    return []

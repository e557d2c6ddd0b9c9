"""Every domain there is keeps the contract; and the contract finds declarations that do not say what functions say."""

import dataclasses

import pytest

from assets_data.domain import check_domain, find_domains
from assets_data.stage import Many, One
from pipeline_defs.contract import domain_problems, require
from pipeline_defs.contract.declarations import domain_declarations

DOMAINS = find_domains()
TEXT = DOMAINS["text"]


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_the_domain_keeps_the_contract(name, tmp_path):
    require(domain_problems(name, tmp_path))


def changed(kind, **members):
    """The text domain with one stage declared otherwise."""
    stages = [dataclasses.replace(s, **members) if s.kind == kind else s for s in TEXT.stages]
    return dataclasses.replace(TEXT, stages=tuple(stages))


@pytest.mark.parametrize(
    ("kind", "members", "says"),
    [
        ("text/documents", {"make": "assets_data.domains.text.documents:make_docs"}, "make_docs"),
        ("text/documents", {"schema": "assets_data.domains.text.schema:check"}, "assets_data.domains.text.schema"),
        ("text/raw_slice", {"without": "assets_data.domains.text.raw_slice:SCHEMA"}, "no function"),
        ("text/raw_slice", {"now": "assets_data.domains.text.raw_slice:now"}, "now"),
        ("text/triples", {"inputs": {"documents": One("text/documents")}}, "tokenizer"),
        ("text/drops", {"inputs": {"documents": One("text/documents"), "copies": Many("text/drops")}}, "copies"),
        ("text/triples", {"presets": None}, "presets"),
        ("text/triples", {"sections": ("triple",)}, "triple"),
        ("text/dataset_manifest", {"presets": TEXT.stages[1].presets}, "presets"),
        ("text/raw_slice", {"sliced": False}, "slice_name"),
        ("text/tokenizer", {"modules": ("assets_data.domains.text.tokeniser",)}, "tokeniser"),
        ("text/tokenizer", {"schema": ""}, "no schema"),
    ],
)
def test_a_declaration_that_does_not_say_what_its_function_says_is_found(kind, members, says):
    assert list(domain_declarations(TEXT)) == []
    assert any(says in problem for problem in domain_declarations(changed(kind, **members)))


@pytest.mark.parametrize("member", ["slices", "standing", "grown", "recorded", "preview", "alike", "commands"])
def test_what_a_domain_names_must_be_there(member):
    wrong = dataclasses.replace(TEXT, **{member: "assets_data.domains.text.nowhere:nothing"})
    assert any(member in problem for problem in domain_declarations(wrong))


def test_a_domain_may_have_several_sources_and_the_first_one_has_slices():
    raw = TEXT.stages[0]
    reference = dataclasses.replace(raw, kind="text/reference", sliced=False)
    two = dataclasses.replace(TEXT, stages=(raw, reference, *TEXT.stages[1:]))
    assert list(check_domain(two)) == [] and two.source is raw
    turned = dataclasses.replace(TEXT, stages=(reference, raw, *TEXT.stages[1:]))
    assert list(check_domain(turned)) == ["text/reference is its first source and has no slices"]
    none = dataclasses.replace(TEXT, stages=tuple(dataclasses.replace(s, source=False) for s in TEXT.stages))
    assert list(check_domain(none)) == ["no stage is its source"]

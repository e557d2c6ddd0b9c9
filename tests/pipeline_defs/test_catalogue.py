"""Stages of a recipe's own that are made slice by slice: by which slices, and in which wave of a run."""

import dataclasses

import pytest

from assets_data.stage import Many, One, Stage
from pipeline_defs.catalogue import catalogue, own_jobs
from pipeline_defs.commands.chain import waves


@pytest.fixture
def known():
    """The catalogue with two sliced stages of a recipe's own and a table over all slices of the second."""
    states = Stage(kind="mine/states", make="m:f", says="", inputs={"rows": One("text/triples")}, sliced=True)
    further = Stage(kind="mine/further", make="m:f", says="", inputs={"states": One("mine/states")}, sliced=True)
    whole = Stage(kind="mine/whole", make="m:f", says="", inputs={"further": Many("mine/further")})
    there = catalogue()
    return dataclasses.replace(there, stages={**there.stages, **{s.kind: s for s in (states, further, whole)}})


@pytest.mark.parametrize("kind", ["text/triples", "mine/states", "mine/further"])
def test_a_sliced_stage_goes_by_the_slices_of_the_domain_that_it_reads(known, kind):
    assert known.sliced_by(known.stage(kind)) is known.domains["text"]


@pytest.mark.parametrize("kind", ["text/tokenizer", "mine/whole", "walk_lm/checkpoint"])
def test_a_stage_over_all_slices_goes_by_none(known, kind):
    assert known.sliced_by(known.stage(kind)) is None


def test_sliced_stages_of_a_recipe_share_the_wave_of_what_they_read_and_the_whole_waits_for_all(known):
    found = [(wave.domain, [stage.kind for stage in wave.stages]) for wave in waves(known, known.above(["mine/whole"]))]
    assert ("text", ["text/drops", "text/triples", "mine/states", "mine/further"]) in found
    assert found[-1] == (None, ["mine/whole"])


def test_every_job_of_the_code_location_is_a_domains_or_among_our_own():
    from pipeline_defs.definitions import defs

    there, known = {job.name for job in defs.resolve_all_job_defs()}, catalogue()
    asked = {job.name for domain in known.domains.values() for job in domain.jobs}
    assert there - asked - {"__ASSET_JOB"} == set(own_jobs(known.domains, known.recipes)) & there
    assert {"gc", "make_slices", "verify_everything", "text_dataset", "retrain_walk_lm"} <= there

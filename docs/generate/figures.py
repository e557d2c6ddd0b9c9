"""The page of figures, from the files under ``benchmarks/results``: no number on it is typed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs.generate.markdown import code, made_by, table

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
HEAD = """# Figures

This page is written by `python -m docs.generate` from the files under `benchmarks/results/`. Each holds its command,
the versions, the commit and the figures; `make bench` measures them again. Where a file says that the checkout had
changes that were not committed, so does this page.

## At a glance

"""
GLANCE: tuple[tuple[str, str, str], ...] = (
    (
        "chain_demo",
        "`make run` after the install, on an empty store",
        "{f[first_run_s]:.0f} s, of which {f[training.seconds]:.0f} s training; peak {f[peak_memory_mib]:,} MiB",
    ),
    ("chain_demo", "`make run` again, nothing changed", "{f[nothing_changed_s]:.0f} s"),
    (
        "chain_demo",
        "the demo's gate: edges kept; rules kept, all and the worst",
        "{f[scalars.edge_compliance]:.3f}; {f[scalars.rule_compliance]:.3f}, {f[scalars.rule_compliance_worst]:.3f}",
    ),
    (
        "walk_generator",
        "walks on the published graph, steps/s on one core and rules kept: exact; path pasting as published",
        "{f[steps_per_s_one_core.exact]:,}, {f[rule_compliance.exact]:.3f}; "
        "{f[steps_per_s_one_core.pasting]:,}, {f[rule_compliance.pasting]:.3f}",
    ),
    (
        "loading",
        "loading the code location, beyond its libraries: median; most",
        "{f[code_location_more_s.median]:.2f} s; {f[code_location_more_s.max]:.2f} s",
    ),
    (
        "orchestration",
        "Dagster over the plain functions, whole smoke chain: median; most",
        "{f[overhead_s.median]:.1f} s; {f[overhead_s.max]:.1f} s",
    ),
    (
        "slices",
        "CPU seconds over 1,000 and over 10,000 slices: all made; nothing changed; one more; `status`; `explain`",
        "{f[slices.1000.made.cpu_s]:.0f}, {f[slices.10000.made.cpu_s]:.0f}; "
        "{f[slices.1000.no_op.cpu_s]:.0f}, {f[slices.10000.no_op.cpu_s]:.0f}; "
        "{f[slices.1000.one_more.cpu_s]:.0f}, {f[slices.10000.one_more.cpu_s]:.0f}; "
        "{f[slices.1000.status.cpu_s]:.0f}, {f[slices.10000.status.cpu_s]:.0f}; "
        "{f[slices.1000.explain.cpu_s]:.0f}, {f[slices.10000.explain.cpu_s]:.0f}",
    ),
    (
        "epoch",
        "first batch of an epoch over keys on disk: rows; seconds; memory",
        "{f[rows]:,}; {f[first_batch.wall_s]:.1f} s, {f[first_batch.cpu_s]:.1f} of a processor; "
        "{f[first_batch.peak_mib]} MiB",
    ),
    (
        "resume",
        "first batch after a resume at update 10; at update 10 million",
        "{f[first_batch_ms.10.median]:.0f} ms; {f[first_batch_ms.10000000.median]:.0f} ms",
    ),
    (
        "fetch",
        "HTTP slice into the store over `curl | zstd`: to nothing; to a file",
        "{f[over_curl_zstd_to_null]:.2f}; {f[over_curl_zstd_to_file]:.2f} of its rate",
    ),
    (
        "random_access",
        "random row of the training table: Stemma; datasets; MosaicML streaming",
        "{f[us_per_row.stemma]:.1f}; {f[us_per_row.datasets]:.0f}; {f[us_per_row.streaming]:.0f} µs",
    ),
    (
        "training_loop",
        "an update of the training loop over one of bare PyTorch; nanoGPT's shape; Lightning; Hugging Face",
        "{f[stemma_over.bare_pytorch.median]:.3f}; {f[stemma_over.nanogpt_shape.median]:.3f}; "
        "{f[stemma_over.lightning.median]:.3f}; {f[stemma_over.hugging_face.median]:.3f} of its time",
    ),
    (
        "parallel",
        "an update over one of bare DDP, two processes: exact, 2 lanes; `--ahead 0`; 4 lanes; fast",
        "{f[two_processes.seconds_over_bare_ddp.lanes_2_exact.median]:.2f}; "
        "{f[two_processes.seconds_over_bare_ddp.lanes_2_not_ahead.median]:.2f}; "
        "{f[two_processes.seconds_over_bare_ddp.lanes_4_exact.median]:.2f}; "
        "{f[two_processes.seconds_over_bare_ddp.lanes_2_fast.median]:.2f}",
    ),
    (
        "hrm_lm_arithmetic",
        "`hrm_lm` on sums, exact match on held-out pairs, first seed: with its core; without, at the same size",
        "{f[core.0.exact_match]:.2f} in {f[core.0.train_seconds]:.0f} s; "
        "{f[no_core.0.exact_match]:.2f} in {f[no_core.0.train_seconds]:.0f} s",
    ),
    (
        "hrm_lm_arithmetic_core_over_tokens",
        "the same with a core that reads every token, on one thread",
        "{f[core_over_tokens.0.exact_match]:.2f} in {f[core_over_tokens.0.train_seconds]:.0f} s",
    ),
    (
        "hrm_lm_smoke_core_no_core_core_over_tokens",
        "`hrm_lm` on the smoke preset's text, held-out nats: bigrams; with its core; without; a core over tokens",
        "{f[core.0.bigram_loss]:.2f}; {f[core.0.heldout_loss]:.2f}; {f[no_core.0.heldout_loss]:.2f}; "
        "{f[core_over_tokens.0.heldout_loss]:.2f}",
    ),
    (
        "hrm_lm_demo",
        "`hrm_lm` on the demo's text, held-out loss in nats: unigrams; bigrams; with its core; without",
        "{f[core.0.unigram_loss]:.2f}; {f[core.0.bigram_loss]:.2f}; {f[core.0.heldout_loss]:.2f}; "
        "{f[no_core.0.heldout_loss]:.2f}",
    ),
    (
        "cell_mlm_demo",
        "`cell_mlm` on held-out wells, first seed, nats of hidden genes: frequency at the rank; like cells; model",
        "{f[runs.0.scalars.nats_frequency]:.2f}; {f[runs.0.scalars.nats_knn]:.2f}; {f[runs.0.scalars.nats]:.2f}, gate "
        "{f[runs.0.gate]}",
    ),
    (
        "cell_mlm_demo",
        "the linear probe there, accuracy: untrained; PCA of ranks; model",
        "{f[runs.0.scalars.probe_untrained]:.2f}; {f[runs.0.scalars.probe_pca50_ranks]:.2f}; "
        "{f[runs.0.scalars.probe_model]:.2f}",
    ),
    (
        "vcf_reading",
        "a VCF of a million lines, microseconds a line: read here; pysam; cyvcf2; oxbow; the whole variants stage, and "
        "by how much its memory grows",
        "{f[stemma.us_per_line]}; {f[pysam.us_per_line]}; {f[cyvcf2.us_per_line]}; {f[oxbow.us_per_line]}; "
        "{f[stage.us_per_line]}, {f[stage.peak_growth_mib]} MiB",
    ),
    (
        "cell_mlm_simulated",
        "`cell_mlm` on simulated counts, nats: like cells; a gene's rate at the cell's total; model; network "
        "precision: base; correlation; model",
        "{f[runs.0.scalars.nats_knn]:.2f}; {f[runs.0.scalars.nats_by_total]:.2f}; "
        "{f[runs.0.scalars.nats]:.2f}; {f[runs.0.scalars.network_base]:.3f}; "
        "{f[runs.0.scalars.network_ap_correlation]:.3f}; {f[runs.0.scalars.network_ap_model]:.3f}; "
        "gate {f[runs.0.gate]}",
    ),
    (
        "triples",
        "triples stage, tokens/s over: bare `encode_batch_fast`; datasets with threads, processes; datatrove",
        "{f[stage_over.bare]:.2f}; {f[stage_over.datasets_threads]:.2f}, {f[stage_over.datasets_processes]:.2f}; "
        "{f[stage_over.datatrove]:.2f}",
    ),
    (
        "cleaning",
        "cleaning over the same expressions in bare polars: streaming; in memory",
        "{f[ours_over_bare_streaming]:.2f}; {f[ours_over_bare_in_memory]:.2f}",
    ),
    (
        "checkpoint_io",
        "checkpoint saved, read back and hashed; verified (sha256 alone)",
        "{f[stemma_save_mb_per_s]:,}; {f[stemma_verify_mb_per_s]:,} ({f[sha256_mb_per_s]:,}) MB/s",
    ),
    ("lineage_hashing", "`explain`, which hashes everything twice, over one core's sha256", "{f[ratio]:.2f}"),
    (
        "lineage_status",
        "`status` on random graphs: false fresh; false stale; the same for stock Dagster's false fresh",
        "{f[false fresh]} of {f[names]:,} names; {f[false_stale_rate]:.2%}; "
        "{f[stock_dagster.as_it_is.false_fresh_rate]:.1%}",
    ),
    (
        "lineage_order",
        "record to steps, p99; step to batch, p99; pairs against replay that were wrong",
        "{f[uses_p99_ms]:.1f} ms; {f[batch_p99_ms]:.2f} ms at {f[rows]:,} rows; {f[pairs_wrong]} of {f[pairs]:,}",
    ),
    (
        "lineage_proofs",
        "proofs: present, absent; checking one, p99; forgeries accepted",
        "{f[present_bytes]:,}, {f[absent_bytes]:,} bytes; {f[absent_check_p99_ms]:.2f} ms; "
        "{f[present_forgeries_accepted]} of {f[forgeries]:,}",
    ),
    (
        "lineage_faults_walk_lm",
        "single faults in a finished chain: found; right node named; false alarms",
        "{f[found]} of {f[faults]}; {f[right node]}; {f[false_alarms]} in {f[clean_checks]:,} clean checks",
    ),
    (
        "lineage_attacks",
        "attacks on every file, field and column of a signed chain, in four depths: by signature alone; unfound",
        "{f[attacks]:,}; {f[by_signature_alone]}; {f[unfound]}",
    ),
    (
        "lineage_withdrawals_walk_lm",
        "withdrawals whose checkpoint is bit-equal to a run that never held the record; nodes missed; surplus",
        "{f[bit_equal_checkpoints]} of {f[withdrawals]}; {f[affected_nodes_missed]}; {f[affected_nodes_surplus]}",
    ),
    ("lineage_cost_walk_lm_demo", "hashing, verifying and receipts, as a share of a demo run", "{f[share]:.1%}"),
)
"""File, what it shows, and the sentence with its figures in place."""


def figures_page() -> str:
    """The table at a glance, then every file in full."""
    results = read_results()
    rows = [
        (what, says.format(f=dict(_flat(results[name]["figures"], ""))), f"[{name}](#{name})")
        for name, what, says in GLANCE
    ]
    parts = [HEAD + table(("what", "measured", "file"), rows)]
    return "\n".join([*parts, *(_section(name, document) for name, document in results.items())])


def read_results() -> dict[str, Any]:
    """Every result by its file's name."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted(RESULTS.glob("*.json"))}


def _section(name: str, document: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in document.get("versions", {}).items())
    lines = [
        f"## {name}\n",
        f"{made_by(document)}; Python {document['python']}, "
        f"{document['cores']} cores, {document['platform']}; {versions}.\n",
        table(("figure", "value"), ((code(path), _value(value)) for path, value in _flat(document["figures"], ""))),
    ]
    return "\n".join(lines)


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every figure by its dotted path; a list of plain values stays one."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{path}.{index}")
    else:
        yield path, value


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

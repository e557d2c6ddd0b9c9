"""The state_table stage: the encoder's state of every window of every trajectory, made once and read in every epoch.

Each row names the records of the trajectory it belongs to, and the encoder's checkpoint is a parent: what taught the
encoder is an ancestor of this. A run that was killed goes on at the shard of windows it was in.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

from assets_data.domains.genome.read import SPLITS, STEPS, open_members, open_trajectories
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store, to_dict
from assets_data.lineage.identity.digests import digest_json
from assets_data.lineage.receipts.code import code_version
from assets_data.lineage.storage import atomic
from assets_data.lineage.storage.sealing import Outside
from assets_data.stage import ROWS, Check, One, Outcome, Stage, load
from training.recipes.geno_lewm.config import STATES, StatesConfig

HERE = "training.recipes.geno_lewm.state_table"
OPENER = "training.recipes.geno_lewm.encoder:open_encoder"
STATE_TABLE = Stage(
    kind="geno_lewm/state_table",
    make=f"{HERE}:make_state_table",
    says="The encoder's state of every window of every trajectory, with the records that the row comes from.",
    inputs={"manifest": One("genome/dataset_manifest"), "encoder": One("dna_lm/checkpoint")},
    presets=STATES,
    learns=ROWS,
    unchecked="its columns of numbers are covered by the check",
    modules=(HERE, "training.recipes.geno_lewm.encoder"),
    checks=(
        Check(
            name="complete",
            run=f"{HERE}:check_complete",
            says="Every row of the trajectories has its states, and every number of them is finite.",
        ),
    ),
    pool="gpu",
    tags=("pytorch", "arrow"),
)
COLUMNS = ("row_key", "record_id", *(f"record_id_{step}" for step in range(1, STEPS + 1)))
"""What a row has of its trajectory's row."""


def make_state_table(store: Store, manifest: Snapshot, encoder: Snapshot, config: StatesConfig) -> Snapshot:
    """The table of a dna_lm checkpoint; see :func:`make_states`."""
    return make_states(store, STATE_TABLE, OPENER, manifest, encoder, config)


def make_states(
    store: Store, stage: Stage, opener: str, manifest: Snapshot, encoder: Snapshot, config: StatesConfig
) -> Snapshot:
    """Publish (or reuse) ``train.arrow``, ``validation.arrow``, ``test.arrow`` (``COLUMNS`` and ``state_0`` to
    ``state_3``) and ``encoder.json``. ``opener`` names the ``(snapshot, config, device) -> Encoder`` of this kind.

    Raises DataError ENCODER_UNSTABLE, STATES_NOT_FINITE.
    """
    trajectories = open_members(store, manifest)["trajectories"]
    key = digest_json([encoder.id, to_dict(config), code_version(*stage.modules)])
    folder = store.root / "cache" / "states" / key.removeprefix("sha256:")  # a killed run's shards, for the next
    return store.run_stage(
        name=stage.kind,
        module=stage.modules,
        config=config,
        parents={"manifest": manifest, "encoder": encoder, "trajectories": trajectories},
        build=lambda writer: _build(writer, folder, trajectories, encoder, opener, config),
        outside=Outside(writes=[folder]),
    )


def _build(
    writer: SnapshotWriter,
    folder: Path,
    trajectories: Snapshot,
    checkpoint: Snapshot,
    opener: str,
    config: StatesConfig,
) -> None:
    from training.config import TrainConfig
    from training.environment import reproducible
    from training.recipes.geno_lewm.encoder import require_stable

    rows = {split: open_trajectories(trajectories, split) for split in SPLITS}
    windows = np.concatenate([r.windows_RSW.reshape(-1, r.windows_RSW.shape[2]) for r in rows.values()])
    distinct, place = np.unique(windows, axis=0, return_inverse=True)
    with reproducible(TrainConfig(threads=1)) as device:
        encoder = load(opener)(checkpoint, config, device)
        require_stable(encoder, distinct, config)
        found = _sharded(encoder, distinct, config, folder)
    if not np.isfinite(found).all():
        raise DataError("STATES_NOT_FINITE", "the encoder gives numbers that are not finite", where=checkpoint.path)
    begin = 0
    for split in SPLITS:
        table, count = trajectories.table(f"{split}.arrow"), rows[split].windows_RSW[..., 0].size
        states = found[place.ravel()[begin : begin + count]].reshape(len(rows[split].row_keys), STEPS + 1, -1)
        begin += count
        columns = {name: table[name] for name in COLUMNS}
        columns |= {f"state_{state}": _lists(states[:, state]) for state in range(STEPS + 1)}
        writer.write_table(f"{split}.arrow", pa.table(columns))
        writer.splits[split] = table.num_rows
    records = {record for split in SPLITS for name in COLUMNS[1:] for record in _strings(trajectories, split, name)}
    writer.records(sorted(records))
    contract = {**to_dict(config), "dims": found.shape[1]}
    writer.write_json("encoder.json", {"encoder": encoder.id, "checkpoint": checkpoint.id, "contract": contract})
    writer.stats |= {"windows": len(windows), "distinct": len(distinct), "dims": found.shape[1]}
    shutil.rmtree(folder, ignore_errors=True)


def _sharded(encoder: object, windows: np.ndarray, config: StatesConfig, folder: Path) -> np.ndarray:
    """float32[N, D]: shard by shard; those that a killed run left are read back when their digest is right."""
    from training.recipes.geno_lewm.encoder import states

    found = []
    for begin in range(0, len(windows), config.shard):
        part = windows[begin : begin + config.shard]
        name = hashlib.sha256(digest_json([list(part.shape), config.batch]).encode() + part.tobytes()).hexdigest()
        made = _read_shard(folder / name, len(part))
        if made is None:
            made = states(encoder, part, config)  # type: ignore[arg-type]
            _write_shard(folder / name, made)
        found.append(made)
    return np.concatenate(found)


def _write_shard(path: Path, values: np.ndarray) -> None:
    body = np.ascontiguousarray(values, "<f4").tobytes()
    atomic.write_bytes(path, hashlib.sha256(body).digest() + body)


def _read_shard(path: Path, rows: int) -> np.ndarray | None:
    """What a shard's file holds; None where there is none, or its bytes are not what was written."""
    if not path.is_file():
        return None
    raw = path.read_bytes()
    body = raw[32:]
    if hashlib.sha256(body).digest() != raw[:32] or not rows or len(body) % (4 * rows):
        return None
    return np.frombuffer(body, "<f4").reshape(rows, -1)


def read_states(table: Snapshot, split: str, row_keys: np.ndarray) -> np.ndarray:
    """float32[R, 4, D] for these rows of the trajectories. Raises DataError STATE_MISSING for a table of others."""
    found = table.table(f"{split}.arrow")
    if not np.array_equal(found["row_key"].to_numpy(), row_keys):
        action = f"materialise {table.kind} again"
        raise DataError("STATE_MISSING", "the table is of other trajectories", where=table.path, action=action)
    columns = [found[f"state_{state}"].combine_chunks() for state in range(STEPS + 1)]
    return np.stack([column.flatten().to_numpy().reshape(len(row_keys), -1) for column in columns], 1)


def check_complete(store: Store, table: Snapshot) -> Outcome:
    """Every row of the trajectories has its states, in their order, and all are finite."""
    wrong = {}
    for split in SPLITS:
        found = table.table(f"{split}.arrow")
        values = [found[f"state_{state}"].combine_chunks().flatten().to_numpy() for state in range(STEPS + 1)]
        wrong[split] = int(sum((~np.isfinite(value)).sum() for value in values))
    return Outcome(passed=not any(wrong.values()), facts=wrong)


def _lists(rows: np.ndarray) -> pa.Array:
    count, width = rows.shape
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(rows, np.float32).ravel()))


def _strings(trajectories: Snapshot, split: str, name: str) -> list[str]:
    return trajectories.table(f"{split}.arrow")[name].to_pylist()

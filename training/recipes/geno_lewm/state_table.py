"""The state_table stage: the encoder's state of every window of every trajectory, made once and read in every epoch.

Each row names the records of the trajectory it belongs to, and the encoder's checkpoint is a parent: what the
encoder learned from is an ancestor of this. A run that was killed goes on at the shard of windows it was in.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from assets_data.domains.genome.read import SPLITS, STEPS, Trajectories, open_members, open_trajectories
from assets_data.lineage import DataError, Snapshot, SnapshotWriter, Store, to_dict
from assets_data.lineage.identity.digests import digest_json
from assets_data.lineage.receipts.code import code_version
from assets_data.lineage.storage.sealing import Outside
from assets_data.stage import ROWS, Check, One, Outcome, Stage, load
from training.recipes.geno_lewm.config import STATES, StatesConfig
from training.recipes.geno_lewm.moving import Positions, places
from training.recipes.geno_lewm.shards import sharded

if TYPE_CHECKING:
    from training.recipes.geno_lewm.encoder import Encoder

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
    """Publish (or reuse) ``train.arrow``, ``validation.arrow``, ``test.arrow`` (``COLUMNS``, ``state_0`` to ``state_3``
    and, by position, ``carried_1`` to ``flank_3``) and ``encoder.json``. ``opener`` names the ``(snapshot, config,
    device) -> Encoder`` of this kind.

    Raises DataError ENCODER_UNSTABLE, ENCODER_POSITIONS, STATES_NOT_FINITE.
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

    rows = {split: open_trajectories(trajectories, split) for split in SPLITS}
    with reproducible(TrainConfig(threads=1)) as device:
        encoder = load(opener)(checkpoint, config, device)
        found, distinct = _states(encoder, rows, config, folder)
        dims = found["train"]["state", 0].shape[1]
        if config.state == "positions":
            for split, own in rows.items():
                found[split] |= _positions(encoder, own, dims, config, folder)
    if not all(np.isfinite(values).all() for own in found.values() for values in own.values()):
        raise DataError("STATES_NOT_FINITE", "the encoder gives numbers that are not finite", where=checkpoint.path)
    for split, own in found.items():
        table = trajectories.table(f"{split}.arrow")
        numbers = {f"{name}_{step}": _lists(values) for (name, step), values in own.items()}
        writer.write_table(f"{split}.arrow", pa.table({**{name: table[name] for name in COLUMNS}, **numbers}))
        writer.splits[split] = table.num_rows
    records = {record for split in SPLITS for name in COLUMNS[1:] for record in _strings(trajectories, split, name)}
    writer.records(sorted(records))
    contract = {**to_dict(config), "dims": dims}
    writer.write_json("encoder.json", {"encoder": encoder.id, "checkpoint": checkpoint.id, "contract": contract})
    windows = sum(own.windows_RSW[..., 0].size for own in rows.values())
    writer.stats |= {"windows": windows, "distinct": distinct, "dims": dims}
    shutil.rmtree(folder, ignore_errors=True)


Columns = dict[tuple[str, int], np.ndarray]
"""float32[R, n] by name and number of a column."""


def _states(
    encoder: Encoder, rows: Mapping[str, Trajectories], config: StatesConfig, folder: Path
) -> tuple[dict[str, Columns], int]:
    """The state of every window by split, and how many windows differ: each is encoded once."""
    from training.recipes.geno_lewm.encoder import require_stable, states

    windows = np.concatenate([own.windows_RSW.reshape(-1, own.windows_RSW.shape[2]) for own in rows.values()])
    distinct, place = np.unique(windows, axis=0, return_inverse=True)
    require_stable(encoder, distinct, config)
    made = sharded([distinct], config.shard, folder, config.batch, lambda part: states(encoder, part, config))
    ends = np.cumsum([own.windows_RSW[..., 0].size for own in rows.values()])[:-1]
    found = {}
    for split, own in zip(rows, np.split(place.ravel(), ends), strict=True):
        values = made[own].reshape(-1, STEPS + 1, made.shape[1])
        found[split] = {("state", state): values[:, state] for state in range(STEPS + 1)}
    return found, len(distinct)


def _positions(encoder: Encoder, rows: Trajectories, dims: int, config: StatesConfig, folder: Path) -> Columns:
    """What the vectors before all edits make at their new places, and the vectors beside each edit."""
    from training.recipes.geno_lewm.encoder import carry

    found = places(rows, config.flank)
    arrays = (rows.windows_RSW[:, 0], found.carried_RKW, found.flank_RKP)
    made = sharded(arrays, config.shard, folder, config.batch, lambda *parts: carry(encoder, *parts, config=config))
    known = Positions.of(made.reshape(len(made), STEPS, -1), dims)
    columns = {"carried": known.carried_RKD, "flank": known.flank_RKF}
    return {(name, step + 1): value[:, step] for name, value in columns.items() for step in range(STEPS)}


def read_states(table: Snapshot, split: str, row_keys: np.ndarray) -> dict[str, np.ndarray]:
    """``state`` float32[R, 4, D] for these rows of the trajectories; by position ``carried`` float32[R, 3, D] and
    ``flank`` float32[R, 3, F], too. Raises DataError STATE_MISSING for a table of others.
    """
    found = table.table(f"{split}.arrow")
    if not np.array_equal(found["row_key"].to_numpy(), row_keys):
        action = f"materialise {table.kind} again"
        raise DataError("STATE_MISSING", "the table is of other trajectories", where=table.path, action=action)
    named: dict[str, list[np.ndarray]] = {}
    for name in found.column_names[len(COLUMNS) :]:
        values = found[name].combine_chunks().flatten().to_numpy()
        named.setdefault(name.rsplit("_", 1)[0], []).append(values.reshape(len(row_keys), -1))
    return {name: np.stack(values, 1) for name, values in named.items()}


def check_complete(store: Store, table: Snapshot) -> Outcome:
    """Every row of the trajectories has its states, in their order, and all are finite."""
    wrong = {}
    for split in SPLITS:
        found = table.table(f"{split}.arrow")
        values = [found[name].combine_chunks().flatten().to_numpy() for name in found.column_names[len(COLUMNS) :]]
        wrong[split] = int(sum((~np.isfinite(value)).sum() for value in values))
    return Outcome(passed=not any(wrong.values()), facts=wrong)


def _lists(rows: np.ndarray) -> pa.Array:
    count, width = rows.shape
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(rows, np.float32).ravel()))


def _strings(trajectories: Snapshot, split: str, name: str) -> list[str]:
    return trajectories.table(f"{split}.arrow")[name].to_pylist()

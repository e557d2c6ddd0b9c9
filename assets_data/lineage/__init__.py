"""Identity, order, receipts and the store: what every room uses. Needs numpy, pyarrow and rfc8785, no more."""

from assets_data.lineage.config import from_dict, option, read_sections, resolve, to_dict, with_overrides
from assets_data.lineage.errors import (
    ConfigError,
    DataError,
    GateError,
    IntegrityError,
    StemmaError,
    StorageError,
    TrainingError,
)
from assets_data.lineage.identity.digests import (
    array_key64,
    canonical_json,
    digest_bytes,
    digest_file,
    digest_json,
    text_key64,
)
from assets_data.lineage.identity.merkle import merkle_root
from assets_data.lineage.identity.order import keyed_order, mix64, uniform01
from assets_data.lineage.older import from_recorded
from assets_data.lineage.storage.locks import lease
from assets_data.lineage.storage.snapshot import Snapshot
from assets_data.lineage.storage.snapshot_writer import SnapshotWriter
from assets_data.lineage.storage.store import Store

__all__ = [
    "ConfigError",
    "DataError",
    "GateError",
    "IntegrityError",
    "Snapshot",
    "SnapshotWriter",
    "StemmaError",
    "StorageError",
    "Store",
    "TrainingError",
    "array_key64",
    "canonical_json",
    "digest_bytes",
    "digest_file",
    "digest_json",
    "from_dict",
    "from_recorded",
    "keyed_order",
    "lease",
    "merkle_root",
    "mix64",
    "option",
    "read_sections",
    "resolve",
    "text_key64",
    "to_dict",
    "uniform01",
    "with_overrides",
]

"""Which rows make update t: the order, its kinds, and the digest of what was taken so far. Holds no state to save."""

from training.order.digest import OrderDigest
from training.order.kinds import CURRICULUM, EACH_ONCE, KINDS, UNIFORM, WEIGHTED, OrderKind
from training.order.stream import Order, table_keys, table_values

__all__ = [
    "CURRICULUM",
    "EACH_ONCE",
    "KINDS",
    "UNIFORM",
    "WEIGHTED",
    "Order",
    "OrderDigest",
    "OrderKind",
    "table_keys",
    "table_values",
]

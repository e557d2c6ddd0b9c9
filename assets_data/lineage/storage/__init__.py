"""Where things are kept: snapshots, the store, durable writes, and snapshots without some records."""

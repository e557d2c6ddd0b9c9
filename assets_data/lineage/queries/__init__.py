"""Questions to the store: what made this, who holds a record, what is stale, what would change. Read-only, offline."""

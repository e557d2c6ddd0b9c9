"""What a receipt says and how it is written and read: statements, provenance, code and environment."""

"""What a thing is called by its content: digests, canonical JSON, Merkle roots, keyed order, record ids."""

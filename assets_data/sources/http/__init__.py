"""Parts over HTTP: an index of part names, slices planned from it, verified downloads that resume, and a ledger."""

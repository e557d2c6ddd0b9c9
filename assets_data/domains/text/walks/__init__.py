"""Walk corpora: graphs with planted long-range rules and exact walks over them.

Owns the two graph sources (token transitions, degree-corrected block model), rule planting, walk generation and the
``text/walk_corpus`` snapshot. Promises that every rule encounter whose deadline lies inside its walk is honoured and
that a corpus is the same for any number of workers. Does not tokenize, and does not score models.
"""

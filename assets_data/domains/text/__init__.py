"""Text: raw slices, cleaning, splits, the tokenizer, triples, checks and the dataset manifest. Never trains a model."""

"""Single cells: counts of transcripts per cell and gene, kept so that a donor can be taken out again."""

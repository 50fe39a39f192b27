"""A whole run: data, training, evaluations, checkpoints and their folder."""

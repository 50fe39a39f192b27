"""The host side of training, the same for every algorithm."""

"""Experiments: images through codecs, channels, transformations and edits, scored at every operating point."""

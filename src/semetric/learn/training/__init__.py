"""Training a DreamSim on triplets: LoRA or an MLP head, and a calibration from cosines to scores.

`config`, `examples`, `pixels` and `trunks` need no torch; the modules with a leading underscore do. Nothing is imported
here.
"""

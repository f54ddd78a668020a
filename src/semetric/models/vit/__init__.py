"""The vision transformer behind DINO, DINOv2, SynCLR, CLIP and OpenCLIP: its sizes in `config`, itself in `network`.

Nothing is imported here, so that knowing the sizes needs no torch.
"""
